"""The threshold over stored pairs and its guess, used by mouse, keyboard and touch."""

import random

import pytest
import torch

from cnnlib import figures
from cnnlib.experiments.verification import area, equal_error
from cnnlib.figures.verification import summary
from tests.browser.conftest import BEST, LIVE
from tests.test_verification_figure import CODES

FIGURE = figures.verification(CODES)
SHOW, SKIP = "Show the distances", "Skip the guess"
KINDS = {"any": "any other garment", "class": "another of the same class"}
PLACES = """live => [...live.querySelectorAll(
    ".chart, input[type=range], select, .keys, .jumps, :scope > p")].map(
    e => JSON.stringify(e.getBoundingClientRect())).join()"""


def status(page):
    return page.locator(f"{LIVE} .swap > [role=status]").inner_text()


def slider(page):
    return page.get_by_role("slider", name="Threshold")


def set_to(page, name, kind, step):
    page.get_by_role("combobox", name="Code").select_option(label=name)
    page.get_by_role("combobox", name="Strangers").select_option(label=KINDS[kind])
    slider(page).fill(str(step))


def top(name):
    return 200 * -(-max(max(found) for found in CODES[name].values()) // 200)


def test_nothing_is_shown_before_the_guess(page):
    charts = page.locator(f"{LIVE} .chart")
    for place in (0, 1):
        label = charts.nth(place).get_attribute("aria-label")
        assert label == "not shown before your guess"
    assert slider(page).is_disabled()
    assert page.locator(f"{LIVE} .curve").get_attribute("d") == ""
    page.get_by_role("button", name=SHOW).click()
    assert page.locator(f"{LIVE} .missing").inner_text() == "Choose an answer first."
    page.get_by_label("about 60").check()
    page.get_by_role("button", name=SHOW).click()
    _, rejected = summary(CODES["triplets"]["same"], CODES["triplets"]["any"])
    said = status(page)
    assert f"{100 * rejected:.1f} % rejected" in said
    assert f"{100 * rejected:.1f} % of right pairs are turned away" in said
    assert "You guessed: 60" in said
    assert page.locator(f"{LIVE} .curve").get_attribute("d").startswith("M0")


def test_the_numbers_are_those_of_python_at_random_settings(page):
    page.get_by_role("button", name=SKIP).click()
    draw = random.Random(0)
    for _ in range(40):
        name, kind = draw.choice(list(CODES)), draw.choice(list(KINDS))
        step = draw.randint(0, 200)
        set_to(page, name, kind, step)
        threshold = step * top(name) // 200
        same, strangers = CODES[name]["same"], CODES[name][kind]
        rejects = sum(distance > threshold for distance in same)
        accepts = sum(distance <= threshold for distance in strangers)
        said = status(page)
        shares = rejects / len(same), accepts / len(strangers)
        assert (
            f"{100 * shares[0]:.1f} % rejected, {100 * shares[1]:.1f} % let in" in said
        )
        assert f"{rejects} of {len(same)} right pairs" in said
        assert f"{accepts} of {len(strangers)} strangers" in said
        ours = torch.tensor(same), torch.tensor(strangers)
        assert f"equal error rate {100 * equal_error(*ours):.1f} %" in said
        assert f"area under the curve {area(*ours):.3f}" in said
        assert slider(page).get_attribute("aria-valuetext") == (
            f"threshold {threshold / 1000:.3f}"
        )
        dot = page.locator(f"{LIVE} .dot")
        place = [float(dot.get_attribute(axis)) for axis in ("cx", "cy")]
        assert place == pytest.approx([264 * shares[1], 164 * shares[0]])


def test_the_buttons_lead_to_equal_errors_and_to_one_in_a_hundred(page):
    page.get_by_role("button", name=SKIP).click()
    set_to(page, "pixels", "class", 10)
    page.get_by_role("button", name="Equal errors").tap()
    same, strangers = CODES["pixels"]["same"], CODES["pixels"]["class"]
    equal, rejected = summary(same, strangers)
    left, right = (float(part.split(" %")[0]) for part in status(page).split(", ")[:2])
    assert abs(left - right) <= 1
    assert (left + right) / 2 == pytest.approx(100 * equal, abs=0.11)
    page.get_by_role("button", name="1 % of strangers").tap()
    assert f"{100 * rejected:.1f} % rejected" in status(page)


def test_keys_alone_guess_and_move_the_threshold(page):
    page.get_by_label("about 5", exact=True).focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("about 20").is_checked()
    page.keyboard.press("Enter")
    assert slider(page).evaluate("slider => document.activeElement === slider")
    before = int(slider(page).input_value())
    page.keyboard.press("ArrowRight")
    assert int(slider(page).input_value()) == before + 1
    page.keyboard.press("End")
    assert "0.0 % rejected, 100.0 % let in" in status(page)
    page.keyboard.press("Home")
    assert "100.0 % rejected, 0.0 % let in" in status(page)


def test_a_finger_guesses_and_moves_the_threshold(page):
    for target in page.locator(f"{LIVE} label:has([type=radio])").all():
        assert target.bounding_box()["height"] >= 24
    page.get_by_label("about 40").tap()
    page.get_by_role("button", name=SHOW).tap()
    box = slider(page).bounding_box()
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert "100.0 % let in" in status(page)


def test_two_on_a_page_keep_their_own_guesses(sheet):
    page = sheet(FIGURE, FIGURE, width=390)
    page.set_viewport_size({"width": 390, "height": 3000})
    first, second = (page.locator(LIVE).nth(place) for place in (0, 1))
    second.wait_for()
    second.get_by_label("about 20").check()
    first.get_by_label("about 60").check()
    assert second.get_by_label("about 20").is_checked()
    first.get_by_role("button", name=SHOW).click()
    assert second.get_by_role("slider").is_disabled()
    second.get_by_role("button", name=SHOW).click()
    second.get_by_role("slider").fill("200")
    assert "100.0 % let in" in second.inner_text()
    assert "100.0 % let in" not in first.inner_text()


@pytest.mark.parametrize("width", [320, 390, 480, 620, 1000, 2560])
def test_nothing_moves_and_a_step_takes_less_than_a_frame(sheet, width):
    page = sheet(FIGURE, width=width)
    page.wait_for_selector(LIVE)
    live = page.locator(LIVE)
    before = live.evaluate(PLACES)
    page.get_by_label("about 20").check()
    page.get_by_role("button", name=SHOW).click()
    assert live.evaluate(PLACES) == before
    set_to(page, "pixels", "class", 77)
    assert live.evaluate(PLACES) == before
    page.evaluate(BEST)
    for act in (
        "range.value = 20 + Math.round(150 * Math.random()); range.oninput()",
        "code.selectedIndex = 1 - code.selectedIndex; code.onchange()",
    ):
        took = live.evaluate(
            f"""live => {{
                const range = live.querySelector("[type=range]");
                const code = live.querySelector("select");
                return best(() => {{ {act} }});
            }}"""
        )
        assert took < 16
        assert live.evaluate(PLACES) == before
    assert page.evaluate("document.getAnimations().length") == 0


def test_in_the_chapter_it_asks_before_its_curves(visit):
    with visit("chapters/verification.html", width=390) as page:
        figure = page.locator("[data-figure=verification]")
        figure.scroll_into_view_if_needed()
        live = page.locator(f"[data-figure=verification]{LIVE}")
        live.wait_for()
        live.get_by_label("about 20").check()
        live.get_by_role("button", name=SHOW).click()
        assert "let in" in live.inner_text()
