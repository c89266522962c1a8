"""The slider of gradient ascent and its guesses, used by mouse, keyboard and touch."""

import random
import re

import numpy as np
import pytest

from cnnlib import data, figures
from tests.browser.conftest import BEST, LIVE
from tests.test_ascent import KINDS, ROWS, STEPS, WAYS, grey

FIGURE = figures.ascent(STEPS, ROWS)
ASK, SKIP = "Ask the judge", "Skip the guesses"
NAMES = {"nothing": "no restraint", "all three": "all three restraints"}
INK = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
    return [...data].filter((_, index) => index % 4 === 0);
}"""
PLACES = """live => [...live.querySelectorAll(
    "canvas, input[type=range], select, .swap, .pair")].map(
    e => JSON.stringify(e.getBoundingClientRect())).join()"""


def to(page, way="nothing", kind=1, step=0):
    page.get_by_role("radio", name=NAMES[way], exact=True).check()
    page.get_by_role("combobox").select_option(str(KINDS.index(kind)))
    page.get_by_role("slider").fill(str(step))


def guess(page, choice, act="click"):
    getattr(page.get_by_role("radio", name=choice), act)()
    getattr(page.get_by_role("button", name=ASK), act)()


def told(page):
    """What the network says, and all that is said of the judge."""
    found = page.locator(f"{LIVE} [role=status]")
    return found.nth(0).inner_text(), found.nth(1).inner_text()


def words(of, kind, step):
    """What the figure says of an answer, in our own arithmetic."""
    name, best = data.CLASSES[kind], of["class"][step]
    wanted, sure = (f"{of[key][step] / 10:.1f} %" for key in ("wanted", "sure"))
    if best == kind:
        return f"{name}, {wanted}"
    return f"{data.CLASSES[best]}, {sure} ({name.lower()} {wanted})"


def recognised(way, who, step):
    return [100 * row[way]["shares"][who][step] for row in ROWS]


def test_pictures_and_words_are_those_of_the_experiment(page):
    page.get_by_role("button", name=SKIP).click()
    settings = [(w, k, s) for w in WAYS for k in KINDS for s in range(len(STEPS))]
    for way, kind, step in random.Random(0).sample(settings, 9):
        to(page, way, kind, step)
        ink = page.locator(f"{LIVE} canvas").evaluate(INK)
        expected = 255 - 17 * grey(ROWS[0], way, kind, step)
        assert (np.reshape(ink, (28, 28)) == expected).all()
        shown = ROWS[0][way]["shown"][str(kind)]
        network, judge = told(page)
        assert words(shown["own"], kind, step) in network.splitlines()
        assert words(shown["other seed"], kind, step) in judge.splitlines()
        shares = recognised(way, "other seed", step)
        pattern = r"recognises (\d+) % .*\((\d+) % to (\d+) % .*itself (\d+) %"
        said = list(map(int, re.search(pattern, judge).groups()))
        itself = np.mean(recognised(way, "own", step))
        expected = [np.mean(shares), min(shares), max(shares), itself]
        assert said == pytest.approx(expected, abs=0.6)
        label = page.get_by_role("img").get_attribute("aria-label")
        steps = "1 step" if STEPS[step] == 1 else f"{STEPS[step]} steps"
        name = data.CLASSES[kind].lower()
        assert label == f"The picture for {name} after {steps}, {NAMES[way]}"


def test_nothing_of_the_judge_is_shown_before_the_guess_of_that_way(page):
    for way in WAYS:
        to(page, way, 4, 3)
        _, judge = told(page)
        assert "Not shown before your guess." in judge and "%" not in judge
        assert f"Made with {NAMES[way]}" in page.locator("legend").nth(1).inner_text()
        page.get_by_role("button", name=ASK).click()
        missing = page.locator(f"{LIVE} .missing")
        assert missing.inner_text() == "Choose an answer first."
        guess(page, "few")
        network, judge = told(page)
        assert "guess" in judge.lower() and "%" in judge and "%" in network
    to(page, "nothing")
    assert "guess" in told(page)[1].lower()


@pytest.mark.parametrize("choice", ["nearly all", "some", "few"])
def test_a_guess_is_compared_in_words(page, choice):
    to(page, "nothing")
    guess(page, choice)
    share = np.mean(recognised("nothing", "other seed", -1))
    right = "nearly all" if share >= 80 else "some" if share >= 40 else "few"
    verdict = (
        f"As you guessed: {right}."
        if choice == right
        else (f"You guessed {choice}; it is {right}.")
    )
    assert verdict in told(page)[1]


def test_keys_alone_guess_and_move_the_slider(page):
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1 step"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "ou guessed" in told(page)[1]
    assert slider.evaluate("slider => document.activeElement === slider")
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "200 steps"


def test_a_finger_guesses_and_moves_the_slider(page):
    slider = page.get_by_role("slider")
    box = slider.bounding_box()
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert slider.get_attribute("aria-valuetext") == "200 steps"
    for target in page.locator(f"{LIVE} label:has([type=radio])").all():
        assert target.bounding_box()["height"] >= 24
    guess(page, "some", "tap")
    assert "ou guessed" in told(page)[1]


def test_two_on_a_page_keep_their_own_guesses(sheet):
    page = sheet(FIGURE, FIGURE, width=390, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 3000})
    first, second = (page.locator(LIVE).nth(place) for place in (0, 1))
    second.wait_for()
    second.get_by_role("radio", name="all three restraints").check()
    assert first.get_by_role("radio", name="no restraint").is_checked()
    second.get_by_label("few").check()
    first.get_by_label("some").check()
    assert second.get_by_label("few").is_checked()
    first.get_by_role("button", name=ASK).click()
    assert "ou guessed" in first.inner_text()
    assert "ou guessed" not in second.inner_text()


@pytest.mark.parametrize("width", [320, 390, 620, 1000])
def test_nothing_moves_and_a_step_takes_less_than_a_frame(sheet, width):
    page = sheet(FIGURE, width=width)
    page.wait_for_selector(LIVE)
    live = page.locator(LIVE)
    before = live.evaluate(PLACES)
    page.get_by_role("button", name=SKIP).click()
    for way in WAYS:
        for kind in KINDS:
            for step in range(len(STEPS)):
                to(page, way, kind, step)
                assert live.evaluate(PLACES) == before
    page.evaluate(BEST)
    took = page.get_by_role("slider").evaluate(
        """slider => best(() => {
            slider.value = 1;
            slider.dispatchEvent(new Event("input"));
        })"""
    )
    assert took < 16
    assert page.evaluate("document.getAnimations().length") == 0


def test_in_the_chapter_it_asks_before_the_judge(visit):
    with visit("chapters/seeing.html", width=390) as page:
        page.locator("[data-figure=ascent]").scroll_into_view_if_needed()
        live = page.locator(f"[data-figure=ascent]{LIVE}")
        live.wait_for()
        assert "Not shown before your guess." in live.inner_text()
        live.get_by_label("few").check()
        live.get_by_role("button", name=ASK).click()
        assert "ou guessed" in live.inner_text()
