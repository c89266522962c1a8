"""The ledger: what the lecture notes state, and what came out when it was executed.

`claims.yml` holds one entry per statement, and the answers to the exercises.
A chapter measures and reports:

    check("lenet/parameters", count)  # compare, show one line, or raise ClaimError
    cite("lenet/reference")           # a statement that only a source can settle
    check("lenet/exercise-c1-connections", answer)  # right, not yet, or not answered
    held()                            # a folded list of the statements that hold

A statement that holds shows no line of its own: it waits for the `held()` at the end
of the section, so that those stand out with which something is wrong. An answer may be
a function, which is then tried out (`cnnlib.exercises`). Write the id as a literal
string in a code cell: `homes` finds it there.
"""

import difflib
import html
import json
import math
import numbers
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import yaml

LEDGER = Path(__file__).with_name("claims.yml")
VERDICTS = ("holds", "corrected", "imprecise", "contested")
# Of the word in front of a line, where no style sheet gives it one; white on each.
GREEN, RED, GREY = "#1a7431", "#c2330b", "#55606e"
COLOURS = dict(holds=GREEN, corrected=RED, imprecise="#8a5d00", contested="#6b3fc0")
COLOURS |= dict(right=GREEN, wrong=RED, open=GREY)
LECTURED = ("verification", "style")  # the notes have titles; the lecture states it
CALL = re.compile(r"""\b(?:check|cite)\(\s*["']([^"']+)["']""")
CODE_CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)


class ClaimError(AssertionError):
    """The ledger and the chapter do not agree; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of the notes; the comment at the top of claims.yml explains each
    field. A field that an entry leaves out is None (refs and comment: empty)."""

    id: str
    chapter: str
    statement: str
    verdict: str
    settled: str
    says: object = None
    notes: str | None = None
    right: object = None
    band: tuple[float, float] | None = None
    tolerance: float = 0
    how: str | None = None
    comment: str = ""
    paper: str | None = None
    refs: tuple[str, ...] = ()
    was: str | None = None

    @property
    def answer(self):
        """The right value: `right`, or what the notes say where that is right."""
        return self.says if self.right is None else self.right


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A question to the reader; `hint` is what a wrong answer gets. Without `answer`
    it asks for a function, which `cnnlib.exercises` tries out. `choices` are the words
    of which one is the answer."""

    id: str
    chapter: str
    question: str
    hint: str
    answer: object = None
    tolerance: float = 0
    choices: tuple[str, ...] = ()
    how: str | None = None


class Line:
    """One line of the ledger, as plain text and as HTML that needs no style sheet."""

    def __init__(self, kind, label, text, source=None):
        self.text = f"[{label}] {text}" + (f" Source: {source}" if source else "")
        self.html = (
            f'<p class="claim claim-{kind}"><strong style="background:{COLOURS[kind]};'
            f'color:#fff;padding:0 6px">{label}</strong> '
            + html.escape(text)
            + (f' <a href="{html.escape(source)}">source</a>' if source else "")
            + "</p>"
        )

    def __repr__(self):
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.text, "text/html": self.html}


class Lines:
    """Several lines of the ledger, in HTML folded below their number."""

    def __init__(self, lines):
        self.lines = lines

    def __repr__(self):
        return "\n".join(map(repr, self.lines))

    def _repr_mimebundle_(self, include=None, exclude=None):
        count = len(self.lines)
        title = f"{count} statements hold" if count > 1 else "One statement holds"
        content = "".join(line.html for line in self.lines)
        form = (
            f'<details class="claims" style="border-left:4px solid {GREEN};'
            f'padding-left:8px"><summary>{title} in this section</summary>'
            f"{content}</details>"
        )
        return {"text/plain": repr(self), "text/html": form}


_waiting = {}  # id of a statement that holds: its line, until held() shows it


@cache
def _ledger():
    """Read and validate claims.yml once: ({id: Statement}, {id: Exercise})."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(LEDGER.read_text(encoding="utf-8"), loader)
    return tuple(
        {id: _entry(kind, id, fields) for id, fields in (entries[part] or {}).items()}
        for kind, part in ((Statement, "statements"), (Exercise, "exercises"))
    )


def _entry(kind, id, fields):
    try:
        entry = kind(id=id, **{name: _frozen(value) for name, value in fields.items()})
    except TypeError as error:
        raise ClaimError(f"claims.yml, {id}: {error}.") from None
    if id.partition("/")[0] != entry.chapter:
        raise ClaimError(f"claims.yml, {id}: the chapter is {entry.chapter}.")
    if kind is Statement and (fault := _fault(entry)):
        raise ClaimError(f"claims.yml, {id}: {fault}.")
    return entry


def _fault(entry):
    """What an entry lacks, or None."""
    if entry.verdict not in VERDICTS:
        return f"the verdict {entry.verdict!r} is none of {', '.join(VERDICTS)}"
    if entry.settled not in ("check", "cite"):
        return f"settled is {entry.settled!r}, neither check nor cite"
    if entry.settled == "cite":
        return None if entry.paper else "a cited statement needs a link in paper"
    if entry.answer is None and entry.band is None:
        return "a checked statement needs says, right or band"
    if entry.verdict == "corrected" and (entry.says is None or entry.right is None):
        return "a corrected statement needs says and right"
    if _contradicts_notes(entry, entry.answer):
        return f"by its values, says {entry.says!r} is not {entry.verdict}"
    return None


def _frozen(value):
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def statements():
    """All statements, in the order of claims.yml."""
    return tuple(_ledger()[0].values())


def exercises():
    """All exercises, in the order of claims.yml."""
    return tuple(_ledger()[1].values())


def check(id, measured):
    """Compare a measurement with the ledger and show one line, which waits for `held()`
    if the statement holds; for an exercise, mark the answer. Raises ClaimError where
    the recorded verdict no longer stands:

    holds      the notes' value and the right one both agree with the measurement
    corrected  the right value agrees, the notes' value does not
    imprecise  the right value agrees
    contested  the right value agrees, or the measurement lies inside the band

    A measurement that is not finite settles nothing and is refused as well.
    """
    entry = _find(id)
    if isinstance(entry, Exercise):
        return _show(_mark(entry, measured))
    if entry.settled == "cite":
        raise ClaimError(f"{id} is settled by its source: use cite({id!r}).")
    measured = _plain(measured)
    if not _finite(measured):
        raise ClaimError(
            f"{id}: measured {measured!r}, but only finite numbers settle a statement: "
            "look for a run that diverged or a division by zero."
        )
    if reason := _refuted(entry, measured):
        raise ClaimError(
            f"{id}: measured {measured!r}, but {reason}; "
            "correct the cell or the ledger."
        )
    return _tell(entry, _report(entry, measured))


def cite(id):
    """Show the line of a statement that only its source can settle, or keep it."""
    entry = _find(id)
    if isinstance(entry, Exercise) or entry.settled == "check":
        raise ClaimError(f"{id} is settled by a value: use check({id!r}, value).")
    text = _joined(entry.statement, entry.comment)
    return _tell(entry, Line(entry.verdict, entry.verdict, text, entry.paper))


def held():
    """Show the statements that hold of those checked or cited since the last list."""
    lines = list(_waiting.values())
    _waiting.clear()
    if lines:
        _show(Lines(lines))


def _tell(entry, line):
    if entry.verdict != "holds":
        return _show(line)
    _waiting[entry.id] = line


def _find(id):
    """The statement or exercise of that id."""
    known = _ledger()[0] | _ledger()[1]
    if id in known:
        return known[id]
    nearest = ", ".join(difflib.get_close_matches(id, known, n=3, cutoff=0))
    raise ClaimError(f"claims.yml has no {id!r}; the nearest ids are {nearest}.")


def _refuted(entry, measured):
    """Why a measurement does not support the recorded verdict, or None."""
    if entry.band:
        low, high = entry.band
        inside = isinstance(measured, int | float) and low <= measured <= high
        return None if inside else f"the band is {low} to {high}"
    tolerance = entry.tolerance if entry.right is None else 0
    if not _agrees(measured, entry.answer, tolerance):
        return f"{entry.answer!r} is recorded as right"
    if _contradicts_notes(entry, measured):
        return f"the notes' {entry.says!r} is recorded as {entry.verdict}"
    return None


def _contradicts_notes(entry, value):
    """True if the notes' value fails to hold, or a corrected one holds after all."""
    if entry.says is None or entry.verdict not in ("holds", "corrected"):
        return False
    return _agrees(value, entry.says, entry.tolerance) != (entry.verdict == "holds")


def _agrees(measured, value, tolerance):
    """Whole numbers, texts and truth values must be equal; a decimal fraction agrees
    with what rounds to its digits; a tolerance (relative) replaces both rules."""
    if isinstance(value, tuple):
        return (
            isinstance(measured, tuple)
            and len(measured) == len(value)
            and all(map(_agrees, measured, value, [tolerance] * len(value)))
        )
    if isinstance(measured, tuple):
        return False
    if isinstance(value, bool | str) or isinstance(measured, bool | str):
        return type(measured) is type(value) and measured == value
    if tolerance:
        return abs(measured - value) <= tolerance * abs(value)
    if isinstance(value, float):
        last_digit = 10.0 ** Decimal(repr(value)).as_tuple().exponent
        return abs(measured - value) <= 0.5 * last_digit
    return measured == value


def _plain(value):
    """Tensors, arrays, NumPy scalars and sequences as plain Python values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise ClaimError(
        f"cannot compare a {type(value).__name__}; pass a number, a truth value, "
        "a text, or a list of these."
    )


def _finite(value):
    if isinstance(value, tuple):
        return all(map(_finite, value))
    return isinstance(value, str) or math.isfinite(value)


def shown(value):
    """A value as the book prints it: 60,000 or 9.677 or yes or (6, 28, 28)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _report(entry, measured):
    result = shown(measured)
    if entry.band:
        result = (
            f"⟨{result}⟩ (expected {shown(entry.band[0])} to {shown(entry.band[1])})"
        )
    said = entry.notes or (None if entry.says is None else shown(entry.says))
    whose = "Lecture" if entry.chapter in LECTURED else "Notes"
    values = f"{whose}: {said}; measured: {result}." if said else f"Measured: {result}."
    text = _joined(entry.statement, values, entry.comment)
    return Line(entry.verdict, entry.verdict, text, entry.paper)


def _mark(exercise, answer):
    """The line that a reader's answer gets."""
    if answer is ...:
        return Line("open", "exercise", "Not answered yet.")
    if exercise.answer is None:
        from cnnlib.exercises import mistake  # needs torch, which the site has not

        fault = mistake(exercise.id, answer)
        if fault is ...:
            return Line("open", "exercise", "Not answered yet.")
        if fault:
            return Line("wrong", "exercise", f"Not yet: {fault} Hint: {exercise.hint}")
        return Line("right", "exercise", "Right, in every trial.")
    try:
        right = _agrees(_plain(answer), exercise.answer, exercise.tolerance)
    except ClaimError:
        right = False
    if right:
        return Line(
            "right", "exercise", f"Right. The answer is {shown(exercise.answer)}."
        )
    return Line("wrong", "exercise", f"Not yet. Hint: {exercise.hint}")


def _joined(*sentences):
    return " ".join(filter(None, sentences))


def _show(line):
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython():
            return display(line)
    print(line)


def homes(folder):
    """Where the statements and exercises are shown: {id: (stem of a chapter, ...)} from
    the code cells of the notebooks (.ipynb) or of their texts (.md) in `folder`."""
    found = {}
    for path in sorted(Path(folder).glob("*")):
        for id in CALL.findall(_code(path)):
            found.setdefault(id, {})[path.stem] = True
    return {id: tuple(stems) for id, stems in found.items()}


def _code(path):
    if path.suffix == ".md":
        return "\n".join(CODE_CELL.findall(path.read_text(encoding="utf-8")))
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = (
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"
        )
        return "\n".join(code)
    return ""


def homeless(folder):
    """The statements that no chapter in `folder` shows yet."""
    shown_somewhere = homes(folder)
    return tuple(entry for entry in statements() if entry.id not in shown_somewhere)
