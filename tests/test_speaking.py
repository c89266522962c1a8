"""How the site marks answers to exercises, and which cells it folds."""

from math import floor

import pytest
from docutils import nodes

from cnnlib import claims

NUMBERS = [e for e in claims.exercises() if type(e.answer) in (int, float)]


@pytest.fixture(scope="session")
def speaking(extension):
    return extension("speaking")


@pytest.mark.parametrize("exercise", NUMBERS, ids=lambda exercise: exercise.id)
def test_the_page_marks_numbers_as_check_does(speaking, exercise):
    _, step, right = speaking.marking(exercise)
    reach = speaking.allowance(exercise) or 1
    for tenth in range(-25, 26):
        value = exercise.answer + tenth / 10 * reach
        point = str(floor(value / step + 0.5)) if step else f"{value:.12g}"
        point = point if step or value % 1 else str(int(value))
        if step and abs(abs(tenth / 10) - 1) * reach <= step / 2:
            continue  # right at the limit, where a step of the grid decides
        said = speaking.digest(exercise.id, point) in right
        agrees = claims._agrees(value, exercise.answer, exercise.tolerance)
        assert said == agrees, value


def test_a_step_of_the_grid_is_at_most_an_eighth_of_the_tolerance(speaking):
    steps = {
        e.id: speaking.marking(e)[1] / speaking.allowance(e)
        for e in NUMBERS
        if speaking.allowance(e)
    }
    assert len(steps) > 8 and max(steps.values()) <= 1 / 8


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ('check("a", 1)\nheld()', ["check", "held"]),
        ('cite("a")', ["cite"]),
        ('x = 1\ncheck("a", x)', ["", "check"]),
        ("print(1)\nheld()", ["print", "held"]),
    ],
)
def test_only_a_cell_of_calls_is_machinery(speaking, source, calls):
    assert speaking.called(source) == calls
    assert speaking.is_machinery(source) == (set(calls) <= speaking.CALLS)


@pytest.mark.parametrize(
    ("source", "only"),
    [
        ("import torch\n\nfrom cnnlib import data", True),
        ("from cnnlib import plots\n\nplots.use_style()", True),
        ("import torch\n\nx = torch.ones(2)", False),
        ("import torch\n\nprint(torch.ones(2))", False),
        ('from cnnlib.figures import quiz\n\nquiz("lenet")', False),
    ],
)
def test_only_a_cell_of_imports_is_preparation(speaking, source, only):
    assert speaking.is_preparation(source) == only


def test_a_figure_has_an_address_and_what_only_mentions_it_has_none(speaking):
    begins = nodes.strong("", "Figure 12.")
    caption = nodes.paragraph("", "", nodes.Text(""), begins, nodes.Text(" A window."))
    mention = nodes.paragraph("", "", nodes.Text("Figure 12. shows it."))
    other = nodes.paragraph("", "", nodes.strong("", "Figure it out."))
    tree = nodes.section("", caption, mention, other, nodes.paragraph())
    speaking.number(tree)
    assert caption["ids"] == ["figure-12"] and caption["classes"] == ["below-figure"]
    assert 'href="#figure-12"' in caption[-1].astext()
    assert not mention["ids"] and not other["ids"] and len(other) == 1


def test_an_answer_in_words_is_among_its_choices():
    words = [e for e in claims.exercises() if isinstance(e.answer, str)]
    assert words and all(e.answer in e.choices for e in words)


def exercises(first):
    """A page with two paragraphs below "Exercises", as `speak` leaves it."""
    parts = [nodes.paragraph("", text) for text in (first, "A cell for your answer")]
    section = nodes.section("", nodes.title("", "Exercises"), *parts)
    return nodes.section("", nodes.paragraph("", "a cell for your answer"), section)


def test_the_site_says_in_its_own_words_where_answers_go(speaking):
    tree = exercises("Each question has a cell for your answer; run it.")
    speaking.say_where_answers_go(tree)
    found = [(node.astext(), node["classes"]) for node in tree.findall(nodes.paragraph)]
    assert found[1] == (speaking.EXERCISES, ["of-the-site"])
    assert found[2][1] == ["of-the-notebook"]
    assert found[0][1] == found[3][1] == [] and len(found) == 4


def test_exercises_that_speak_of_no_cell_stay_as_they_are(speaking):
    tree = exercises("How many pixels?")
    before = tree.pformat()
    speaking.say_where_answers_go(tree)
    assert tree.pformat() == before
