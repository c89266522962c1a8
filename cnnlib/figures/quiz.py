"""Questions to check oneself on a chapter, with a reason for every answer."""

from html import escape
from pathlib import Path

import yaml

from cnnlib.figures.figure import Figure

QUESTIONS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text("utf-8"))


def quiz(chapter):
    """A `Figure` with the questions of `chapter`; its still form is a list of them with
    folded answers. Raises ValueError for a chapter without questions."""
    if chapter not in QUESTIONS:
        raise ValueError(f"no questions on {chapter!r}: choose from {list(QUESTIONS)}.")
    questions = QUESTIONS[chapter]
    still = "".join(map(_still, questions))
    line = f"{len(questions)} questions on {chapter}, to answer on the page."
    return Figure("quiz", f"<ol>{still}</ol>", {"questions": questions}, line)


def _still(question):
    """A question without a script: its options, and the answer folded."""
    options = question.get("options", [])
    shown = "".join(f"<li>{escape(text)}</li>" for _, text, _ in options)
    answer = [
        f"{text.rstrip('.')}. {why}" for kind, text, why in options if kind == "right"
    ]
    if not options:
        answer = [f"{question['answer']:,}. {question['why']}"]
    return (
        f"<li>{escape(question['ask'])}{shown and f'<ul>{shown}</ul>'}"
        f"<details><summary>Answer</summary>{escape(answer[0])} "
        f"See “{escape(question['see'])}”.</details></li>"
    )
