"""The two sliders of frozen stages and pictures, used by keyboard and touch."""

import numpy as np
import pytest

from cnnlib import figures
from tests.browser.conftest import LIVE, assert_accessible

SIZES = (5, 20, 100, 500)
LEARNT = np.linspace(0.3, 0.9, 60).reshape(3, 5, 4)
FIGURE = figures.freeze(SIZES, {"learnt": LEARNT, "random": LEARNT - 0.2})


def percent(share):
    return f"{100 * share:.1f} %"


@pytest.mark.parametrize(("size", "frozen"), [(0, 4), (1, 3), (3, 0)])
def test_the_sliders_show_what_the_table_says(page, size, frozen):
    page.get_by_role("slider", name="Pictures of each kind").fill(str(size))
    page.get_by_role("slider", name="Frozen stages").fill(str(frozen))
    runs = np.round(LEARNT[:, 4 - frozen, size], 3)
    status = page.locator(f"{LIVE} [role=status]").inner_text()
    assert f"{percent(runs.mean())} right" in status
    assert f"{percent(runs.min())} to {percent(runs.max())} over 3 seeds" in status
    scratch = np.round(LEARNT[:, 4, size] - 0.2, 3).mean()
    assert f"From scratch: {percent(scratch)}" in status
    chosen = page.locator(f"{LIVE} .chosen")
    assert chosen.locator("span").first.inner_text() == f"{frozen or 'none'} frozen"
    assert chosen.locator(".dot").count() == 3
    words = page.locator(f"{LIVE} .net li").all_inner_texts()
    assert [word.partition(": ")[2] for word in words] == [
        *["frozen"] * frozen,
        *["trained"] * (4 - frozen),
        "new",
    ]


def test_keys_move_the_sliders_and_say_so(page):
    frozen = page.get_by_role("slider", name="Frozen stages")
    frozen.focus()
    page.keyboard.press("ArrowLeft")
    assert frozen.get_attribute("aria-valuetext") == "3 of 4 stages"
    page.keyboard.press("Home")
    assert frozen.input_value() == "0"
    assert "random stages" not in page.locator(f"{LIVE} [role=status]").inner_text()


def test_a_finger_moves_a_slider(page):
    pictures = page.get_by_role("slider", name="Pictures of each kind")
    box = pictures.bounding_box()
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert pictures.get_attribute("aria-valuetext") == "500 pictures"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(page, theme):
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert_accessible(page)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
