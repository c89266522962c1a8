"""Terms in the text: linked once, defined on the spot, for mouse and keyboard."""

import pytest

from tests.browser.conftest import CHAPTERS

LENET = "chapters/lenet.html"
TERM = "a.term[href$='#receptive-field']"


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_links_each_term_at_its_first_use_only(visit, path):
    with visit(path, javascript=False) as page:
        links = page.locator("a.term").evaluate_all("all => all.map(a => a.hash)")
        assert len(links) > 5
        assert len(set(links)) == len(links)
        assert page.locator(":is(h1, h2, h3, pre, code, a) a.term").count() == 0


def test_hovering_shows_the_definition_without_another_host(visit):
    with visit(LENET) as page:
        page.locator(TERM).hover()
        box = page.locator("#definition:visible")
        box.wait_for()
        assert box.locator("dt").inner_text().startswith("receptive field")
        assert "感受野" in box.inner_text() and "depends on" in box.inner_text()
        box.hover()  # the definition itself may be pointed at
        page.wait_for_timeout(300)
        assert box.is_visible()
        page.mouse.move(0, 0)
        page.wait_for_selector("#definition", state="hidden")
        assert page.seen.foreign == [] and page.seen.errors == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_keyboard_shows_it_inside_the_window_and_escape_hides_it(visit, width):
    with visit(LENET, width=width) as page:
        for term in page.locator("a.term").all():
            term.focus()
            page.wait_for_selector("#definition:visible")
            assert term.get_attribute("aria-describedby") == "definition"
            place = page.locator("#definition").bounding_box()
            assert place["x"] >= 0 and place["x"] + place["width"] <= width
            page.keyboard.press("Escape")
            assert not page.locator("#definition").is_visible()
            assert term.get_attribute("aria-describedby") is None


def test_a_term_leads_to_its_entry(visit, address):
    with visit(LENET) as page:
        page.locator(TERM).click()
        assert page.url == f"{address}book/glossary.html#receptive-field"
        page.locator("dt#receptive-field").wait_for()
