"""What figures of one chapter each have in common: stills, paper, the question."""

import pytest

from tests.browser import (
    test_ascent,
    test_depth_figure,
    test_detection_figure,
    test_freeze,
    test_pipes,
    test_verification_figure,
)
from tests.browser.conftest import LIVE, assert_accessible

# Modules with a FIGURE that asks for a guess, and the rows of its still form.
ASKING = {
    test_ascent: 17,
    test_depth_figure: 10,
    test_detection_figure: 7,
    test_verification_figure: 5,
}
ALL = ASKING | {test_freeze: 11, test_pipes: 6}


def name(module):
    return module.__name__.rpartition("test_")[2]


@pytest.mark.parametrize(("module", "rows"), ALL.items(), ids=map(name, ALL))
def test_without_a_script_the_still_form_is_there(sheet, module, rows):
    page = sheet(module.FIGURE, width=390, java_script_enabled=False)
    assert page.get_by_role("row").count() == rows
    for picture in page.locator(".still img").all():
        assert picture.is_visible()
        assert picture.evaluate("image => image.naturalWidth") > 99
    still = page.locator(".still")
    assert still.evaluate("still => getComputedStyle(still).overflowX") == "auto"


@pytest.mark.parametrize("module", ALL, ids=name)
def test_paper_has_the_still_form(sheet, module):
    page = sheet(module.FIGURE, width=390)
    page.wait_for_selector(LIVE)
    assert not page.locator(".still table").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator(".still table").first.is_visible()
    assert not page.locator(LIVE).is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("module", ASKING, ids=name)
def test_a_question_is_accessible_and_fits_a_phone(sheet, module, theme):
    page = sheet(module.FIGURE, width=390, theme=theme)
    page.wait_for_selector(LIVE)
    for act in (lambda: None, page.get_by_role("button", name=module.SKIP).click):
        act()
        assert_accessible(page)
        parts = page.locator(f":root, {LIVE} .panels")
        wide = "all => all.filter(e => e.scrollWidth > e.clientWidth).length"
        assert parts.evaluate_all(wide) == 0
