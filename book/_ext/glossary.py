"""The first use of a term of the glossary in a chapter links to its definition.

Only the built pages have these links; the notebooks stay as they are.
"""

import re
from functools import cache
from pathlib import Path

import yaml
from docutils import nodes

TERMS = Path(__file__).parents[1] / "glossary.yml"
PAGE = "book/glossary"
# Text in these is not prose, or leads elsewhere already.
CLOSED = (nodes.reference, nodes.literal, nodes.math, nodes.raw)


def setup(app):
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def link_terms(app, tree, name):
    """Link the first use of every term, paragraph by paragraph."""
    if not name.startswith("chapters/"):
        return
    page = app.builder.get_relative_uri(name, PAGE)
    wanted = {a: entry for a, entry in terms().items() if entry.get("link", True)}
    patterns = {anchor: pattern(entry) for anchor, entry in wanted.items()}
    linked = set()
    for paragraph in tree.findall(nodes.paragraph):
        for text in list(paragraph.findall(nodes.Text)):
            if not _inside(text, CLOSED):
                pieces = split(str(text), patterns, page, linked)
                if len(pieces) > 1:
                    text.parent.replace(text, pieces)


@cache
def terms():
    return yaml.safe_load(TERMS.read_text(encoding="utf-8"))


def pattern(entry):
    """What counts as a use of the term: its forms, one by one or several."""
    forms = [entry["term"], *entry.get("also", [])]
    either = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in forms)
    return re.compile(rf"(?<![\w-])(?:{either})s?(?![\w-])", re.IGNORECASE)


def split(text, patterns, page, linked):
    """Text and links. Of two terms at the same place the longer one wins, and what is
    in `linked` already stays text; the terms that get a link are added to it."""
    found = [(use, anchor) for anchor, p in patterns.items() if (use := p.search(text))]
    if not found:
        return [nodes.Text(text)]
    use, anchor = min(found, key=lambda pair: (pair[0].start(), -pair[0].end()))
    behind = text[use.end() :]
    if anchor in linked:
        rest = split(behind, patterns, page, linked)
        if isinstance(rest[0], nodes.Text):
            rest[0] = nodes.Text(text[: use.end()] + rest[0])
            return rest
        return [nodes.Text(text[: use.end()]), *rest]
    linked.add(anchor)
    address = f"{page}#{anchor}"
    link = nodes.reference("", use[0], internal=True, refuri=address, classes=["term"])
    before = [nodes.Text(text[: use.start()])] if use.start() else []
    return [*before, link, *split(behind, patterns, page, linked)]


def _inside(node, kinds):
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False
