"""How wide printed columns are, so that reading.css makes them fit a narrow screen.

A line of words may be broken; where a result has columns that stand below each other,
letters are made smaller instead, and one of more than `MOST` columns scrolls.
"""

import re
from html import unescape

PRINTED = re.compile(
    r'(<div class="output (?:text_plain|stream)[^>]*>\s*<div[^>]*>\s*<pre)([^>]*>)'
    r"(.*?)</pre>",
    re.DOTALL,
)
MOST = 66  # of 8.5 pixels high on a screen of 390
TAG = re.compile("<[^>]+>")


def setup(app):
    app.connect("html-page-context", count, priority=950)  # behind loading.py
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def count(app, page, template, context, tree):
    if "body" in context:
        context["body"] = PRINTED.sub(counted, context["body"])


def counted(printed):
    """The printed result, with the length of its longest line if it has columns."""
    text = unescape(TAG.sub("", printed[3])).splitlines()
    if not has_columns(text):
        return printed[0]
    width = max(map(len, text))
    how = f'style="--columns: {width}"' if width <= MOST else 'class="wide"'
    return f"{printed[1]} {how}{printed[2]}{printed[3]}</pre>"


def has_columns(lines):
    """Two lines or more with a gap of two spaces or more inside them."""
    return sum(re.search(r"\S {2,}\S", line) is not None for line in lines) > 1
