"""The glossary as a page: terms in alphabetical order, in English and Chinese."""

from html import escape

import yaml

ENTRY = """<div><dt id="{anchor}">{term} <span lang="zh">{chinese}</span></dt>
<dd>{text}</dd></div>"""


def page(path):
    """The terms of the file glossary.yml as a list of definitions in HTML."""
    terms = yaml.safe_load(path.read_text(encoding="utf-8"))
    ordered = sorted(terms.items(), key=lambda item: item[1]["term"].lower())
    rows = []
    for anchor, entry in ordered:
        cells = {key: escape(entry[key]) for key in ("term", "chinese", "text")}
        rows.append(ENTRY.format(anchor=anchor, **cells))
    return '<dl class="glossary">\n{}\n</dl>'.format("\n".join(rows))
