"""Print the built site as one PDF with contents, bookmarks and page numbers.

usage: python -m tools.pdf [OUTPUT]

Every page of _toc.yml is printed by headless Chromium from _build/html, with its
solutions unfolded and live figures in their still form. The parts are joined in the
order of the contents; a link from one page to another becomes a jump.
"""

import sys
from html import escape
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag

import yaml
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject, NullObject

from tools.browser import ROOT, SITE, chromium

UNFOLD = """async () => {
    document.querySelectorAll("details").forEach(details => details.open = true);
    const images = [...document.images];
    images.forEach(image => image.loading = "eager");
    await document.fonts.ready;
    await Promise.all(images.map(image => image.decode().catch(() => {})));
}"""
NUMBERS = """
@page { @bottom-center { content: counter(page); font: 9pt sans-serif; color: #555; } }
html { counter-reset: page %d; }
"""
CONTENTS = """<!doctype html><html lang="en"><title>Contents</title><style>
@page { size: A4; margin: 25mm 20mm; }
body { font: 11pt/1.5 sans-serif; } h1 { font-size: 26pt; line-height: 1.2; }
h2 { font-size: 12pt; margin: 1.2em 0 0.2em; }
p { display: flex; margin: 0; } a { color: inherit; text-decoration: none; flex: 1; }
</style><h1>%s</h1><p>%s</p>%s</html>"""


class Part(NamedTuple):
    """A printed page of the site; `first` is the number of its first sheet, from 0."""

    address: str
    title: str
    pdf: bytes
    first: int
    sheets: int


def pages(toc):
    """(caption of the part or None, path of the page) in reading order."""
    yield None, toc["root"]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            yield part["caption"], chapter["file"]


def printed(tab, address, first):
    """A `Part`: the page at `address`, its sheets numbered from `first` + 1."""
    tab.goto(address)
    tab.evaluate(UNFOLD)
    tab.add_style_tag(content=NUMBERS % first)
    title = tab.locator("article h1").evaluate("heading => heading.firstChild.data")
    pdf = tab.pdf(
        prefer_css_page_size=True, print_background=True, tagged=True, outline=True
    )
    return Part(address, title, pdf, first, len(PdfReader(BytesIO(pdf)).pages))


def contents(tab, title, author, captions, parts):
    """The first sheets: titles of all parts and the numbers of their first sheets."""
    lines, caption = [], None
    for part, its_caption in zip(parts, captions, strict=True):
        if its_caption != caption:
            caption = its_caption
            lines.append(f"<h2>{escape(caption)}</h2>")
        entry = f'<a href="{part.address}">{escape(part.title)}</a>{part.first + 1}'
        lines.append(f"<p>{entry}</p>")
    tab.set_content(CONTENTS % (escape(title), escape(author), "".join(lines)))
    pdf = tab.pdf(prefer_css_page_size=True)
    return Part("", "Contents", pdf, 0, len(PdfReader(BytesIO(pdf)).pages))


def joined(front, parts, title):
    """One PDF of `front` and `parts`, with bookmarks, and links that jump."""
    book = PdfWriter()
    starts, places, sheet = {}, {}, 0
    for part in (front, *parts):
        reader = PdfReader(BytesIO(part.pdf))
        number = reader.get_destination_page_number
        starts[part.address] = sheet
        for name, place in reader.named_destinations.items():
            places[part.address, name.lstrip("/")] = sheet + number(place), place.top
        book.append(reader, import_outline=False)
        bookmark = book.add_outline_item(title=part.title, page_number=sheet)
        for heading in sections(reader.outline):
            book.add_outline_item(
                title=heading.title,
                page_number=sheet + number(heading),
                parent=bookmark,
            )
        sheet += part.sheets
    for part in (front, *parts):
        for page in book.pages[starts[part.address] :][: part.sheets]:
            for link in page.get("/Annots", []):
                redirect(book, link.get_object(), part.address, starts, places)
    book.add_metadata({"/Title": title})
    book.page_mode = "/UseOutlines"
    file = BytesIO()
    book.write(file)
    return file.getvalue()


def sections(outline):
    """The headings of the second level: an outline is a list of headings, a list
    behind a heading holds those below it."""
    below = [item for item in outline if isinstance(item, list)]
    return [h for items in below for h in items if not isinstance(h, list)]


def redirect(book, link, address, starts, places):
    """Let a link to a printed page jump there; leave the web alone, and let a link to
    another file of the site lead nowhere."""
    target = link.get("/A", {}).get("/URI")
    if target is None:
        target = "#" + str(link.get("/Dest", "")).lstrip("/")
    page, fragment = urldefrag(target)
    page = page.partition("?")[0] or address
    if page.startswith("file:"):
        link.pop("/A", None)
    if page not in starts:
        return
    sheet, top = places.get((page, unquote(fragment)), (starts[page], None))
    top = NullObject() if top is None else top
    place = [
        book.pages[sheet].indirect_reference,
        NameObject("/XYZ"),
        NullObject(),
        top,
    ]
    link[NameObject("/Dest")] = ArrayObject([*place, NullObject()])


def main(output=ROOT / "_build" / "book.pdf"):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    captions, files = zip(*pages(toc), strict=True)
    parts = []
    with chromium("--allow-file-access-from-files") as browser:
        tab = browser.new_page(color_scheme="light")
        tab.emulate_media(media="print")
        for file in files:
            first = sum(part.sheets for part in parts)
            parts.append(printed(tab, (SITE / f"{file}.html").as_uri(), first))
            print(f"{parts[-1].title}: {parts[-1].sheets} pages", flush=True)
        front = contents(tab, config["title"], config["author"], captions, parts)
    pdf = joined(front, parts, config["title"])
    output = Path(output)
    output.write_bytes(pdf)
    print(f"The book: {output}, {front.sheets} + {first + parts[-1].sheets} pages")


if __name__ == "__main__":
    main(*sys.argv[1:])
