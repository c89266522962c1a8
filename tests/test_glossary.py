"""The glossary: complete entries, and which words of a text become links."""

import re

import pytest
import yaml

from tools import glossary
from tools.form import ROOT

TERMS = yaml.safe_load((ROOT / "book" / "glossary.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def linker(extension):
    return extension("glossary")


def linked(linker, text, *anchors):
    """The text with its links in brackets, as [use](anchor)."""
    patterns = {anchor: linker.pattern(TERMS[anchor]) for anchor in anchors}
    pieces = linker.split(text, patterns, "g.html", set())
    return "".join(
        f"[{piece.astext()}]({piece['refuri']})" if "refuri" in piece else piece
        for piece in map(as_dictionary, pieces)
    )


def as_dictionary(piece):
    return piece if hasattr(piece, "attributes") else str(piece)


def test_every_term_stands_once_with_its_chinese_form_and_a_definition():
    forms = [f for e in TERMS.values() for f in (e["term"], *e.get("also", []))]
    assert len({form.lower() for form in forms}) == len(forms)
    for anchor, entry in TERMS.items():
        assert re.fullmatch(r"[a-z0-9-]+", anchor)
        assert entry["chinese"] and entry["text"].endswith(".")


def test_only_the_first_use_is_linked(linker):
    text = "A stride of 2 is a stride."
    expected = "A [stride](g.html#stride) of 2 is a stride."
    assert linked(linker, text, "stride") == expected


def test_plurals_capitals_other_forms_and_line_breaks_are_uses(linker):
    assert linked(linker, "Kernels", "kernel") == "[Kernels](g.html#kernel)"
    text = "the receptive\nfield"
    assert linked(linker, text, "receptive-field").endswith("(g.html#receptive-field)")
    assert linked(linker, "LRN", "local-response-normalisation").startswith("[LRN]")


def test_a_part_of_a_word_is_no_use(linker):
    for text in ("striders", "one-stride-net", "mini-kernels"):
        assert linked(linker, text, "stride", "kernel") == text


def test_the_longer_of_two_terms_wins(linker):
    text = "batch normalisation and batch normalisation of a batch"
    found = linked(linker, text, "batch", "batch-normalisation")
    assert found == (
        "[batch normalisation](g.html#batch-normalisation) and batch normalisation "
        "of a [batch](g.html#batch)"
    )


def test_the_page_is_in_alphabetical_order(tmp_path):
    path = tmp_path / "glossary.yml"
    path.write_text(
        "b: {term: Beta < 1, chinese: 二, text: Second., pages: [chapters/x, y]}\n"
        "a: {term: alpha, chinese: 一, text: First.}\n",
        encoding="utf-8",
    )
    page = glossary.page(path, {"chapters/x": "X & Y"})
    assert page.index("alpha") < page.index("Beta &lt; 1")
    assert '<dt id="a">alpha <span lang="zh">一</span></dt>' in page
    assert page.count("<a ") == 1
    assert '<a class="taught" href="../chapters/x.html">X &amp; Y</a></dd>' in page


def test_terms_are_taught_on_pages_that_exist_and_names_stand_once_in_an_entry():
    for entry in TERMS.values():
        for page in entry.get("pages", []):
            assert list(ROOT.glob(f"book/{page.removeprefix('book/')}.md")), page
        names = [entry["term"], *entry.get("also", []), *entry.get("typed", [])]
        assert len({name.lower() for name in names}) == len(names), entry["term"]
