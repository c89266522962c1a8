"""The slider of depth and its guesses, used by mouse, keyboard and touch."""

import re
from statistics import median

import pytest

from cnnlib import experiments, figures
from tests.browser.conftest import BEST, LIVE

ROWS = experiments.load("depth")["rows"]
FIGURE = figures.depth(ROWS)
DEPTHS = (8, 20, 32, 56)
SINGLE = (8, 32)  # depths with one seed
SHOW, SKIP = "Show the curves", "Skip the guesses"
# Ends of a curve, in percent of error: where the path is drawn.
ENDS = """paths => paths.map(path => {
    const box = path.ownerSVGElement, high = box.height.baseVal.value;
    const last = path.getPointAtLength(path.getTotalLength());
    return [path.getAttribute("class"), 50 * (1 - last.y / high)];
})"""
PLACES = """live => [...live.querySelectorAll(
    ".chart, input[type=range], input[type=checkbox], .keys, :scope > p")].map(
    e => JSON.stringify(e.getBoundingClientRect())).join()"""


def status(page):
    return page.locator(f"{LIVE} .swap > [role=status]").inner_text()


def ends(kind, depth, error, rate=0.1):
    wanted = {"kind": kind, "depth": depth, "rate": rate}
    found = [row for row in ROWS if wanted.items() <= row["setting"].items()]
    return [100 * row[f"end_{error}_error"] for row in found]


def guess(page, choice, act="click"):
    getattr(page.get_by_role("radio", name=choice), act)()
    getattr(page.get_by_role("button", name=SHOW), act)()


def to(page, depth):
    page.get_by_role("slider", name="Depth").fill(str(DEPTHS.index(depth)))


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_words_are_those_of_the_stored_ends(page, depth):
    to(page, depth)
    page.get_by_role("button", name=SKIP).click()
    said = status(page)
    assert "guess" not in said
    for error in ("train", "test"):
        found = {kind: ends(kind, depth, error) for kind in ("plain", "residual")}
        plain, residual = map(median, found.values())
        name = {"train": "Training", "test": "Test"}[error]
        (line,) = [row for row in said.splitlines() if f"{name} error" in row]
        assert f"plain {plain:.2f} %, residual {residual:.2f} %." in line
        lower, higher = sorted(found, key=lambda kind: median(found[kind]))
        words = f"{lower.title()} is {abs(plain - residual):.2f} points lower"
        assert words in line
        apart = max(found[lower]) < min(found[higher])
        assert ("one seed" in line) == (depth in SINGLE)
        assert ("no seeds overlap" in line) == (apart and depth not in SINGLE)
        assert ("but the seeds overlap" in line) == (not apart and depth not in SINGLE)
        times = re.search(r"(\w+) makes (.*?) times as many errors", line)
        ratio = max(plain, residual) / min(plain, residual)
        assert bool(times) == (ratio >= 1.5)
        if times:
            assert times.groups() == (higher.title(), f"{ratio:.1f}")


@pytest.mark.parametrize(
    ("depth", "choice", "head", "verdict"),
    [
        (8, "about the same", "about the same", "As you guessed: about the same."),
        (
            8,
            "the residual",
            "about the same",
            "it is lower, but by less than 2 points.",
        ),
        (20, "the plain", "about the same", "the plain one; it is about the same"),
        (56, "the residual", "residual ends lower", "As you guessed: the residual one"),
        (56, "about", "residual ends lower", "about the same; it is the residual one"),
    ],
)
def test_a_guess_is_compared_in_words(page, depth, choice, head, verdict):
    to(page, depth)
    guess(page, choice)
    assert status(page).startswith(f"{depth} layers: {head}\n")
    assert verdict in status(page)


def test_nothing_is_shown_before_the_guess_of_that_depth(page):
    curves = page.locator(f"{LIVE} .chart .curve")
    chart = page.get_by_role("img").first
    for depth in DEPTHS:
        to(page, depth)
        assert curves.count() == 0
        assert status(page).strip() == "Not shown before your guess."
        assert chart.get_attribute("aria-label").endswith("not shown before your guess")
        assert f"networks of {depth} layers" in page.locator("legend").inner_text()
        assert page.get_by_role("radio", checked=True).count() == 0
        page.get_by_role("button", name=SHOW).click()
        assert (
            page.locator(f"{LIVE} .missing").inner_text() == "Choose an answer first."
        )
        guess(page, "the plain one")
        assert curves.count() == (4 if depth in SINGLE else 16)
        assert not page.locator("legend").is_visible()
    to(page, 8)
    assert curves.count() == 4 and "You guessed the plain one" in status(page)
    label = chart.get_attribute("aria-label")
    (row,) = [row for row in ROWS if row["setting"]["depth"] == 8][:1]
    first, last = (f"{100 * row['train_error'][at]:.2f} %" for at in (0, -1))
    assert label.startswith("Training error by epoch, 8 layers. plain: ")
    assert f"plain: {first} after the first epoch, {last} after the last" in label


def test_a_choice_that_was_not_shown_stays_with_its_depth(page):
    page.get_by_role("radio", name="the plain one").check()
    to(page, 56)
    assert page.get_by_role("radio", checked=True).count() == 0


def test_curves_end_where_the_experiment_did(page):
    to(page, 56)
    page.get_by_role("button", name=SKIP).click()
    page.get_by_role("checkbox").check()
    for panel, error in enumerate(("train_error", "test_error")):
        paths = page.locator(f"{LIVE} .panels > div").nth(panel).locator(".curve")
        drawn = paths.evaluate_all(ENDS)
        last = {}
        for row in ROWS:
            of = row["setting"]
            if of["depth"] == 56:
                kind = of["kind"] if of["rate"] == 0.1 else "other"
                last.setdefault(kind, []).append(100 * row[error][-1])
        wanted = {f"curve thin {kind}": last[kind] for kind in ("plain", "residual")}
        wanted |= {f"curve {kind}": [median(of)] for kind, of in last.items()}
        for name, values in wanted.items():
            found = [end for named, end in drawn if named == name]
            assert found == pytest.approx(values, abs=0.1), name


def test_the_second_rate_can_be_added_where_it_was_run(page):
    rate = page.get_by_role("checkbox", name="plain-56 at a rate of 0.03")
    to(page, 56)
    assert rate.is_disabled()  # not before the guess
    page.get_by_role("button", name=SKIP).click()
    assert "rate" not in status(page)
    rate.tap()
    (train,), (test,) = (ends("plain", 56, e, 0.03) for e in ("train", "test"))
    assert (
        f"Plain at a rate of 0.03: training error {train:.2f} %, test error "
        f"{test:.2f} %, one seed." in status(page)
    )
    assert "plain at a rate of 0.03:" in page.get_by_role("img").first.get_attribute(
        "aria-label"
    )
    to(page, 20)
    assert rate.is_disabled() and "rate" not in status(page)
    assert page.locator(f"{LIVE} .chart .other").count() == 0


def test_keys_alone_guess_and_move_the_slider(page):
    slider = page.get_by_role("slider", name="Depth")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "20 layers"
    page.keyboard.press("Tab")  # to the choices: the box for the rate waits
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="the residual one").is_checked()
    page.keyboard.press("Enter")
    assert "You guessed the residual one" in status(page)
    assert slider.evaluate("slider => document.activeElement === slider")
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "56 layers"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == SKIP
    page.keyboard.press("Space")
    assert status(page).startswith("56 layers: residual ends lower")
    page.keyboard.press("Home")
    assert status(page).startswith("8 layers: about the same")


def test_a_finger_guesses_and_moves_the_slider(page):
    slider = page.get_by_role("slider", name="Depth")
    box = slider.bounding_box()
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    assert slider.get_attribute("aria-valuetext") == "20 layers"
    for target in (*page.locator(f"{LIVE} label:has([type=radio])").all(),):
        assert target.bounding_box()["height"] >= 24
    guess(page, "about the same", "tap")
    assert "As you guessed" in status(page)


def test_two_on_a_page_keep_their_own_guesses(sheet):
    page = sheet(FIGURE, FIGURE, width=390, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 2400})
    first, second = (page.locator(LIVE).nth(place) for place in (0, 1))
    second.wait_for()
    second.get_by_label("the plain one").check()
    first.get_by_label("about the same").check()
    assert second.get_by_label("the plain one").is_checked()
    first.get_by_role("button", name=SHOW).click()
    assert first.locator(".chart .curve").count() == 4
    assert second.locator(".chart .curve").count() == 0
    second.get_by_role("button", name=SHOW).click()
    assert "You guessed the plain one" in second.inner_text()
    assert "As you guessed" in first.inner_text()


@pytest.mark.parametrize("width", [320, 390, 480, 620, 1000, 2560])
def test_nothing_moves_and_a_step_takes_less_than_a_frame(sheet, width):
    page = sheet(FIGURE, width=width)
    page.wait_for_selector(LIVE)
    live = page.locator(LIVE)
    before = live.evaluate(PLACES)
    guess(page, "the residual one")
    assert live.evaluate(PLACES) == before
    to(page, 56)
    assert live.evaluate(PLACES) == before
    page.get_by_role("button", name=SKIP).click()
    page.get_by_role("checkbox").check()
    assert live.evaluate(PLACES) == before
    page.evaluate(BEST)
    slider = page.get_by_role("slider", name="Depth")
    for place in (0, 1, 2):
        took = slider.evaluate(
            """(slider, place) => best(() => {
                slider.value = place;
                slider.dispatchEvent(new Event("input"));
            })""",
            place,
        )
        assert took < 16
        assert live.evaluate(PLACES) == before
    assert page.evaluate("document.getAnimations().length") == 0


def test_in_the_chapter_it_asks_before_its_curves(visit):
    with visit("chapters/resnet.html", width=390) as page:
        figure = page.locator("[data-figure=depth]")
        figure.scroll_into_view_if_needed()
        live = page.locator(f"[data-figure=depth]{LIVE}")
        live.wait_for()
        assert live.locator(".chart .curve").count() == 0
        live.get_by_label("about the same").check()
        live.get_by_role("button", name=SHOW).click()
        assert live.locator(".chart .curve").count() == 4
        assert "As you guessed" in live.inner_text()
        colours = live.locator(".chart .plain, .chart .residual").evaluate_all(
            "all => all.map(e => getComputedStyle(e).stroke)"
        )
        assert len({*colours}) == 2
