"""What a reader meets on the built site, in Chromium and without a network."""

import json
import os
import re
import sysconfig
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

import pytest

import cnnlib
from tests.browser.conftest import CHAPTERS, PAGES, SITE, assert_accessible
from tools.browser import ROOT, sent

# Bytes of a page with all it loads, compressed, and of what its first paint waits for.
LIMITS = dict.fromkeys(CHAPTERS, 700_000) | {"book/index.html": 150_000}
FIRST_PAINT = 200_000
WIDTHS = (390, 768, 1024, 1280, 2560)
STRETCHED = """images => images.filter(image => {
    const natural = image.naturalWidth / image.naturalHeight;
    return Math.abs(natural / (image.width / image.height) - 1) > 0.02;
}).map(image => image.alt)"""
# Opens what is folded, and spares axe a minute of repetition: of the ledger, whose rows
# come from one template, 40 stay; of the code, ten blocks keep their colours.
PREPARE = """
document.querySelectorAll("details").forEach(details => details.open = true);
document.querySelectorAll("#ledger tbody tr:nth-child(n + 41)")
    .forEach(row => row.remove());
[...document.querySelectorAll("pre")].slice(10)
    .forEach(pre => pre.textContent = pre.textContent);
"""


class Page(HTMLParser):
    """Links, ids and meta data of an HTML file."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.meta = [], set(), {}
        self.feed((SITE / path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]
        if tag == "meta" and "content" in attrs:
            self.meta[attrs.get("property") or attrs.get("name")] = attrs["content"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_accessible_and_fits_every_width(visit, path, scheme, width):
    with visit(path, width, scheme) as page:
        assert page.locator("html").get_attribute("data-theme") == scheme
        broken = page.locator("img").evaluate_all(
            "images => images.filter(i => !i.naturalWidth && i.loading != 'lazy')"
            ".map(i => i.src)"
        )
        assert broken == []
        assert page.locator("article img").evaluate_all(STRETCHED) == []
        formulas = page.locator(".math").count()
        assert page.locator("mjx-container").count() == formulas
        prose = "\n".join(page.locator("article :is(p, li)").all_inner_texts())
        assert "$" not in prose and r"\(" not in prose
        assert page.seen.foreign == []
        assert page.seen.failed == []
        assert page.seen.errors == []
        page.evaluate(PREPARE)
        page.wait_for_function("document.getAnimations().length === 0")
        assert_accessible(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            root = "document.documentElement"
            over = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
            assert over <= 0, f"scrolls sideways by {over} px at {width} px"


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_begins_with_its_title_and_hides_its_solutions(visit, path):
    with visit(path, wait="load") as page:
        shown = page.locator("article :is(h1, h2, p, pre):visible")
        assert shown.first.evaluate("element => element.tagName") == "H1"
        folded = page.locator(".cell.tag_solution details")
        assert folded.count() > 0, "no solution"
        for i in range(folded.count()):
            assert not folded.nth(i).locator("pre").first.is_visible()
        folded.first.locator("summary").press("Enter")
        assert folded.first.locator("pre").first.is_visible()


@pytest.mark.parametrize("path", LIMITS)
def test_a_page_is_light_enough(visit, path):
    with visit(path) as page:
        page.wait_for_load_state("networkidle")
        files = {name.split("/", 2)[2] for name in page.seen.files}
    total = sum(len(sent(SITE / file)) for file in files)
    assert total <= LIMITS[path], f"{total:,} bytes"
    # the theme's fonts are fetched for an icon that book/_static/icons lacks
    assert not any("fontawesome" in file or "searchindex" in file for file in files)


@pytest.mark.parametrize("path", PAGES)
def test_little_stands_before_the_first_paint(path):
    """Style sheets, and one small script: the others wait until the page is parsed.
    `make speed` measures the times, which a busy machine would make a weak test."""
    head = (SITE / path).read_text(encoding="utf-8").partition("</head>")[0]
    styles = re.findall(r'<link[^>]*href="([^"?]+)[^>]*rel="stylesheet"', head)
    styles += re.findall(r'<link rel="stylesheet"[^>]*href="([^"?]+)', head)
    scripts = re.findall(r'<script src="([^"?]+)', head)
    assert [script.rpartition("/")[2] for script in scripts] == [
        "documentation_options.js"
    ]
    files = [(SITE / path).parent / file for file in (*styles, *scripts)]
    total = sum(len(sent(file.resolve())) for file in (*files, SITE / path))
    assert len(styles) > 5 and total <= FIRST_PAINT, f"{total:,} bytes"


# One element of each kind, with what stands before and after it.
STYLES = """selector => {
    const kinds = new Map();
    for (const element of document.querySelectorAll(selector)) {
        const {tagName, className, parentElement} = element;
        const kind = [tagName, className, parentElement?.className].join(" / ");
        if (!kinds.has(kind)) kinds.set(kind, element);
    }
    const style = (element, part) => {
        const rules = getComputedStyle(element, part);
        const names = part && rules.content == "none" ? [] : [...rules];
        return names.map(name => `${name}: ${rules.getPropertyValue(name)}`).join();
    };
    const styles = element =>
        [null, "::before", "::after"].map(part => style(element, part));
    return Object.fromEntries(
        [...kinds].map(([kind, element]) => [kind, styles(element)]));
}"""


PACKAGES = Path(sysconfig.get_path("purelib"))
PYDATA = "pydata_sphinx_theme/theme/pydata_sphinx_theme/static/styles"
BOOK = "sphinx_book_theme/theme/sphinx_book_theme/static/styles"
SHEETS = {
    r"pydata-sphinx-theme\.css": PACKAGES / PYDATA / "pydata-sphinx-theme.css",
    r"sphinx-book-theme\.css": PACKAGES / BOOK / "sphinx-book-theme.css",
    r"mystnb\.\w+\.css": PACKAGES / "myst_nb/static/mystnb.css",
}


def answer(path, asked, route):
    asked.append(path)
    route.fulfill(path=path)


@pytest.mark.skipif("BOOK_SITE" in os.environ, reason="built with other packages")
@pytest.mark.parametrize(
    ("path", "scheme", "width"),
    [("book/index.html", "light", 390), ("chapters/transfer.html", "dark", 1280)],
)
def test_rules_that_were_left_out_change_nothing(visit, path, scheme, width):
    """Elements have the styles that the sheets give them that the packages install: on
    a tooltip, on the page with its dialogs open, and on paper."""

    def styles():
        page.evaluate("document.fonts.ready")
        page.add_style_tag(content="* { transition: none !important; }")
        page.locator("[data-bs-toggle=tooltip]:visible").first.hover()
        page.locator(".tooltip.show").wait_for()
        tip = page.evaluate(STYLES, ".tooltip, .tooltip *")
        page.mouse.move(0, 0)
        page.locator(".tooltip").wait_for(state="detached")
        dialogs = page.locator("dialog")
        dialogs.evaluate_all("dialogs => dialogs.forEach(dialog => dialog.show())")
        shown = page.evaluate(STYLES, "*")
        page.emulate_media(media="print")
        printed = page.evaluate(STYLES, "*")
        page.emulate_media(media="screen")
        return tip, shown, printed

    with visit(path, width, scheme) as page:
        ours = styles()
        asked = []
        for name, path in SHEETS.items():
            page.route(re.compile(name), partial(answer, path, asked))
        page.reload()
        theirs = styles()
        assert len(set(asked)) == 3 and len(ours[0]) > 1 and len(ours[1]) > 100
        for one, other in zip(ours, theirs, strict=True):
            assert one.keys() == other.keys()
            changed = [kind for kind in one if one[kind] != other[kind]]
            assert changed == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_pictures_keep_their_place_and_wait_until_they_are_near(path):
    text = (SITE / path).read_text(encoding="utf-8")
    pictures = re.findall(r'<img [^>]*src="\.\./_images/[^>]*>', text)
    assert pictures
    for picture in pictures:
        for attribute in (r'width="\d+"', r'height="\d+"', 'loading="lazy"'):
            assert len(re.findall(f" {attribute}", picture)) == 1, picture


def test_formulas_need_no_script(visit):
    signs = """signs => signs.map(sign => getComputedStyle(sign, "::before").content)"""
    with visit("chapters/backpropagation.html", javascript=False) as page:
        found = page.locator(".math mjx-container mjx-c").evaluate_all(signs)
        assert len(found) > 500 and "none" not in found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_or_dark_is_settled_before_the_page_is_drawn(visit, scheme):
    with visit("book/index.html", scheme=scheme) as page:
        page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
        page.evaluate("localStorage.clear()")
        page.reload()
        assert page.locator("html").get_attribute("data-theme") == scheme


@pytest.mark.parametrize("path", CHAPTERS)
def test_colab_opens_the_released_notebook(path, repository):
    place = urlsplit(repository).path
    notebook = path.replace(".html", ".ipynb")
    tag = f"v{cnnlib.__version__}"
    colab = f"https://colab.research.google.com/github{place}/blob/{tag}/{notebook}"
    found = [link for link in Page(path).links if "//colab." in link]
    # The theme's button and the line below the opening; and the cells of the exercises
    # that ask for code, at least two.
    assert found.count(colab) == 2
    cells = {cell["id"] for cell in json.loads((ROOT / notebook).read_text())["cells"]}
    asked = [link.removeprefix(f"{colab}#scrollTo=") for link in found if link != colab]
    assert len(asked) >= 2 and set(asked) <= cells


@pytest.mark.parametrize("path", PAGES)
def test_the_issue_button_leads_to_the_form(path, repository):
    page = quote(path, safe="")
    form = f"{repository}/issues/new?template=statement.yml&page={page}"
    assert [link for link in Page(path).links if "/issues/new" in link] == [form]


def test_prose_has_65_to_75_characters_a_line(visit):
    """The mean over all lines that go on: not the last of a paragraph, no formulas."""
    lengths = """() => [...document.querySelectorAll("article section > p")]
        .filter(p => p.checkVisibility() && !p.querySelector(".math"))
        .flatMap(p => {
            const lines = [], range = document.createRange();
            const texts = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
            for (let text; (text = texts.nextNode());)
                for (let at = 0; at < text.length; at++) {
                    range.setStart(text, at);
                    range.setEnd(text, at + 1);
                    const box = range.getBoundingClientRect();
                    if (box.top >= (lines.at(-1)?.bottom ?? 0))
                        lines.push({bottom: box.bottom, length: 0});
                    lines.at(-1).length++;
                }
            return lines.slice(0, -1).map(line => line.length);
        })"""
    with visit(CHAPTERS[0]) as page:
        found = page.evaluate(lengths)
    assert len(found) > 50
    assert 65 <= sum(found) / len(found) <= 75


def test_code_has_88_columns_beside_both_side_bars(visit):
    room = """box => {
        const probe = document.createElement("span");
        probe.textContent = "x".repeat(88);
        probe.style.whiteSpace = "nowrap";
        box.append(probe);
        const style = getComputedStyle(box);
        const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
        return (box.clientWidth - padding) / probe.offsetWidth;
    }"""
    with visit(CHAPTERS[0]) as page:
        code = page.locator("div.cell:not(.tag_setup) > div.cell_input pre").first
        assert code.evaluate(room) >= 1


def test_internal_links_lead_somewhere():
    pages = {path: Page(path) for path in [*PAGES, "index.html", "search.html"]}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            place, fragment = urldefrag(urljoin(path, link.partition("?")[0]))
            place = unquote(place) or path
            known = place not in pages or not fragment or fragment in pages[place].ids
            if not (SITE / place).is_file() or not known:
                broken.append(f"{path}: {link}")
    assert broken == []


@pytest.mark.parametrize("path", ["chapters/no-such-chapter.html", "deep/er/nothing"])
def test_an_unknown_address_gets_a_page_that_leads_back(visit, address, path):
    with visit(path) as page:
        assert page.seen.failed == [address + path], "a part of the page is lost"
        assert page.seen.foreign == []
        assert "does not exist" in page.locator("article h1").inner_text()
        page.locator("article a", has_text="first page").click()
        assert page.url == f"{address}book/index.html"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_social_preview(path):
    meta = Page(path).meta
    picture = meta["og:image"].rpartition("/_static/")[2]
    assert (SITE / "_static" / picture).is_file()
    for name in ("og:title", "og:url", "og:image:alt", "twitter:card"):
        assert meta.get(name), name
    for name in ("description", "og:description"):
        assert len(meta[name]) > 60, name


@pytest.mark.parametrize("path", PAGES)
def test_a_reference_manager_finds_what_to_cite(path):
    page = Page(path)
    names = ("title", "book_title", "author", "publication_date", "public_url")
    said = [page.meta.get(f"citation_{name}") for name in names]
    assert all(said)
    assert said[0] in page.meta["og:title"]
    assert said[-1].endswith(path)


def test_a_change_is_suggested_in_the_text_that_people_write(visit):
    for path in ("chapters/lenet.html", "book/glossary.html"):
        with visit(path) as page:
            link = page.locator(".btn-source-edit-button").get_attribute("href")
            text = link.partition("/edit/main/")[2]
            assert (ROOT / text).is_file(), link
            assert text.startswith("book/")


def test_no_two_pages_have_the_same_description():
    described = [Page(path).meta["description"] for path in PAGES]
    assert len(set(described)) == len(described)
