"""Verification: a threshold over stored pairs, with both errors and their curve."""

import itertools

import torch

from cnnlib.experiments.verification import equal_error, rates
from cnnlib.figures.figure import Figure

KINDS = "same", "any", "class"  # pairs: one garment, any two, two of one class
STRANGERS = {"any": "any other garment", "class": "another of the same class"}
ALLOWED = 0.01  # of the strangers, in the question that comes first
GUESSES = 5, 20, 40, 60  # percent of the right pairs that are turned away then


def verification(codes):
    """A `Figure` with a slider, the distance up to which two pictures are taken for
    one garment, that asks for a guess first.

    `codes` maps what a distance is computed from to a dictionary of distances in
    thousandths, whole numbers, of pairs of the "same" garment, of "any" two, and of two
    of one "class". The first is shown first. Raises ValueError where one is missing.
    """
    for name, distances in codes.items():
        if missing := [kind for kind in KINDS if not distances.get(kind)]:
            raise ValueError(
                f"{name!r} has no distances of {missing}: give whole numbers for each "
                f"of {', '.join(KINDS)}."
            )
    heads = ("code", "strangers", "equal error rate", "at 1 % false accepts")
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{words}</td>'
        f'<td align="right">{100 * equal:.1f} %</td>'
        f'<td align="right">{100 * rejected:.1f} % rejected</td></tr>'
        for name, distances in codes.items()
        for kind, words in STRANGERS.items()
        for equal, rejected in [summary(distances["same"], distances[kind])]
    )
    still = (
        "<p>Two pictures pass for one garment if their codes are nearer than a "
        "threshold. The error where as many strangers get in as right pairs are turned "
        "away, and the right pairs turned away if 1 % of strangers may get in.</p>"
        f'<table class="stages"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table>"
    )
    data = {
        "codes": [{"name": name, **_steps(found)} for name, found in codes.items()],
        "strangers": STRANGERS,
        "guesses": GUESSES,
    }
    line = "A threshold to move over stored pairs of garments, on the page."
    return Figure("verification", still, data, line, ["drawing", "guess"])


def summary(same, strangers):
    """(equal error rate, share of right pairs rejected at the largest threshold that
    accepts at most 1 % of the strangers)"""
    same, strangers = map(torch.tensor, (same, strangers))
    _, rejects, accepts = rates(same, strangers)
    strict = (accepts <= ALLOWED).sum() - 1
    return equal_error(same, strangers), rejects[strict].item()


def _steps(distances):
    """Sorted distances of each kind as steps from one to the next, short to write."""
    found = {}
    for kind in KINDS:
        values = sorted(map(int, distances[kind]))
        found[kind] = [b - a for a, b in itertools.pairwise([0, *values])]
    return found
