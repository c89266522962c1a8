"""Drawings of `cnnlib.diagrams` stand in the page itself, not in an <img>: their text
can be searched, selected and read out, and their colours follow the page.
"""

from pathlib import Path

from docutils import nodes


def setup(app):
    app.connect("doctree-resolved", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def insert(app, tree, page):
    if app.builder.format != "html":
        return
    for image in list(tree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            svg = Path(app.srcdir, image["uri"]).read_text(encoding="utf-8")
            if 'class="diagram"' in svg:
                frame = f'<div class="drawing">{svg}</div>'
                image.replace_self(nodes.raw("", frame, format="html"))
