"""Trials for the exercises of the chapter on why residual networks can be trained."""

import math

from cnnlib.exercises import trials


@trials("why-residual/exercise-scale")
def scale():
    """scale(blocks, growth), found by halving an interval, block after block."""
    for blocks, growth in [(1, 2.0), (10, 5.0), (100, 1.5)]:
        low, high = 0.0, 10.0
        for _ in range(60):
            tried, variance = (low + high) / 2, 1.0
            for _ in range(blocks):
                variance += tried**2 * (1 - 1 / math.pi)
            low, high = (low, tried) if variance > growth else (tried, high)
        yield (blocks, growth), low


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
