"""Exercises that answer on the page, addresses of statements, folded machinery."""

import re
from html import unescape

import pytest

from cnnlib import claims, figures
from tests.browser.conftest import CHAPTERS, PAGES, ROOT, SITE

NUMBERS = [exercise for exercise in claims.exercises() if exercise.answer is not None]
CHAPTER = "chapters/backpropagation.html"


def form(page, id):
    return page.locator(f'form.exercise[data-id="{id}"]')


def answered(page, id, text):
    """What the page says to an answer."""
    found = form(page, id)
    field = found.locator("[name=answer]")
    if field.count() > 1:
        found.locator(f'[value="{text}"]').check()
    else:
        field.fill(text)
    found.locator("button", has_text="Check").click()
    return found.locator("[role=status]").inner_text()


def test_every_exercise_has_its_form_and_no_page_its_answer():
    met = []
    for path in CHAPTERS:
        text = (SITE / path).read_text(encoding="utf-8")
        met += re.findall(r'<form class="exercise" hidden data-id="([^"]+)"', text)
        for data in re.findall(r'data-right="([^"]*)"', text):
            assert re.fullmatch(r"[0-9a-f]{8}( [0-9a-f]{8})*", data)
    assert sorted(met) == sorted(exercise.id for exercise in claims.exercises())


@pytest.mark.parametrize("path", CHAPTERS)
def test_right_answers_are_right_however_they_are_written(visit, path):
    with visit(path) as page:
        for exercise in NUMBERS:
            if not path.endswith(f"/{exercise.chapter}.html"):
                continue
            written = [claims.shown(exercise.answer)]
            if type(exercise.answer) in (int, float):
                value = exercise.answer
                written = [str(value), f"{value:.6f}", f"{value:,}"]
            for text in written:
                said = answered(page, exercise.id, text)
                assert said.startswith("Right"), (exercise.id, text)


@pytest.mark.parametrize(
    ("id", "near", "far"),
    [
        ("backpropagation/exercise-overlapping-mean", ("0.440", "0.448"), "0.4499"),
        ("pooling/exercise-noise", ("0.46", "0.54", "50%", "6/12"), "0.58"),
        ("channels/exercise-noise", ("12.5", "19.9"), "21"),
        ("backpropagation/exercise-unseen-pixels", ("28.0", '"28"'), "28.01"),
    ],
)
def test_the_tolerance_is_that_of_check(visit, id, near, far):
    with visit(f"chapters/{id.partition('/')[0]}.html") as page:
        for text in near:
            assert answered(page, id, text).startswith("Right"), text
        assert answered(page, id, far).startswith("Not yet. Hint")


def test_a_wrong_answer_gets_a_hint_then_the_way_to_the_solution_and_is_kept(visit):
    id = "backpropagation/exercise-unseen-pixels"
    with visit(CHAPTER) as page:
        page.evaluate("localStorage.clear()")
        page.reload()
        assert answered(page, id, "").startswith("Type a number")
        assert "Hint: " in answered(page, id, "27")
        assert answered(page, id, "26").endswith("solution stands below.")
        mark = page.locator(".bd-sidebar-primary .current .progress-mark")
        assert mark.count() == 0
        assert answered(page, id, "28").startswith("Right")
        total = sum(e.chapter == "backpropagation" for e in claims.exercises())
        assert mark.first.inner_text() == f"1/{total}"
        form(page, id).locator("button.solution").click()
        below = page.locator(f'form[data-id="{id}"] ~ .tag_solution details').first
        assert below.locator("pre").first.is_visible()
        page.reload()
        assert form(page, id).locator("[name=answer]").input_value() == "28"
        assert mark.first.inner_text() == f"1/{total}"
        page.evaluate("localStorage.clear()")


def test_a_statement_and_its_row_lead_to_each_other(visit):
    id = "vgg/name"
    ids = {statement.id for statement in claims.statements()}
    boxes = 0
    for path in CHAPTERS:
        text = (SITE / path).read_text(encoding="utf-8")
        found = re.findall(r'<p class="claim claim-\w+" id="([^"]+)"', text)
        assert len(found) == len(set(found)) and set(found) <= ids, path
        boxes += len(found)
        id = found[0]
    assert boxes >= len(ids & set(claims.homes(ROOT / "chapters")))
    with visit("book/ledger.html") as page:
        row = page.locator(f'tr[id="{id}"]')
        href = row.locator('a[href*="chapters/"]').first.get_attribute("href")
        assert href.endswith(f"#{id}")
        row.locator("button").click()
        said = row.locator("button, q").last.inner_text()
        assert said == "copied" or id in said


def test_cells_that_only_call_the_ledger_are_folded(visit):
    texts = [(SITE / path).read_text(encoding="utf-8") for path in CHAPTERS]
    folded = sum(text.count('"quiet"><summary>code: ') for text in texts)
    assert folded > 30, "hardly any cell of calls is folded"
    with visit(CHAPTER) as page:
        quiet = page.locator("details.quiet").first
        assert not quiet.locator("pre").first.is_visible()
        quiet.locator("summary").press("Enter")
        assert quiet.locator("pre").first.is_visible()


def test_figures_have_addresses_and_imports_are_folded(visit):
    for path in CHAPTERS:
        text = (SITE / path).read_text(encoding="utf-8")
        captions = re.findall(r"<strong>Figure (\d+)\.</strong>", text)
        assert (
            re.findall(r'<p class="below-figure" id="figure-(\d+)"', text) == captions
        )
        assert captions == [str(n + 1) for n in range(len(captions))], path
    with visit(f"{CHAPTER}#figure-2") as page:
        assert page.locator("#figure-2").is_visible()
        mark = page.locator("#figure-2 a.address")
        assert mark.get_attribute("href") == "#figure-2"
        imports = page.locator("details.imports pre")
        assert imports.count() and not imports.first.is_visible()


def test_every_page_has_a_description_and_a_card_of_its_own():
    found = {}
    for path in PAGES:
        text = (SITE / path).read_text(encoding="utf-8")
        (said,) = re.findall(r'<meta name="description" content="([^"]+)"', text)
        (shown,) = re.findall(
            r'<meta property="og:description" content="([^"]+)"', text
        )
        (image,) = re.findall(r'<meta property="og:image" content="([^"]+)"', text)
        said, shown = unescape(said), unescape(shown)
        assert said == shown and said.endswith(".") and len(said) < 200, path
        assert (SITE / "_static" / image.rpartition("/")[2]).is_file()
        found[said, image] = path
    assert len(found) == len(PAGES)


@pytest.mark.parametrize("path", [CHAPTER, "chapters/resnet.html"])
def test_the_exercises_say_where_answers_go_on_the_site_and_on_paper(visit, path):
    with visit(path) as page:
        said = page.locator("article .of-the-site")
        notebook = page.locator("article .of-the-notebook")
        assert said.inner_text().startswith("Each question is answered below it")
        assert "has a cell for your answer" in notebook.text_content()
        assert not notebook.is_visible()
        page.emulate_media(media="print")
        assert notebook.is_visible() and not said.is_visible()
    with visit(path, javascript=False) as page:
        assert page.locator("article .of-the-notebook").is_visible()


def test_no_chapter_sends_readers_of_the_site_to_a_cell_for_answers():
    for path in CHAPTERS:
        text = (SITE / path).read_text(encoding="utf-8")
        found = re.findall(r"<p[^>]*>[^<]*cell for your answer", text)
        assert all('class="of-the-notebook"' in start for start in found), path
        assert text.count('class="of-the-site"') == len(found), path


def test_the_line_below_a_title_leads_to_how_to_cite(visit):
    with visit(CHAPTER) as page:
        page.locator("p.place").get_by_role("link", name="cite").click()
        page.wait_for_url("**/book/how-to.html#cite")
        assert page.locator("#cite :text('@misc')").first.is_visible()


def test_the_first_page_leads_to_a_section_with_each_kind_of_live_figure(visit):
    with visit("book/index.html", javascript=False) as page:
        links = page.locator("#touch-one a[href*='chapters/']")
        hrefs = links.evaluate_all("all => all.map(link => link.getAttribute('href'))")
    shown = set()
    for href in hrefs:
        path, _, id = href.removeprefix("../").partition("#")
        with visit(path, javascript=False) as page:
            inside = page.locator(f"[id='{id}'] [data-figure]")
            kinds = inside.evaluate_all("all => all.map(e => e.dataset.figure)")
            assert kinds, href
            shown |= set(kinds)
    assert shown | {"quiz", "rounded"} == set(figures.__all__)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_first_page_has_ways_in_and_a_picture_that_leads_to_chapters(visit, width):
    with visit("book/index.html", width=width) as page:
        assert page.locator(".ways a").count() == 3
        over = page.locator(".timeline svg:visible text").evaluate_all(
            """texts => {
                const edge = texts[0].ownerSVGElement.getBoundingClientRect();
                const boxes = texts.map(text => [text, text.getBoundingClientRect()]);
                const names = boxes.filter(([text]) => text.matches(".name"));
                const met = (a, b) => a.left < b.right && b.left < a.right
                    && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
                return boxes.filter(([text, box]) => box.right > edge.right + 0.5
                    || names.some(([other, b]) => other != text && met(box, b)))
                    .map(([text]) => text.textContent);
            }"""
        )
        assert over == []
        page.locator(".timeline svg:visible a", has_text="AlexNet").click()
        page.wait_for_url("**/chapters/alexnet.html")


def test_the_first_tap_on_a_term_shows_it_and_the_second_follows(browser, address):
    context = browser.new_context(
        has_touch=True, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    page.goto(address + CHAPTER)
    term = page.locator("a.term").first
    term.tap()
    page.locator("#definition").wait_for()
    assert page.url.endswith(CHAPTER)
    term.tap()
    page.wait_for_url("**/glossary.html#*")
    context.close()
