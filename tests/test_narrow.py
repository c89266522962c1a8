"""What is printed in columns is told from lines of words, with its width."""

import pytest

from tools import form

OUTPUT = '<div class="output stream x" tabindex="-1"><div class="h"><pre tabindex="-1">'
TABLE = "a      <span>12</span>\nconv1   &lt;7\n"


@pytest.fixture(scope="module")
def narrow(extension):
    return extension("narrow")


def test_columns_need_two_lines_with_a_gap(narrow):
    assert narrow.has_columns(["a    1", "b   22"])
    assert not narrow.has_columns(["a    1", "two words"])
    assert not narrow.has_columns(["    1", "   22"])


def test_columns_carry_their_width_without_tags_and_entities(narrow):
    counted = narrow.PRINTED.sub(narrow.counted, f"{OUTPUT}{TABLE}</pre></div></div>")
    assert '<pre style="--columns: 10" tabindex="-1">a  ' in counted
    assert counted.endswith("&lt;7\n</pre></div></div>")


def test_what_is_wider_than_a_phone_scrolls_and_words_stay_as_they_are(narrow):
    wide = f"{OUTPUT}{TABLE}{'x' * 90}</pre>"
    assert '<pre class="wide"' in narrow.PRINTED.sub(narrow.counted, wide)
    words = f"{OUTPUT}{'word ' * 40}\nand more</pre>"
    assert narrow.PRINTED.sub(narrow.counted, words) == words


@pytest.mark.parametrize("stem", form.stems())
def test_no_result_of_a_chapter_scrolls_on_a_phone(narrow, stem):
    cells = form.read_notebook(form.ROOT, stem).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = [output.text for output in outputs if output.output_type == "stream"]
    tables = [lines for text in texts if narrow.has_columns(lines := text.splitlines())]
    assert [line for lines in tables for line in lines if len(line) > narrow.MOST] == []
