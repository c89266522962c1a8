"""The exercises on residual networks: right functions pass, likely mistakes do not."""

import math

import pytest

from cnnlib.exercises import mistake


def shares(gains):
    total = [1.0]
    for gain in gains:
        total = [a + gain * b for a, b in zip([*total, 0], [0, *total], strict=True)]
    return [value / sum(total) for value in total]


def scale(blocks, growth):
    return ((growth - 1) / blocks * math.pi / (math.pi - 1)) ** 0.5


def vote(members, p):
    """From the probability of k right ones to that of k + 1, odds by odds."""
    chance, total = (1 - p) ** members, 0.0
    for k in range(members):
        chance *= (members - k) / (k + 1) * p / (1 - p)
        total += chance * (k + 1 > members / 2)
    return total


@pytest.mark.parametrize(
    ("id", "function"),
    [
        ("paths/exercise-shares", shares),
        ("paths/exercise-vote", vote),
        ("why-residual/exercise-scale", scale),
    ],
)
def test_right_functions_pass(id, function):
    assert mistake(id, function) is None


@pytest.mark.parametrize(
    ("id", "function"),
    [
        ("paths/exercise-shares", lambda gains: [1 / (len(gains) + 1)] * len(gains)),
        ("paths/exercise-vote", lambda members, p: p),
        ("paths/exercise-vote", lambda members, p: vote(members, p) ** 1.01),
        ("why-residual/exercise-scale", lambda n, growth: ((growth - 1) / n) ** 0.5),
    ],
)
def test_mistakes_are_named(id, function):
    assert "off by" in mistake(id, function) or "returned" in mistake(id, function)
