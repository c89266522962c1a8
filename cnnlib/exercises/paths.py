"""Trials for the exercises of the chapter on trained residual networks."""

import math
from itertools import product

import torch

from cnnlib.exercises import trials


@trials("paths/exercise-shares")
def shares():
    """shares(gains): of the paths through 0 to n blocks; few blocks path by path, and
    blocks that are all alike by the binomial formula."""
    for count in (1, 3, 8):
        gains = (0.2 + torch.rand(count)).tolist()
        found = torch.zeros(count + 1)
        for through in product((False, True), repeat=count):
            passed = [gain for gain, is_in in zip(gains, through, strict=True) if is_in]
            found[len(passed)] += math.prod(passed)
        yield (gains,), found / found.sum()
    binomial = [math.comb(40, k) * 0.5**k for k in range(41)]
    yield ([0.5] * 40,), torch.tensor(binomial) / sum(binomial)


@trials("paths/exercise-vote")
def vote():
    """vote(members, p): the chance of a right majority, from the distribution of right
    answers, one member after the other."""
    for members in (1, 3, 9, 101):
        p = 0.3 + 0.5 * torch.rand(()).item()
        right = torch.ones(1, dtype=torch.double)
        for _ in range(members):
            wrong, right = right * (1 - p), right * p
            right = torch.cat([wrong, wrong[:1] * 0]) + torch.cat(
                [right[:1] * 0, right]
            )
        yield (members, p), right[members // 2 + 1 :].sum()
