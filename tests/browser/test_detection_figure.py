"""The two thresholds, used by mouse, keyboard and touch, and what they compute."""

import random

import pytest

from cnnlib import experiments, figures
from cnnlib.figures.detection import measures
from tests.browser.conftest import BEST, LIVE

(ROW,) = experiments.load("detection-shown")["rows"]
FIGURE = figures.detection(ROW)
SHOW, SKIP = "Show the curve", "Skip the guess"
PLACES = """live => [...live.querySelectorAll(
    ".scene, input[type=range], .pages, .chart")].map(
    e => JSON.stringify(e.getBoundingClientRect())).join()"""


def status(page):
    return page.locator(f"{LIVE} > [role=status]").inner_text()


def to(page, least=None, overlap=None):
    for name, value in (("Lowest score", least), ("Largest overlap", overlap)):
        if value is not None:
            page.get_by_role("slider", name=name).fill(f"{value}")


def made_up(seed):
    """A row of the form of the experiment, with random boxes, duplicates and ties."""
    choose = random.Random(seed)

    def box(around=None):
        left, top = (choose.uniform(0, 70) for _ in range(2))
        made = [left, top, left + choose.uniform(5, 30), top + choose.uniform(5, 30)]
        if around:
            made = [value + choose.gauss(0, 2) for value in around[:4]]
            made[2:] = max(made[2], made[0] + 1), max(made[3], made[1] + 1)
        return [*(round(value, 1) for value in made), choose.randrange(3)]

    scenes = []
    for _ in range(12):
        true = [box() for _ in range(choose.randrange(1, 5))]
        near = [[*box(own)[:4], own[4]] for own in true for _ in range(2)]
        found = near + [box() for _ in range(choose.randrange(4))]
        found = [[*own, round(choose.uniform(0.05, 1), 1 + seed % 2)] for own in found]
        scenes.append({"true": true, "found": found})
    return ROW | {"scenes": scenes}


@pytest.mark.parametrize("row", [ROW, made_up(0), made_up(1), made_up(2)])
def test_javascript_computes_what_python_computes(sheet, row):
    page = sheet(figures.detection(row), width=800)
    page.wait_for_selector(LIVE)
    choose = random.Random(4)
    settings = [(0.05, 1.0), (0.05, 0.0), (1.0, 0.5)]
    settings += [
        (choose.randrange(1, 21) / 20, choose.randrange(21) / 20) for _ in range(15)
    ]
    for least, overlap in settings:
        to(page, least, overlap)
        right, wrong, true, ap = measures(row, least, overlap)
        found = page.locator(f"{LIVE} > [role=status]").get_attribute("data-ap")
        assert float(found) == pytest.approx(ap, abs=1e-12), (least, overlap)
        assert f"{right} of {true} garments found, {wrong} wrong boxes" in status(page)


def test_average_precision_waits_for_the_guess(page):
    curve = page.locator(f"{LIVE} .chart")
    assert not curve.is_visible()
    assert status(page).startswith("AP: after your guess\n")
    page.get_by_role("button", name=SHOW).click()
    assert page.locator(f"{LIVE} .missing").inner_text() == "Choose an answer first."
    page.get_by_role("radio", name="only a smaller overlap").check()
    page.get_by_role("button", name=SHOW).click()
    assert curve.is_visible()
    first = measures(ROW, 0.05, 1.0)[3]
    best = max(measures(ROW, 0.05, step / 20)[3] for step in range(20))
    assert best > first
    verdict = page.locator(f"{LIVE} .verdict").inner_text()
    assert verdict.startswith("As you guessed: only a smaller overlap. From ")
    assert f"{first:.3f}"[1:] in verdict and f"{best:.3f}"[1:] in verdict
    assert status(page).startswith(f"AP {first:.3f}".replace(" 0", " ") + "\n")


def test_a_wrong_guess_is_named(page):
    page.get_by_role("radio", name="only a higher score").check()
    page.get_by_role("button", name=SHOW).click()
    verdict = page.locator(f"{LIVE} .verdict").inner_text()
    assert verdict.startswith(
        "You guessed only a higher score. It is only a smaller overlap."
    )


def test_boxes_vanish_and_scenes_change(page):
    marks = page.locator(f"{LIVE} .scene g g")
    count = len(ROW["scenes"][0]["found"])
    assert marks.count() == count
    assert page.locator(f"{LIVE} .scene .true").count() == len(ROW["scenes"][0]["true"])
    to(page, least=1.0)
    assert marks.count() == 0 and "precision none" in status(page)
    to(page, least=0.05)
    page.get_by_role("button", name="the next scene").click()
    assert marks.count() == len(ROW["scenes"][1]["found"])
    assert "Scene 2 of 12" in page.locator(f"{LIVE} .pages").inner_text()
    for _ in range(2):
        page.get_by_role("button", name="the scene before").tap()
    assert "Scene 12 of 12" in page.locator(f"{LIVE} .pages").inner_text()
    label = page.locator(f"{LIVE} .scene").get_attribute("aria-label")
    assert label.startswith("Scene 12: ")


def test_keys_alone_guess_and_move_the_sliders(page):
    page.get_by_role("slider", name="Lowest score").focus()
    page.keyboard.press("ArrowRight")
    assert "0.10" in page.locator(f"{LIVE} label").first.inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    slider = page.get_by_role("slider", name="Largest overlap")
    assert slider.get_attribute("aria-valuetext") == "IoU 0.00"
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "1.00, all stay"
    for _ in range(3):  # past both buttons of the scenes
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="only a smaller overlap").is_checked()
    page.keyboard.press("Enter")
    assert page.locator(f"{LIVE} .chart").is_visible()


def test_a_finger_finds_everything(page):
    slider = page.get_by_role("slider", name="Lowest score")
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 0.45 < float(slider.input_value()) < 0.6
    for target in page.locator(f"{LIVE} :is(label:has([type=radio]), button)").all():
        assert target.bounding_box()["height"] >= 24
    page.get_by_role("button", name=SKIP).tap()
    assert status(page).startswith("AP .")


def test_two_on_a_page_do_not_disturb_each_other(sheet):
    page = sheet(FIGURE, FIGURE, width=390)
    page.set_viewport_size({"width": 390, "height": 3000})
    first, second = (page.locator(LIVE).nth(place) for place in (0, 1))
    second.wait_for()
    first.get_by_role("button", name=SKIP).click()
    assert first.locator(".chart").is_visible()
    assert not second.locator(".chart").is_visible()
    first.get_by_role("slider", name="Lowest score").fill("1")
    assert second.locator(".scene g g").count() == len(ROW["scenes"][0]["found"])


@pytest.mark.parametrize("width", [320, 390, 620, 1000])
def test_nothing_moves_and_a_step_takes_less_than_a_frame(sheet, width):
    page = sheet(FIGURE, width=width)
    page.set_viewport_size({"width": width, "height": 1800})
    page.wait_for_selector(LIVE)
    live = page.locator(LIVE)
    before = live.evaluate(PLACES)
    page.get_by_role("button", name=SKIP).click()
    assert live.evaluate(PLACES) == before
    page.evaluate(BEST)
    for name in ("Lowest score", "Largest overlap"):
        for value in (0.2, 0.6, 0.05):
            took = page.get_by_role("slider", name=name).evaluate(
                """(slider, value) => best(() => {
                    slider.value = value;
                    slider.dispatchEvent(new Event("input"));
                })""",
                value,
            )
            assert took < 16
            assert live.evaluate(PLACES) == before


def test_in_the_chapter_it_asks_before_its_curve(visit):
    with visit("chapters/detection.html", width=390) as page:
        page.locator("[data-figure=detection]").scroll_into_view_if_needed()
        live = page.locator(f"[data-figure=detection]{LIVE}")
        live.wait_for()
        assert not live.locator(".chart").is_visible()
        live.get_by_role("button", name=SKIP).click()
        assert live.locator(".chart").is_visible()
