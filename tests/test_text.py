"""The text of a chapter holds the cells of its notebook unchanged, or refuses them."""

import random

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from tools import form

TICKS, OPEN = "```", "```{code-cell}"
PICTURE = {"pasted.png": {"image/png": "iVBORw0KGgo="}}


def contents(cells):
    """What an author put into cells; blank lines around a source mean nothing."""
    return [
        (cell.cell_type, form._trimmed(cell.source), dict(cell.metadata))
        for cell in cells
    ]


def text(source, **metadata):
    return new_markdown_cell(source, metadata=metadata)


def code(source, **metadata):
    return new_code_cell(source, metadata=metadata)


@pytest.mark.parametrize(
    "cell",
    [
        text(f"Write\n\n````markdown\n{OPEN}\n:tags: [x]\n\n1\n{TICKS}\n````"),
        text(f"~~~\n{OPEN}\n1\n{TICKS}\n+++\n~~~"),
        text(f"- in a list\n  {OPEN}\n  1\n  {TICKS}"),
        text("```diff\n--- a/net.py\n+++ b/net.py\n```"),
        text(form.FRONT + "\n# Title"),
        text("---\ntitle: A page\n---"),
        text("Title\n---\n\nText\n==="),
        text("    indented code\n\nand text"),
        text("\n  \n\nblank lines around  \n\n"),
        text("<details>\n\n% a comment\n\n(target)=\n\n</details>"),
        text("$$\n+1\n$$\n\n:tags: [x]", tags=["solution"]),
        code("x = '''\n```\n````\n+++ {\n'''"),
        code("print('~~~')\n\n\n\n# +++"),
        code("\tprint('a tab')"),
        code(":tags: [x]", tags=["solution"]),
        code("---\n1\n---", alt='A line: "one", {two}\nand # more'),
        code(""),
        code("1", tags=["a [tag", "{two}", "a: b", "no", "7", "'"]),
    ],
    ids=lambda cell: repr(cell.source[:30]),
)
def test_a_text_holds(cell):
    for cells in ([cell], [text("Before."), cell, text("After."), cell, code("end")]):
        assert contents(form._parsed(form.text_of(cells))) == contents(cells)


@pytest.mark.parametrize(
    "cell",
    [
        text(f"{OPEN}\n1\n{TICKS}"),
        text(f"<details>\n\n{OPEN}\n1\n{TICKS}\n\n</details>"),
        text(f"{OPEN} python\n1\n{TICKS}\n\n{OPEN} julia\n2\n{TICKS}"),
        text("```{raw-cell}\nraw\n```"),
        text("one\n+++\ntwo"),
        text("+++"),
        text("one\n\n+++ {"),
        text('+++ {"tags": ["solution"]}\none'),
        text("```\na fence that nobody closes"),
        text(""),
        text(" \n "),
        text("a line\u2028separator"),
        text("of another\r\nsystem"),
        text("half a pair \ud83d"),
        code("a\x0cpage"),
        code("a zero \x00"),
        code(":tags: [x]\n\n1"),
        code(":a word"),
        code(":a: {"),
        code("---\n1\n---"),
        new_raw_cell("raw"),
        new_raw_cell(""),
        new_markdown_cell("![](attachment:pasted.png)", attachments=PICTURE),
    ],
    ids=lambda cell: ascii(cell.source[:30]),
)
def test_a_text_refuses_in_one_line_that_says_what_to_do(cell):
    for cells in ([cell, code("1")], [text("Before."), cell, text("After.")]):
        with pytest.raises(form.BookError, match=r"^a text cannot hold") as refused:
            form.text_of(cells)
        assert str(refused.value).endswith(form.REMEDY)
        assert "\n" not in str(refused.value)


def test_the_first_cell_that_a_text_cannot_hold_is_named():
    cells = [text("Before."), code("1"), text("A list\n+++\nof two"), new_raw_cell("x")]
    with pytest.raises(form.BookError, match=r"the markdown cell .* 'A list\\n\+\+\+"):
        form.text_of(cells)


PIECES = (
    *(OPEN, TICKS, "````", "~~~", "+++", "+++ {}", '+++ {"tags": ["solution"]}', "---"),
    *(
        "---\na: b\n---",
        ":tags: [solution]",
        ":alt: a: b",
        "",
        " ",
        "# Title",
        "===",
        "%",
    ),
    *("- item", "  continued", "    four", "> quote", "| a | b |", "$$", "<details>"),
    *(
        "</details>",
        "(x)=",
        "{role}`x`",
        "```{note}",
        ":::{note}",
        "x = 1",
        "'''",
        "\t",
    ),
    *(
        "```{raw-cell}",
        form.FRONT,
        "\\",
        "\u2028",
        "\x0c",
        "é",
        "[x]: /y",
        "<!--",
        "-->",
    ),
)
TAGS = ("solution", "hide-input", "a: b", "[", "7", "no", '"', "# x")


def random_cell(draw):
    kind = draw.choices((text, code, lambda s, **m: new_raw_cell(s)), (10, 10, 1))[0]
    source = "\n".join(draw.choices(PIECES, k=draw.randint(0, 4)))
    metadata = {}
    if draw.random() < 0.2:
        metadata["tags"] = draw.sample(TAGS, draw.randint(1, 2))
    if draw.random() < 0.2:
        metadata["alt"] = " ".join(draw.sample(TAGS, 3))
    return kind(source, **metadata)


def test_random_cells_come_back_as_they_were_or_are_refused():
    draw, held = random.Random(0), 0
    for _ in range(500):
        cells = [random_cell(draw) for _ in range(draw.randint(1, 3))]
        try:
            found = form._parsed(form.text_of(cells))
        except form.BookError:
            continue
        assert contents(found) == contents(cells)
        held += 1
    assert 100 < held < 400  # neither everything nor nothing is refused
