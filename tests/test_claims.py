"""The ledger itself, and what check() and cite() make of it."""

import ast
import dataclasses
import json
import operator
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from cnnlib import claims, exercises
from cnnlib.claims import ClaimError, check, cite

ROOT = Path(__file__).parents[1]
CHAPTERS = ROOT / "chapters"
PLANNED = {
    *("convolution", "padding-stride", "receptive-field", "channels", "pooling"),
    *("backpropagation", "starting"),
    *("lenet", "alexnet", "vgg", "nin", "inception-bill", "googlenet"),
    *("batch-norm", "resnet", "why-residual", "paths", "densenet", "comparison"),
    *("own-pictures", "training", "transfer", "patterns", "seeing"),
    *("detection", "verification", "exits", "style"),
}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
STATEMENTS = claims.statements()
EXERCISES = claims.exercises()


def evaluate(how):
    """The value of plain arithmetic, or of a list of it; anything else is refused."""

    def value(node):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.List):
            return [value(item) for item in node.elts]
        raise ValueError(f"{ast.unparse(node)} is not plain arithmetic.")

    return value(ast.parse(how, mode="eval").body)


# The ledger of the book


def test_no_id_stands_twice_in_the_file():
    top = yaml.compose(claims.LEDGER.read_text(encoding="utf-8")).value
    parts = {key.value: part.value for key, part in top}
    ids = [key.value for name in ("statements", "exercises") for key, _ in parts[name]]
    assert len(ids) == len(set(ids)) == len(STATEMENTS) + len(EXERCISES)


def test_statements_are_complete():
    for entry in STATEMENTS:
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", entry.id)
        assert entry.chapter in PLANNED, entry.id
        assert re.fullmatch(r"[A-Z0-9].*\.", entry.statement), entry.id
        assert entry.comment.endswith(".") or entry.verdict == "holds", entry.id
        assert entry.comment.endswith((".", ")")) or not entry.comment, entry.id
        assert entry.paper is None or entry.paper.startswith("https://"), entry.id
        assert entry.settled == "check" or entry.band is entry.how is None, entry.id
        if entry.band:
            assert entry.band[0] < entry.band[1] and entry.right is None, entry.id


def test_exercises_are_complete():
    for entry in EXERCISES:
        assert re.fullmatch(r"[a-z0-9-]+/exercise-[a-z0-9-]+", entry.id)
        assert entry.chapter in PLANNED, entry.id
        assert entry.question.endswith((".", "?")), entry.id
        assert entry.hint.endswith((".", "?")), entry.id


def test_exercises_without_an_answer_have_trials():
    for entry in EXERCISES:
        if entry.answer is None:
            assert len(list(exercises.find(entry.id)())) > 1, entry.id


def test_every_reference_stands_once():
    refs = [ref for entry in STATEMENTS for ref in entry.refs]
    assert len(refs) == len(set(refs))
    assert all(re.fullmatch(r"\d{3}-\d{3}", ref) for ref in refs)
    assert all(entry.refs for entry in STATEMENTS)


@pytest.mark.parametrize(
    "entry", [e for e in STATEMENTS + EXERCISES if e.how], ids=lambda entry: entry.id
)
def test_arithmetic_gives_the_right_value(entry, capsys):
    check(entry.id, evaluate(entry.how))  # raises if the verdict does not follow
    if isinstance(entry, claims.Exercise):
        assert "Right." in capsys.readouterr().out


def test_chapters_show_known_ids_and_all_their_own():
    shown = claims.homes(CHAPTERS)
    stems = {path.stem for path in CHAPTERS.glob("*.ipynb")}
    ours = {entry.id for entry in STATEMENTS + EXERCISES if entry.chapter in stems}
    assert set(shown) <= {entry.id for entry in STATEMENTS + EXERCISES}
    assert ours <= set(shown)


def test_old_ids_are_those_of_no_other_statement_and_of_an_existing_chapter():
    old = [entry.was for entry in STATEMENTS if entry.was]
    assert len(old) == len(set(old)) and "why-residual/lesions" in old
    assert not set(old) & {entry.id for entry in STATEMENTS + EXERCISES}
    assert {id.partition("/")[0] for id in old} <= PLANNED


def test_ids_quoted_anywhere_in_code_and_documents_exist(tracked):
    known = {entry.id for entry in STATEMENTS + EXERCISES}
    known |= {entry.was for entry in STATEMENTS}
    chapters = "|".join({entry.chapter for entry in STATEMENTS + EXERCISES})
    # a chapter, a slash and a slug; neither a part of a path nor a file's name
    quoted = re.compile(rf"(?<![\w/.-])(?:{chapters})/[a-z0-9-]+(?![\w/]|\.\w)")
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in tracked
        if name.endswith((".md", ".py", ".yml")) and not name.startswith("tests/")
    }
    found = {(name, id) for name in texts for id in quoted.findall(texts[name])}
    assert {(name, id) for name, id in found if id not in known} == set()
    assert {"CONTRIBUTING.md", "cnnlib/claims.py"} <= {name for name, _ in found}


# check() and cite(), on a ledger of their own

LEDGER = """
statements:
  lenet/holds: &holds {chapter: lenet, statement: LeNet has about 60 000., says: 61000,
    right: 60000, tolerance: 0.02, verdict: holds, settled: check, refs: [000-001]}
  lenet/says-only: {<<: *holds, right: null}
  lenet/corrected: {<<: *holds, statement: It costs 12.04 M., says: 12040000,
    right: 12443648, verdict: corrected, comment: The sum is wrong., tolerance: 0,
    paper: "https://example.org/a?b&c"}
  lenet/imprecise: {<<: *holds, says: 28, right: 14, verdict: imprecise}
  lenet/contested: {<<: *holds, says: true, right: false, verdict: contested}
  lenet/shape: {<<: *holds, says: [6, 28, 28], right: null, tolerance: 0}
  lenet/near: {<<: *holds, says: [100, 200], right: null}
  lenet/ratio: {<<: *holds, says: null, right: 9.68}
  lenet/text: {<<: *holds, says: max, right: average, verdict: corrected}
  lenet/band: {<<: *holds, says: null, right: null, band: [0.7, 0.8]}
  lenet/cited: {<<: *holds, settled: cite, paper: "https://example.org",
    statement: '<b>"A" & B</b>.', comment: So they say.}
exercises:
  lenet/exercise-sum: {chapter: lenet, question: Why?, answer: 122304, hint: Use C1.}
  lenet/exercise-rate: {chapter: lenet, question: How much?, answer: 0.25,
    tolerance: 0.1, hint: Look at S2.}
  lenet/exercise-code: {chapter: lenet, question: Write it., hint: Use a loop.}
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    claims._ledger.cache_clear()


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A small ledger instead of the book's; returns its path."""
    monkeypatch.setattr(claims, "LEDGER", tmp_path / "claims.yml")
    monkeypatch.setattr(claims, "_waiting", {})
    write(claims.LEDGER, LEDGER)
    yield claims.LEDGER
    claims._ledger.cache_clear()


@pytest.fixture
def line(ledger, capsys):
    """What check() or cite() prints, at once or in the list of what holds."""

    def call(function, *arguments):
        assert function(*arguments) is None
        claims.held()
        return capsys.readouterr().out.strip()

    return call


@pytest.mark.parametrize(
    ("id", "measured"),
    [
        ("lenet/holds", 60000),
        ("lenet/says-only", 60000),
        ("lenet/corrected", 12443648),
        ("lenet/imprecise", 14),
        ("lenet/contested", False),
        ("lenet/shape", (6, 28, 28)),
        ("lenet/near", (102, 196)),
        ("lenet/ratio", 120422400 / 12443648),
        ("lenet/ratio", 9.6846),
        ("lenet/text", "average"),
        ("lenet/band", 0.7),
        ("lenet/band", 0.8),
        ("lenet/holds", torch.tensor(60000)),
        ("lenet/holds", np.float32(60000)),
        ("lenet/contested", np.bool_(False)),
        ("lenet/contested", torch.tensor(1) > 2),
        ("lenet/shape", torch.zeros(6, 28, 28).shape),
        ("lenet/shape", [np.int64(6), 28, 28.0]),
        ("lenet/shape", np.array([6, 28, 28])),
    ],
)
def test_check_shows_a_line_when_the_verdict_stands(line, id, measured):
    assert line(check, id, measured).startswith(f"[{claims._find(id).verdict}] ")


@pytest.mark.parametrize(
    ("id", "measured"),
    [
        ("lenet/holds", 60001),  # near what the notes say, but not right
        ("lenet/says-only", 50000),
        ("lenet/corrected", 12040000),  # the notes were right after all
        ("lenet/corrected", 12443649),
        ("lenet/imprecise", 28),
        ("lenet/contested", True),
        ("lenet/contested", 0),
        ("lenet/shape", (6, 28)),
        ("lenet/shape", (6, 28, 27)),
        ("lenet/shape", 6),
        ("lenet/near", (103, 200)),
        ("lenet/ratio", 9.6745),  # rounds to 9.67
        ("lenet/ratio", (9.68,)),
        ("lenet/ratio", "9.68"),
        ("lenet/text", "max"),
        ("lenet/band", 0.69),
        ("lenet/band", (0.75,)),
        ("lenet/holds", None),
        ("lenet/holds", 60000j),
    ],
)
def test_check_raises_when_the_verdict_falls(ledger, id, measured):
    with pytest.raises(ClaimError):
        check(id, measured)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("id", "wrap"),
    [
        ("lenet/band", float),
        ("lenet/ratio", float),  # compared with a printed value
        ("lenet/holds", float),  # compared with a tolerance
        ("lenet/corrected", np.float32),
        ("lenet/text", torch.tensor),
        ("lenet/near", lambda value: np.array([100.0, value])),
    ],
)
def test_check_refuses_what_is_not_finite_and_says_where_to_look(
    ledger, id, wrap, value
):
    with pytest.raises(ClaimError, match=rf"^{id}: .*{value}.* a run that diverged or"):
        check(id, wrap(value))


@pytest.mark.parametrize(
    ("verdict", "says"), [("holds", 70000), ("corrected", 60100), ("corrected", 60000)]
)
def test_check_compares_what_the_notes_say_too(ledger, verdict, says):
    entry = claims.Statement(
        id="lenet/x",
        chapter="lenet",
        statement="S.",
        verdict=verdict,
        settled="check",
        says=says,
        right=60000,
        tolerance=0.01,
    )
    claims._ledger()[0]["lenet/x"] = entry
    with pytest.raises(ClaimError, match=f"{says} is recorded as {verdict}"):
        check("lenet/x", 60000)


def test_line_as_text(line):
    assert line(check, "lenet/corrected", 12443648) == (
        "[corrected] It costs 12.04 M. Notes: 12,040,000; measured: 12,443,648. "
        "The sum is wrong. Source: https://example.org/a?b&c"
    )
    assert "Measured: 9.677." in line(check, "lenet/ratio", 9.67742)
    assert "Measured: ⟨0.7312⟩ (expected 0.7 to 0.8)." in line(
        check, "lenet/band", 0.73123
    )
    assert "Notes: yes; measured: no." in line(check, "lenet/contested", False)
    assert "measured: (6, 28, 28)." in line(check, "lenet/shape", [6, 28, 28])
    assert "measured: 60,000." in line(check, "lenet/holds", torch.tensor(6e4))


@pytest.mark.parametrize(
    ("chapter", "whose"),
    [("lenet", "Notes"), ("verification", "Lecture"), ("style", "Lecture")],
)
def test_line_says_whose_statement_it_is(ledger, chapter, whose):
    entry = dataclasses.replace(claims._find("lenet/imprecise"), chapter=chapter)
    assert f" {whose}: 28; measured: 14." in claims._report(entry, 14).text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(True, "yes"), (False, "no"), ("average", "average"), (60000, "60,000")],
        *[(9.67742, "9.677"), (999.96, "1000"), (1000.0, "1,000"), (-2e4, "-20,000")],
        *[((6, 28.0, "x"), "(6, 28, x)"), (None, "None")],
    ],
)
def test_values_are_shown_as_the_book_prints_them(value, text):
    assert claims.shown(value) == text


def test_line_as_html_is_escaped_and_shown_by_ipython(ledger, monkeypatch):
    shown = []
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: "a kernel")
    )
    monkeypatch.setitem(
        sys.modules, "IPython.display", SimpleNamespace(display=shown.append)
    )
    cite("lenet/cited")
    check("lenet/corrected", 12443648)
    claims.held()
    corrected, cited = (line._repr_mimebundle_() for line in shown)
    assert cited["text/html"] == (
        '<details class="claims" style="border-left:4px solid #1a7431;'
        'padding-left:8px"><summary>One statement holds in this section</summary>'
        '<p class="claim claim-holds"><strong style="background:#1a7431;color:#fff;'
        'padding:0 6px">holds</strong> '
        "&lt;b&gt;&quot;A&quot; &amp; B&lt;/b&gt;. So they say. "
        '<a href="https://example.org">source</a></p></details>'
    )
    opening = '<p class="claim claim-corrected"><strong style="background:#c2330b;'
    assert corrected["text/html"].startswith(opening)
    assert ">corrected</strong> It costs" in corrected["text/html"]
    assert '<a href="https://example.org/a?b&amp;c">' in corrected["text/html"]
    assert corrected["text/plain"] == repr(shown[0])


def test_what_holds_waits_for_the_list_and_the_rest_does_not(ledger, capsys):
    check("lenet/holds", 60000)
    cite("lenet/cited")
    check("lenet/holds", 60000)  # the cell was run twice
    assert capsys.readouterr().out == ""
    check("lenet/imprecise", 14)
    assert capsys.readouterr().out.startswith("[imprecise] ")
    claims.held()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[holds] LeNet has") and "So they say." in second
    claims.held()
    assert capsys.readouterr().out == ""


def test_the_list_says_how_many_there_are():
    line = claims.Line("holds", "holds", "A.")
    for count, title in (1, "One statement holds in"), (2, "2 statements hold in"):
        lines = claims.Lines([line] * count)
        shown = lines._repr_mimebundle_()
        assert shown["text/plain"] == repr(lines) == "\n".join([line.text] * count)
        html = shown["text/html"]
        assert f"<summary>{title}" in html and line.html * count in html


def test_a_fallen_verdict_shows_both_values(ledger):
    with pytest.raises(
        ClaimError, match=r"^lenet/says-only: measured 50, but 61000 is recorded as"
    ):
        check("lenet/says-only", torch.tensor(50))


def test_entries_come_in_the_order_of_the_file(ledger):
    ids = re.findall(r"^  (\S+): ", LEDGER, re.MULTILINE)
    assert [entry.id for entry in claims.statements()] == ids[:-3]
    assert [entry.id for entry in claims.exercises()] == ids[-3:]


def test_unknown_id_names_the_nearest(ledger):
    with pytest.raises(ClaimError, match=r"no 'lenet/hold'.*lenet/holds, "):
        check("lenet/hold", 1)
    with pytest.raises(ClaimError, match=r"no 'lenet/cite'.*lenet/cited"):
        cite("lenet/cite")
    with pytest.raises(ClaimError, match=r"no 'x'; the nearest ids are (\S+ ){2}\S+$"):
        cite("x")


def test_check_and_cite_are_not_confused(ledger):
    with pytest.raises(ClaimError, match=r"use cite\('lenet/cited'\)"):
        check("lenet/cited", 1)
    for id in ("lenet/holds", "lenet/exercise-sum"):
        with pytest.raises(ClaimError, match=rf"use check\('{id}', value\)"):
            cite(id)


@pytest.mark.parametrize(
    ("id", "answer", "kind", "marked"),
    [
        ("lenet/exercise-sum", ..., "open", "Not answered yet."),
        ("lenet/exercise-sum", 122304, "right", "Right. The answer is 122,304."),
        ("lenet/exercise-sum", 156, "wrong", "Not yet. Hint: Use C1."),
        ("lenet/exercise-sum", None, "wrong", "Not yet. Hint: Use C1."),
        ("lenet/exercise-rate", 0.27, "right", "Right. The answer is 0.25."),
        ("lenet/exercise-rate", 0.28, "wrong", "Not yet. Hint: Look at S2."),
        ("lenet/exercise-sum", float("nan"), "wrong", "Not yet. Hint: Use C1."),
        ("lenet/exercise-rate", float("nan"), "wrong", "Not yet. Hint: Look at S2."),
        ("lenet/exercise-rate", float("inf"), "wrong", "Not yet. Hint: Look at S2."),
    ],
)
def test_exercise_gets_one_of_three_answers(line, id, answer, kind, marked):
    assert line(check, id, answer) == f"[exercise] {marked}"
    html = claims._mark(claims._find(id), answer).html
    assert html.startswith(f'<p class="claim claim-{kind}"><strong style="')
    assert html.endswith(f'">exercise</strong> {marked}</p>')


@pytest.mark.parametrize("kind", [*claims.VERDICTS, "right", "wrong", "open"])
def test_every_word_of_a_line_is_legible_on_its_colour(kind):
    html = claims.Line(kind, kind, "x").html
    back = re.search(r"background:#(\w{6});color:#fff", html)[1]
    shares = [int(back[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [((share + 0.055) / 1.055) ** 2.4 for share in shares]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (light + 0.05) >= 4.5
    assert len({claims.COLOURS[verdict] for verdict in claims.VERDICTS}) == 4


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("settled: cite, ", "settled: cites, ", "lenet/cited: settled is 'cites'"),
        ("right: average", "right: max", "lenet/text: .* 'max' is not corrected"),
        ("says: 61000", "says: 70000", "lenet/holds: .* 70000 is not holds"),
        ("right: average", "right: null", "lenet/text: a corrected statement"),
        ("band: [0.7, 0.8]", "band: null", "lenet/band: a checked .* or band\\."),
        (
            'paper: "https://example.org",',
            "",
            "lenet/cited: a cited .* a link in paper\\.",
        ),
        (
            "verdict: imprecise",
            "verdict: wrong",
            "lenet/imprecise: the verdict 'wrong' is none of holds, corrected, ",
        ),
        ("lenet/ratio:", "vgg/ratio:", "vgg/ratio: the chapter is lenet"),
        ("hint: Use C1.", "tip: Use C1.", "lenet/exercise-sum: .*tip"),
    ],
)
def test_faulty_entry_is_named(ledger, old, new, fault):
    write(ledger, LEDGER.replace(old, new))
    with pytest.raises(ClaimError, match=f"claims.yml, {fault}"):
        claims.statements()


def test_homes_are_the_code_cells_that_call(ledger, tmp_path):
    code = ['check("lenet/holds", 1)\n', "claims.cite( 'lenet/cited')"]
    cells = [
        {"cell_type": "code", "source": code},
        {"cell_type": "markdown", "source": ['`check("lenet/ratio", 1)`']},
    ]
    (tmp_path / "lenet.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "vgg.md").write_text(
        'check("lenet/ratio", 1)\n\n```{code-cell} ipython3\n:tags: [solution]\n\n'
        'check("lenet/holds", 1)\ncheck("lenet/holds", 2)\n```\n'
    )
    assert claims.homes(tmp_path) == {
        "lenet/holds": ("lenet", "vgg"),
        "lenet/cited": ("lenet",),
    }
    homeless = [entry.id for entry in claims.homeless(tmp_path)]
    assert homeless == [
        entry.id
        for entry in claims.statements()
        if entry.id not in claims.homes(tmp_path)
    ]
    assert "lenet/ratio" in homeless and len(homeless) == 9
