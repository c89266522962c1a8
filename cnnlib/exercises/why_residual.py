"""Trials for the exercises of the chapter on why residual networks work."""

import math
from itertools import product

import torch

from cnnlib.exercises import trials


@trials("why-residual/exercise-shares")
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


@trials("why-residual/exercise-cosine")
def cosine():
    """cosine(blocks, scale), from the squared length and the product of the gradients,
    followed back through the blocks."""
    for blocks, scale in [(1, 1.0), (3, 1.0), (10, 0.5), (100, 0.1)]:
        length, alike = 1.0, 1.0
        for block in reversed(range(blocks)):
            passed = scale**2 / (1 + scale**2 * (1 - 1 / math.pi) * block)
            length += passed * length
            alike += passed / 2 * alike
        yield (blocks, scale), alike / length
