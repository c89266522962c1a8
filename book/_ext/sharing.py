"""What a link to a page shows elsewhere: a title with the name of the book, the
sentence of book/descriptions.yml, and a card with both, drawn when the site is built;
and what a reference manager reads.
"""

import os
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from html import escape
from pathlib import Path

import yaml
from PIL import Image, ImageDraw, ImageFont

DESCRIPTIONS = Path(__file__).parents[1] / "descriptions.yml"
SIZE = 1200, 630  # pixels, what networks expect
LEFT, BLUE, ORANGE, INK, SOFT = 90, "#2f7de1", "#f26430", "#16202b", "#4a5664"


def setup(app):
    # before sphinxext.opengraph, which reads what is set here
    app.connect("html-page-context", describe, priority=400)
    app.connect("build-finished", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@cache
def descriptions():
    return yaml.safe_load(DESCRIPTIONS.read_text(encoding="utf-8"))


def describe(app, page, template, context, tree):
    if page not in descriptions():
        return
    text, title = descriptions()[page], app.env.titles[page].astext()
    book = app.config.ogp_site_name
    said = {"description": text, "citation_title": title, "citation_book_title": book}
    said |= {
        "citation_author": app.config.author,
        "citation_publication_date": app.config.copyright,
        "citation_public_url": f"{app.config.html_baseurl}{page}.html",
    }
    context["metatags"] += "".join(
        f'<meta name="{name}" content="{escape(value)}" />'
        for name, value in said.items()
    )
    context["meta"] = (context["meta"] or {}) | {
        "og:title": title if title == book else f"{title} - {book}",
        "og:description": text,
        "og:image": f"{app.config.ogp_site_url}_static/{card(page)}",
        "og:image:alt": f"{title}. {text}",
    }


def card(page):
    return f"card-{page.rpartition('/')[2]}.png"


def draw_all(app, problem):
    if problem is None and app.builder.format == "html":
        book, titles = app.config.ogp_site_name, app.env.titles

        def write(page):
            drawn = draw(titles[page].astext(), descriptions()[page], book)
            drawn.save(Path(app.outdir, "_static", card(page)), optimize=True)

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets others work
            list(pool.map(write, titles.keys() & descriptions()))


def draw(title, text, book):
    """The card of a page, with the mark of the book: a window that becomes a pixel."""
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    for row in range(3):
        for column in range(3):
            x, y = LEFT + 34 * column, 64 + 34 * row
            pen.rectangle([x, y, x + 28, y + 28], fill=BLUE)
    pen.line([LEFT + 100, 162, LEFT + 122, 184], fill=ORANGE, width=4)
    pen.rectangle([LEFT + 122, 184, LEFT + 150, 212], fill=ORANGE)
    lines = textwrap.wrap(title, 26)
    heading = "\n".join(lines)
    large, small = ImageFont.load_default(72), ImageFont.load_default(36)
    pen.text((LEFT, 240), heading, INK, large, spacing=12)
    words = "\n".join(textwrap.wrap(text, 56))
    pen.text((LEFT, 262 + 86 * len(lines)), words, SOFT, small, spacing=10)
    if title != book:
        pen.text((LEFT + 190, 92), book, INK, small)
    return picture.quantize(64)
