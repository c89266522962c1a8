"""Functions that readers write are tried out, and what went wrong is said in words."""

import re

import pytest
import torch

from cnnlib import claims, exercises


@pytest.fixture
def doubled(monkeypatch, tmp_path):
    """An exercise that asks for 2x, of a matrix and of a number."""

    def trials():
        x = torch.randn(2, 3)
        right = 2 * x
        yield (x,), right
        yield (x,), right  # as long as nobody has changed x
        yield (3,), 6

    def pairs():
        yield (1, [2]), (torch.ones(2), "x")

    made = {"lenet/exercise-double": trials, "lenet/exercise-pairs": pairs}
    monkeypatch.setattr(exercises, "TRIALS", made)
    monkeypatch.setattr(exercises.importlib, "import_module", lambda name: None)
    monkeypatch.setattr(claims, "LEDGER", tmp_path / "claims.yml")
    entry = "{chapter: lenet, question: Double., hint: Times two.}"
    text = f"statements:\nexercises:\n  lenet/exercise-double: {entry}\n"
    claims.LEDGER.write_text(text, encoding="utf-8")
    claims._ledger.cache_clear()
    yield "lenet/exercise-double"
    claims._ledger.cache_clear()


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda x: 2 * x, None),
        (lambda x: (2 * x).numpy() if torch.is_tensor(x) else 6, None),
        (lambda x: (2 * x).tolist() if torch.is_tensor(x) else 6, None),
        (lambda x: "many", "it returned 'many', not a tensor of shape"),
        (
            lambda x: 2 * x.flatten() if torch.is_tensor(x) else 6,
            r"\(6,\), not a tenso",
        ),
        (lambda x: x + x if torch.is_tensor(x) else 7, "^for 3 it returned 7, not 6"),
        (lambda x: x * 2.1, "has the right shape but is off by up to 0"),
        (lambda x: None, "returned None"),
        (lambda x: float("nan") * x, "off by up to nan"),
        (lambda: 1, r"^for a tensor of shape \(2, 3\) it raised TypeError: .*lambda"),
        (3, "^the answer is a function, and this is 3"),
    ],
)
def test_the_first_mistake_is_named(doubled, function, fault):
    found = exercises.mistake(doubled, function)
    assert re.search(fault, found) if fault else found is None


def test_several_results_are_compared_one_by_one(doubled):
    def mistake(*result):
        return exercises.mistake("lenet/exercise-pairs", lambda a, b: result)

    assert mistake(torch.ones(2), "x") is None
    assert "not 2 values" in mistake(torch.ones(2))
    assert "off by up to 1" in mistake(torch.zeros(2), "x")
    assert mistake([1, 1.00001], "x") is None
    assert mistake(torch.ones(2), "y") == "for 1, [2] it returned 'y', not 'x'."


def test_a_function_cannot_change_the_trial_and_random_numbers_go_on(doubled):
    state = torch.get_rng_state()
    assert "off by" in exercises.mistake(doubled, lambda x: x.mul_(3))
    assert (
        exercises.mistake(doubled, lambda x: x.mul_(2) if torch.is_tensor(x) else 6)
        is None
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_what_the_reader_sees(doubled, monkeypatch):
    seen = []
    monkeypatch.setattr(claims, "_show", seen.append)
    for function, kind, text in [
        (..., "open", "Not answered yet."),
        (lambda x: ..., "open", "Not answered yet."),
        (lambda x: 2 * x, "right", "Right, in every trial."),
        (lambda x: x, "wrong", "Not yet: for a tensor of shape (2, 3) the result has "),
        (
            5,
            "wrong",
            "Not yet: the answer is a function, and this is 5. Hint: Times two.",
        ),
    ]:
        claims.check(doubled, function)
        line = seen.pop()
        assert repr(line).startswith(f"[exercise] {text}")
        assert line.html.startswith(f'<p class="claim claim-{kind}"><strong style=')
        assert f">exercise</strong> {text}" in line.html
    assert repr(line).endswith("this is 5. Hint: Times two.")
