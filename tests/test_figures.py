"""Figures that answer, as far as no browser is needed: their form and their stills."""

import re

import pytest

from cnnlib import costs, figures, models
from cnnlib.figures.bill import NETWORKS
from cnnlib.figures.quiz import QUESTIONS
from tools import form


def test_a_bill_shows_the_table_of_the_network_where_no_script_runs():
    html = figures.bill("vgg16")._repr_html_()
    still = html[html.index('<div class="still"') : html.index("<script")]
    table = costs.table(models.build("vgg16"), (3, 224, 224))
    for row in table.cells():
        assert all(re.search(f">{re.escape(cell)}</t[dh]>", still) for cell in row)


def test_the_bill_offers_networks_of_the_book_with_their_own_input():
    for name, text in NETWORKS.items():
        first = text.splitlines()[0]
        shape = "x".join(map(str, models.find(name).input_shape))
        assert first == f"input {shape}"


def test_another_network_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no bill of 'vgg61'.*'vgg16'"):
        figures.bill("vgg61")


def test_a_figure_is_the_same_in_every_run_and_needs_no_other_host():
    html = figures.bill("lenet")._repr_html_()
    assert html == figures.bill("lenet")._repr_html_()
    assert not re.search(r"https?://|src=|href=|@import|url\(", html)
    assert len(html.encode()) < 20_000


def test_data_cannot_end_the_script_it_stands_in(tmp_path):
    figure = figures.figure.Figure("bill", "", {"a": "</script>"}, "")
    assert figure._repr_html_().count("</script>") == 2


def test_every_chapter_has_three_questions_or_more():
    chapters = [path.stem for path in (form.ROOT / "book" / "chapters").glob("*.md")]
    for chapter in chapters:
        assert len(QUESTIONS[chapter]) >= 3, chapter


QUESTIONS_OF_ALL = [(c, q) for c, questions in QUESTIONS.items() for q in questions]


@pytest.mark.parametrize(("chapter", "question"), QUESTIONS_OF_ALL)
def test_a_question_has_one_right_answer_and_a_reason_for_each(chapter, question):
    if "answer" in question:
        assert question.keys() == {"ask", "answer", "how", "why"}
        assert eval(question["how"], {}) == question["answer"]
    else:
        kinds = [kind for kind, text, reason in question["options"] if text and reason]
        assert kinds.count("right") == 1
        assert kinds.count("wrong") == len(question["options"]) - 1 >= 2


def test_questions_can_be_read_where_no_script_runs():
    html = figures.quiz("lenet")._repr_html_()
    still = html[html.index('<div class="still"') : html.index("<script")]
    assert still.count("<details><summary>Answer</summary>") == len(QUESTIONS["lenet"])
    assert "</summary>156. Each filter has 25 weights" in still


def test_a_chapter_without_questions_is_refused_with_those_that_have_some():
    with pytest.raises(ValueError, match=r"no questions on 'lennet'.*'lenet'"):
        figures.quiz("lennet")


def test_blocks_are_refused_when_a_subset_is_missing():
    with pytest.raises(ValueError, match="'plain' has 511 counts"):
        figures.blocks({"plain": [0] * 511}, 1_000)


def test_the_still_form_of_blocks_has_mean_lowest_and_highest():
    counts = [0] * 512
    counts[0b111111111] = 900
    counts[0b011111111] = 300  # without the first block
    html = figures.blocks({"plain": counts}, 1_000)._repr_html_()
    assert '<th scope="row">0</th><td align="right">90.0 (90.0-90.0)</td>' in html
    assert '<th scope="row">1</th><td align="right">3.3 (0.0-30.0)</td>' in html
