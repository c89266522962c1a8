"""Reading on a phone, in the dark and on paper."""

import re
from io import BytesIO

import pytest
from pypdf import PdfReader

import cnnlib
from tests.browser.conftest import CHAPTERS, PAGES, SITE

OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"
SHOWN = "element => element.checkVisibility() && element.clientWidth > 0"
CUT = """elements => elements.filter(element => element.checkVisibility()
    && element.scrollWidth > element.clientWidth + 1)"""
MARKED = "e => getComputedStyle(e).backgroundImage.split('linear-gradient').length > 4"
SCROLL = ".scroll, .pst-scrollable-table-container, .text_html, mjx-container[display]"


@pytest.mark.parametrize("path", CHAPTERS)
def test_on_a_phone_code_breaks_and_what_is_printed_can_be_read(visit, path):
    with visit(path, 390, wait="load") as page:
        folded = page.locator("details:not([open]) pre")
        assert folded.count() > 5
        # The theme asks, and would lay each out
        widths = "all => all.map(e => e.scrollWidth).filter(width => width)"
        assert folded.evaluate_all(widths) == []
        page.evaluate(OPEN)
        # They had no width when they were asked whether they scroll
        scrolls = page.locator('details [tabindex="-1"]:is(pre, .output)')
        assert scrolls.evaluate_all(f"all => ({CUT})(all).length") == 0
        code = page.locator(".cell_input pre")
        assert code.count() > 20
        assert code.evaluate_all(f"all => ({CUT})(all).length") == 0
        printed = page.locator(".cell_output pre:not(.wide)")
        assert printed.count() > 5
        assert (
            printed.evaluate_all(f"all => ({CUT})(all).map(e => e.textContent)") == []
        )
        size = (
            "all => Math.min(...all.map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert printed.evaluate_all(size) >= 8.5


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_what_scrolls_sideways_shows_that_there_is_more(visit, path):
    with visit(path, 390) as page:
        page.evaluate(OPEN)
        scrolling = page.locator(f".cell_output pre.wide, {SCROLL}")
        bare = f"all => ({CUT})(all).filter(e => !({MARKED})(e)).map(e => e.outerHTML)"
        assert scrolling.evaluate_all(bare) == []


def test_few_results_are_too_wide_for_a_phone():
    texts = [(SITE / path).read_text(encoding="utf-8") for path in CHAPTERS]
    printed = sum(text.count('<div class="output stream') for text in texts)
    wide = sum(text.count('<pre class="wide"') for text in texts)
    assert printed > 300 and wide <= 0.07 * printed


@pytest.mark.parametrize("path", CHAPTERS)
def test_in_the_dark_plots_are_dark_and_photographs_are_not_negatives(visit, path):
    with visit(path, scheme="dark", wait="load") as page:
        pictures = page.locator(".cell_output img")
        looks = "all => all.map(e => [e.dataset, getComputedStyle(e).filter])"
        found = pictures.evaluate_all(looks)
        assert found
        for marks, look in found:
            assert ("invert(1)" in look) == ("photograph" not in marks)
            assert ("saturate(1.5)" in look) == ("signed" in marks)


def test_photographs_are_never_filtered(visit):
    alt = 'alt="The (photograph|portrait)'
    paths = [path for path in CHAPTERS if re.search(alt, (SITE / path).read_text())]
    assert paths
    alts = 'img[alt^="The photograph"], img[alt^="The portrait"]'
    for path in paths:
        with visit(path, wait="load") as page:
            for picture in page.locator(alts).all():
                assert picture.get_attribute("data-photograph") == ""
                assert picture.evaluate("e => getComputedStyle(e).filter") == "none"


SOLID = "document.documentElement.dataset.theme"


def printed(page):
    return PdfReader(BytesIO(page.pdf(prefer_css_page_size=True))).pages


def test_paper_is_light_and_each_sheet_says_where_it_is_from(visit, repository):
    with visit("chapters/padding-stride.html", scheme="dark") as page:
        page.evaluate(f"addEventListener('beforeprint', () => window.seen = {SOLID})")
        sheets = printed(page)
        assert page.evaluate("window.seen") == "light"
        assert page.evaluate(SOLID) == "dark"
    owner, name = repository.split("/")[-2:]
    address = f"https://{owner.lower()}.github.io/{name}/chapters/padding-stride.html"
    assert len(sheets) > 5
    for number, sheet in enumerate(sheets, 1):
        text = sheet.extract_text()
        assert "Padding, stride and output size" in text
        assert f"(v{cnnlib.__version__})" in text
        assert address in text and f"{number} / {len(sheets)}" in text


def test_a_chapter_is_printed_without_code(visit):
    with visit("chapters/padding-stride.html") as page:
        whole = printed(page)
        page.evaluate("window.print = () => 0")
        page.evaluate(
            "document.querySelector('[onclick=\"printWithoutCode()\"]').click()"
        )
        short = printed(page)
        assert page.locator("html.no-code").count() == 0
    assert len(short) < 0.8 * len(whole)
    assert any("import torch" in sheet.extract_text() for sheet in whole)
    assert not any("import torch" in sheet.extract_text() for sheet in short)


INSIDE = """element => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
}"""


@pytest.mark.parametrize(
    "path", ["chapters/convolution.html", "chapters/densenet.html"]
)
def test_the_sidebar_shows_its_head_and_the_current_chapter(visit, path):
    with visit(path, 1280) as page:
        page.set_viewport_size({"width": 1280, "height": 600})
        page.reload()
        page.wait_for_timeout(300)
        sidebar = page.locator("#pst-primary-sidebar")
        for part in (".navbar-brand", ".search-button-field", "li.current > a"):
            assert sidebar.locator(part).first.evaluate(INSIDE), part
        search = sidebar.locator(".search-button-field").bounding_box()
        current = sidebar.locator("li.current > a").bounding_box()
        assert current["y"] > search["y"] + search["height"]


def test_the_drawers_of_a_phone_show_the_chapter_and_close_after_a_choice(visit):
    with visit("chapters/resnet.html", 390) as page:
        page.locator(".primary-toggle").click()
        drawer = page.locator("#pst-primary-sidebar-modal[open]")
        page.wait_for_timeout(400)
        assert drawer.locator("li.current > a").evaluate(INSIDE)
        page.keyboard.press("Escape")
        page.locator(".secondary-toggle").click()
        contents = page.locator("#pst-secondary-sidebar-modal[open]")
        contents.locator("a", has_text="Five depths, one table").click()
        page.wait_for_timeout(1200)
        assert contents.count() == 0
        assert page.locator("#five-depths-one-table h2").evaluate(INSIDE)


def test_the_first_tap_on_a_term_defines_it_and_the_second_follows_it(browser, address):
    context = browser.new_context(
        has_touch=True, viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    page.goto(f"{address}chapters/lenet.html")
    term = page.locator("a.term").first
    term.tap()
    page.locator("#definition:visible").wait_for()
    assert page.url.endswith("lenet.html")
    term.tap()
    page.wait_for_url("**/glossary.html#*")
    context.close()
