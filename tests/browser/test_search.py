"""Search while typing: what is found, by mouse, keyboard and screen reader."""

import gzip
import json
from urllib.parse import urlsplit

import pytest
import yaml

from tests.browser.conftest import PAGES, ROOT, SITE, assert_accessible

QUERIES = yaml.safe_load(
    (ROOT / "tests/browser/queries.yml").read_text(encoding="utf-8")
)
# Of how many queries a right page must come first, and be among the first three.
LIMITS = {"known": (49, 50), "other": (61, 66)}
FRAGMENTS = list((SITE / "pagefind/fragment").glob("*.pf_fragment"))
PAGE = "chapters/pooling.html"
DIALOG = "#pst-search-dialog"
# What stands in the cells of exercises, in their solutions, and on folded code.
SOLVED = ("exercise Right", "exercise Not answered", "Show solution", "Show code")


def ask(page, words):
    """Type into the search dialog and wait for the answer; names of the pages found."""
    status = page.locator(f"{DIALOG} [role=status]")
    field = page.locator(f"{DIALOG} input")
    field.fill("")
    page.wait_for_function(f"!document.querySelector('{DIALOG} .status').textContent")
    field.fill(words)
    status.filter(has_text=" ").wait_for()
    links = page.locator(f"{DIALOG} .found > ul > li > a")
    paths = links.evaluate_all("links => links.map(link => link.pathname)")
    return list(
        dict.fromkeys(p.rpartition("/")[2].removesuffix(".html") for p in paths)
    )


@pytest.fixture
def dialog(visit):
    with visit(PAGE) as page:
        page.keyboard.press("Control+k")
        page.locator(f"{DIALOG} input").wait_for()
        yield page


@pytest.mark.parametrize("part", QUERIES)
def test_the_right_page_comes_first_for_what_people_type(dialog, part):
    ranks = {}
    for words, right in QUERIES[part].items():
        found = ask(dialog, words)
        ranks[words] = min((found.index(p) for p in right if p in found), default=99)
    first, three = LIMITS[part]
    late = {words: rank + 1 for words, rank in ranks.items() if rank}
    assert sum(rank == 0 for rank in ranks.values()) >= first, late
    assert sum(rank < 3 for rank in ranks.values()) >= three, late
    assert dialog.seen.foreign == dialog.seen.errors == []


def test_pages_sections_terms_and_statements_are_results_of_their_own(dialog, address):
    ask(dialog, "receptive field")
    assert dialog.locator(f"{DIALOG} h2").all_inner_texts() == [
        *("PAGES", "TERMS", "STATEMENTS")
    ]
    hrefs = dialog.locator(f"{DIALOG} .found a").evaluate_all(
        "all => all.map(a => a.href)"
    )
    assert f"{address}book/glossary.html#receptive-field" in hrefs
    assert any(href.startswith(f"{address}book/ledger.html#") for href in hrefs)
    assert (
        f"{address}chapters/receptive-field.html#what-counts-inside-the-field" in hrefs
    )
    for href in hrefs:
        place = urlsplit(href.removeprefix(address))
        text = (SITE / place.path).read_text(encoding="utf-8")
        assert not place.fragment or f'id="{place.fragment}"' in text, href


def test_nothing_is_loaded_before_the_box_is_used(visit):
    with visit(PAGE) as page:
        page.wait_for_load_state("networkidle")
        assert not any("pagefind/" in file for file in page.seen.files)
        page.keyboard.press("Control+k")
        ask(page, "stride")
        assert any("pagefind/" in file for file in page.seen.files)
        assert not any("searchindex" in file for file in page.seen.files)


def test_no_answer_and_no_button_is_in_the_index():
    """An excerpt can show no more than is stored."""
    stored = [json.loads(gzip.decompress(path.read_bytes())[12:]) for path in FRAGMENTS]
    text = "\n".join(fragment["content"] for fragment in stored)
    assert len(text) > 500_000
    assert [word for word in SOLVED if word in text] == []
    assert "1. Write max pooling" in text  # the question is
    whys = [question["why"] for question in asked() if "why" in question]
    assert len(whys) > 15 and not any(why in text for why in whys)


def asked():
    quiz = (ROOT / "cnnlib/figures/quiz.yml").read_text(encoding="utf-8")
    return [question for part in yaml.safe_load(quiz).values() for question in part]


def test_the_keyboard_walks_through_what_is_found(dialog):
    ask(dialog, "bottleneck")
    links = dialog.locator(f"{DIALOG} .found a")
    dialog.keyboard.press("ArrowDown")
    assert links.nth(0).evaluate("link => link === document.activeElement")
    dialog.keyboard.press("ArrowDown")
    assert links.nth(1).evaluate("link => link === document.activeElement")
    dialog.keyboard.press("ArrowUp")
    dialog.keyboard.press("ArrowUp")
    field = dialog.locator(f"{DIALOG} input")
    assert field.evaluate("field => field === document.activeElement")
    dialog.keyboard.press("ArrowDown")
    target = links.nth(0).evaluate("link => link.href")
    dialog.keyboard.press("Enter")
    dialog.wait_for_url(target)


def test_what_nothing_has_is_said(dialog):
    assert ask(dialog, "☃") == []
    assert dialog.locator(f"{DIALOG} [role=status]").inner_text() == "Nothing found."


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_the_answers_are_accessible_and_fit(visit, scheme, width):
    with visit(PAGE, width, scheme) as page:
        page.keyboard.press("Control+k")
        ask(page, "batch normalization")
        box = page.locator(DIALOG).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert page.locator(DIALOG).evaluate("d => d.scrollWidth <= d.clientWidth")
        assert_accessible(page, DIALOG)


def test_the_search_page_answers_a_query_in_its_address(visit):
    with visit("search.html?q=shattered+gradients") as page:
        first = page.locator(".answers .found a").first
        first.wait_for()
        assert first.evaluate("link => link.pathname").endswith("/why-residual.html")
        assert not any("searchindex" in file for file in page.seen.files)
        assert page.seen.foreign == page.seen.errors == []


def test_opened_from_a_file_the_plain_search_answers_and_says_so(browser):
    page = browser.new_page()
    page.goto((SITE / PAGE).as_uri())
    page.keyboard.press("Control+k")
    field = page.locator(f"{DIALOG} input")
    field.fill("depthwise")
    page.locator(f"{DIALOG} [role=status]", has_text="press Enter").wait_for()
    field.press("Enter")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").all()
    assert any("channels.html" in link.get_attribute("href") for link in found)
    assert page.locator(".status", has_text="Opened as a file").is_visible()
    page.close()


def test_every_page_of_the_book_is_indexed(dialog):
    count = """async () => {
        const found = await import(new URL("../pagefind/pagefind.js", location));
        const { results } = await found.search(null, { filters: { kind: "page" } });
        return results.length;
    }"""
    assert dialog.evaluate(count) == len(PAGES)
