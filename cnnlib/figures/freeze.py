"""Freeze: what a trained network is worth, by pictures and by frozen stages."""

import numpy as np

from cnnlib.figures.figure import Figure

FROZEN = (4, 3, 2, 1, 0)  # stages; with 0 all of them are trained
STARTS = "learnt", "random"


def freeze(sizes, shares):
    """A `Figure` with two sliders, pictures of each kind and frozen stages.

    `sizes` are numbers of pictures; `shares` maps "learnt" and "random", what the
    stages start from, to accuracies (seeds, 5, sizes), for four frozen stages first and
    none last. Raises ValueError for accuracies of another shape.
    """
    shares = {start: np.asarray(shares[start]) for start in STARTS}
    wanted = (len(FROZEN), len(sizes))
    for start, runs in shares.items():
        if runs.ndim != 3 or runs.shape[1:] != wanted:
            raise ValueError(
                f"{start!r} has accuracies of shape {runs.shape}: give (seeds, "
                f"{wanted[0]}, {wanted[1]}), for four to no frozen stages and each of "
                f"the {wanted[1]} sizes."
            )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", *sizes))
    body = "".join(
        f'<tr><th scope="row">{_named(start, number)}</th>'
        + "".join(f'<td align="right">{_spread(run)}</td>' for run in runs[:, place].T)
        + "</tr>"
        for start, runs in shares.items()
        for place, number in enumerate(FROZEN)
    )
    still = (
        "<p>Right answers in percent, by the pictures of each kind: the mean over the "
        "seeds, and the lowest and highest.</p>"
        f'<table class="stages"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table>"
    )
    permille = {
        start: np.rint(1000 * runs).astype(int).transpose(2, 1, 0).tolist()
        for start, runs in shares.items()
    }
    line = "Two sliders, pictures of each kind and frozen stages, on the page."
    return Figure("freeze", still, {"sizes": list(sizes), **permille}, line)


def _named(start, number):
    if start == "random" and number == 0:
        return "from scratch"
    return f"{start}, {number or 'none'} frozen"


def _spread(run):
    low, high = 100 * run.min(), 100 * run.max()
    return f"{100 * run.mean():.1f} ({low:.1f}-{high:.1f})"
