"""Trials for the functions of the chapter pooling."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import signal

from cnnlib.exercises import trials


@trials("pooling/exercise-max-pool")
def max_pool():
    for shape, size, stride, padding in (
        ((1, 1, 4, 4), 2, 2, 0),
        ((2, 3, 9, 7), 3, 2, 0),
        ((2, 3, 9, 7), 3, 2, 1),
        ((1, 2, 6, 6), 3, 1, 1),
        ((1, 1, 10, 12), 5, 3, 2),
    ):
        x = torch.randn(shape) - 2  # mostly negative
        yield (x, size, stride, padding), F.max_pool2d(x, size, stride, padding)


@trials("pooling/exercise-relu")
def larger():
    for shape in (5,), (2, 3, 4):
        a, b = torch.randn(shape), torch.randn(shape)
        yield (a, b), torch.where(a > b, a, b)


@trials("pooling/exercise-turns")
def strongest():
    for size, side in (6, 3), (9, 2), (8, 5):
        x, kernel = torch.randn(size, size), torch.randn(side, side)
        maps = [signal.correlate2d(x, np.rot90(kernel, n), "valid") for n in range(4)]
        right = torch.tensor(np.max(maps, 0).mean())
        yield (x, kernel), right
        yield (x.rot90(), kernel), right
