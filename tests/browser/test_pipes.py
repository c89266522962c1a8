"""The pipes of an Inception module, used by keyboard and touch."""

import pytest

from cnnlib import costs
from cnnlib.figures import pipes
from cnnlib.models.googlenet import Inception
from tests.browser.conftest import LIVE, assert_accessible

FIGURE = pipes()


def branches(page):
    return page.locator(f"{LIVE} .head b:last-child").all_inner_texts()


@pytest.mark.parametrize("taps", [(96, 16, 32), (1, 192, 7), (150, 155, 192)])
def test_every_branch_costs_what_cnnlib_counts(page, taps):
    for tap, width in zip(page.locator("input[type=range]").all(), taps, strict=True):
        tap.fill(str(width))
    three, five, projection = taps
    net = Inception(192, 64, three, 128, five, 32, projection)
    table = costs.table(net, (192, 28, 28))
    assert branches(page) == [f"{row.macs / 1e6:.1f} M" for row in table]
    total = page.locator(f"{LIVE} [role=status] .sum").inner_text()
    out = 64 + 128 + 32 + projection
    assert total == f"{table.macs / 1e6:.1f} M multiplications, {out} channels out"


def thickness(page, branch):
    """Height of the last layer's pipe, of the drawing's 72."""
    points = page.locator(f"{LIVE} svg").nth(branch).locator(".second")
    numbers = points.get_attribute("points").replace(",", " ").split()
    return float(numbers[-1]) - float(numbers[1])


def test_pulling_the_tap_shrinks_the_pipe(page):
    tap = page.get_by_label("5x5 tap")
    tap.fill("192")
    wide = thickness(page, 2)
    tap.focus()
    page.keyboard.press("Home")
    assert page.get_by_label("5x5 tap: 1 channels").input_value() == "1"
    assert thickness(page, 2) == 1 < wide / 40
    tap.fill("16")
    assert thickness(page, 2) == pytest.approx(70 * 10_035_200 / 173_408_256)
    assert branches(page)[2] == "12.4 M"


def test_without_taps_the_module_is_the_naive_one(page):
    page.get_by_label("with 1x1 convolutions").tap()
    assert branches(page) == ["9.6 M", "173.4 M", "120.4 M", "0.0 M"]
    assert "416 channels out" in page.locator(f"{LIVE} [role=status]").inner_text()
    assert page.locator("input[type=range]:disabled").count() == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pipes_are_accessible_and_fit_a_phone(page, theme):
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert_accessible(page)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
