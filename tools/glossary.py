"""The glossary as a page: terms in alphabetical order, in English and Chinese, each
with the chapter that teaches it."""

from html import escape

import yaml

ENTRY = """<div><dt id="{anchor}">{term} <span lang="zh">{chinese}</span></dt>
<dd>{text}{where}</dd></div>"""
WHERE = ' <a class="taught" href="../{page}.html">{name}</a>'


def page(path, titles):
    """The terms of the file glossary.yml as a list of definitions in HTML.

    `titles` are those of the pages that a term may lead to, {"chapters/vgg": "VGG"}.
    """
    terms = yaml.safe_load(path.read_text(encoding="utf-8"))
    ordered = sorted(terms.items(), key=lambda item: item[1]["term"].lower())
    rows = []
    for anchor, entry in ordered:
        cells = {key: escape(entry[key]) for key in ("term", "chinese", "text")}
        where = "".join(
            WHERE.format(page=taught, name=escape(titles[taught]))
            for taught in entry.get("pages", [])[:1]
            if taught in titles
        )
        rows.append(ENTRY.format(anchor=anchor, where=where, **cells))
    return '<dl class="glossary">\n{}\n</dl>'.format("\n".join(rows))
