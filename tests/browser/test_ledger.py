"""The ledger and the first page, which are generated from claims.yml and cnnlib."""

from collections import Counter

import pytest

from cnnlib import claims
from tests.browser.conftest import CHAPTERS

LEDGER = "book/ledger.html"
ROWS = "#ledger tbody tr"
VISIBLE = f"{ROWS}:visible"


def count(verdict):
    return Counter(entry.verdict for entry in claims.statements())[verdict]


def test_all_statements_are_there_without_javascript(visit):
    with visit(LEDGER, javascript=False) as page:
        assert page.locator(VISIBLE).count() == len(claims.statements())
        assert not page.locator("#ledger-filter").is_visible()


def test_the_filter_works_by_keyboard_and_says_what_it_shows(visit):
    with visit(LEDGER) as page:
        status = page.locator("#ledger-filter [role=status]")
        total = len(claims.statements())
        assert status.inner_text() == f"Showing {total} of {total} statements."
        page.locator("#ledger-filter input[type=radio]").first.focus()
        page.keyboard.press("ArrowRight")  # holds
        page.keyboard.press("ArrowRight")  # corrected
        wanted = count("corrected")
        assert status.inner_text() == f"Showing {wanted} of {total} statements."
        assert page.locator(VISIBLE).count() == wanted
        page.keyboard.press("Tab")
        page.keyboard.type("lenet")  # picks the chapter
        chapters = page.locator(VISIBLE).evaluate_all(
            "rows => rows.map(row => row.dataset.chapter)"
        )
        assert chapters and set(chapters) == {"lenet"}
        page.keyboard.press("Tab")
        page.keyboard.type("average pooling no-such-word")
        assert page.locator(VISIBLE).count() == 0
        assert status.inner_text() == f"Showing 0 of {total} statements."
        assert page.seen.errors == []


def test_a_filtered_ledger_has_an_address(visit):
    with visit(f"{LEDGER}?verdict=contested") as page:
        assert page.locator(VISIBLE).count() == count("contested")
        page.locator("#ledger-filter input[type=search]").fill("zzz")
        search = page.evaluate("location.search")
        assert search == "?verdict=contested&words=zzz"


def test_a_statement_that_moved_is_found_at_its_old_address(visit):
    old, new = "why-residual/lesions", "paths/lesions"
    with visit(f"chapters/why-residual.html#{old}") as page:
        page.wait_for_url(f"**/{LEDGER}#{old}")
        row = page.locator(f'tr:has([id="{old}"])')
        assert row.get_attribute("id") == new
        assert row.evaluate("row => row.getBoundingClientRect().top < innerHeight")
    with visit(f"chapters/paths.html#{new}") as page:
        assert page.url.endswith(f"chapters/paths.html#{new}")


def test_statements_lead_to_existing_chapters_only(visit):
    homes = claims.homes("chapters")
    with visit(LEDGER, javascript=False) as page:
        for id, stems in homes.items():
            row = page.locator(f'[id="{id}"]')
            if row.count():  # exercises are no statements
                links = row.locator("a[href*='/chapters/']")
                assert links.count() == len(stems), id
        waiting = page.locator(ROWS, has_text="no chapter yet").count()
        assert waiting == len(claims.homeless("chapters"))


@pytest.mark.parametrize(("width", "kind"), [(390, "narrow"), (1280, "wide")])
def test_the_timeline_shows_each_network_inside_its_frame(visit, width, kind):
    with visit("book/index.html", width) as page:
        drawing = page.locator(f".timeline svg.{kind}")
        assert drawing.is_visible()
        assert page.locator(".timeline svg:visible").count() == 1
        frame = drawing.bounding_box()
        names = drawing.locator("text.name")
        rows = page.locator(".timeline + details tbody tr")
        assert names.count() == rows.count() > 0
        for i in range(names.count()):
            box = names.nth(i).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 16


def test_the_first_page_links_to_each_chapter(visit):
    with visit("book/index.html") as page:
        cards = page.locator(".cards .chapter")
        assert cards.count() == len(CHAPTERS)
        for path in CHAPTERS:
            assert page.locator(f".cards a[href='../{path}']").count() == 1
