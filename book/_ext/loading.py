"""What a page loads, and when: scripts wait until it is parsed, pictures until they are
near, and MathJax is left out where there is no formula.
"""

import re

# An inline script of the theme needs it at once.
BLOCKING = "documentation_options.js"
# What may scroll. The theme makes each reachable by keyboard or not, after reading its
# width: the attribute must be there, or every change costs one more layout of the page.
SCROLLS = re.compile(r'(<pre|<div class="output[^"]*")(?=>)')
# Sizes of pictures: docutils < 0.22 writes the first form alone, later ones the second.
STYLE = re.compile(r'(<img [^>]*style="width: (\d+)px; height: (\d+)px;")')
SIZED = re.compile(r'<img (?=[^>]* width="\d+")(?=[^>]* height="\d+")(?![^>]* loading)')


def setup(app):
    # behind sphinx.ext.mathjax, which adds its scripts by the same event
    app.connect("html-page-context", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lighten(app, page, template, context, tree):
    body = context.get("body", "")
    body = STYLE.sub(r'\1 width="\2" height="\3"', body)
    body = SIZED.sub(r'\g<0>loading="lazy" ', body)
    context["body"] = SCROLLS.sub(r'\1 tabindex="-1"', body)
    scripts = context["script_files"]
    if 'class="math' not in body:
        scripts = [script for script in scripts if not is_mathjax(script)]
    if page != "search":  # whose scripts need the others at once
        scripts = [deferred(script) for script in scripts]
    context["script_files"] = scripts


def deferred(script):
    """The same script, to run when the page is parsed; inline ones run at once."""
    if not script.filename or BLOCKING in script.filename:
        return script
    attributes = {**script.attributes, "defer": "defer"}
    return type(script)(script.filename, priority=script.priority, **attributes)


def is_mathjax(script):
    told = f"{script.filename} {script.attributes.get('body')}".lower()
    return "mathjax" in told
