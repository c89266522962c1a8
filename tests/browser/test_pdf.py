"""The whole book as one PDF: order, numbers, links and what is shown of live parts."""

import subprocess
import sys
import unicodedata

import pytest
import yaml
from pypdf import PdfReader

from tools import pdf

pytestmark = pytest.mark.weekly  # printing takes minutes: `make test-pdf`


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    command = [sys.executable, "-W", "error", "-m", "tools.pdf", path]
    subprocess.run(command, cwd=pdf.ROOT, check=True)
    return PdfReader(path)


@pytest.fixture(scope="module")
def front(book, starts):
    """The sheets of the contents, which have no number."""
    return book.pages[: list(starts.values())[1]]


@pytest.fixture(scope="module")
def starts(book):
    """{title of a page of the site: number of its first sheet}, from the bookmarks."""
    number = book.get_destination_page_number
    return {mark.title: number(mark) for mark in top(book.outline)}


def top(outline):
    return [mark for mark in outline if not isinstance(mark, list)]


def jumps(page):
    """Titles of links are not in a PDF, but where they lead is."""
    links = [link.get_object() for link in page.get("/Annots", [])]
    return [link["/Dest"][0].get_object() for link in links if "/Dest" in link]


def test_every_page_of_the_contents_is_there_in_order(book, starts):
    toc = yaml.safe_load((pdf.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert len(starts) == 1 + len(list(pdf.pages(toc)))
    assert list(starts.values()) == sorted(starts.values())
    for title, sheet in starts.items():
        if title != "Contents":
            assert "".join(title.split()) in "".join(sheet_text(book, sheet).split())


def sheet_text(book, sheet):
    """What stands on a sheet, with two letters for each ligature."""
    return unicodedata.normalize("NFKC", book.pages[sheet].extract_text())


def test_sheets_are_numbered_through_and_the_contents_name_the_numbers(
    book, starts, front
):
    for number in (1, 2, 40, len(book.pages) - len(front)):
        sheet = number + len(front) - 1
        assert str(number) in sheet_text(book, sheet).splitlines()
    text = "\n".join(page.extract_text() for page in front)
    for title, sheet in starts.items():
        if title != "Contents":
            assert text.count(str(sheet - len(front) + 1)), title


def test_no_sheet_is_empty(book, front):
    for number, page in enumerate(book.pages, start=1 - len(front)):
        shown = page.extract_text().removesuffix(str(number)).strip()
        assert shown or page.images, f"sheet {number}"


def test_links_between_pages_jump_and_none_leads_to_a_file(book, starts, front):
    sheets = {page.indirect_reference.idnum: i for i, page in enumerate(book.pages)}
    targets = [target for page in front for target in jumps(page)]
    found = [sheets[page.indirect_reference.idnum] for page in targets]
    assert found == list(starts.values())[1:]
    for page in book.pages:
        for link in page.get("/Annots", []):
            address = str(link.get_object().get("/A", {}).get("/URI", ""))
            assert not address.startswith(("file:", "http://127"))


def test_the_list_of_sections_jumps_into_its_own_chapter(book, starts):
    sheets = {page.indirect_reference.idnum: i for i, page in enumerate(book.pages)}
    first, following = starts["VGG"], starts["Network in Network"]
    found = [sheets[page.indirect_reference.idnum] for page in jumps(book.pages[first])]
    inside = [sheet for sheet in found if first <= sheet < following]
    assert len(inside) > 8
    assert inside == sorted(inside) and inside[-1] > first


def test_solutions_are_printed_and_live_figures_are_still(book, starts):
    first, following = starts["The Inception bill"], starts["GoogLeNet"]
    text = " ".join(sheet_text(book, sheet) for sheet in range(first, following))
    assert "The bill of vgg16" in text
    assert "What can I write?" not in text
    assert "def fused(" in text
