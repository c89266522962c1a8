"""What the functions of the exercises on convolution must do."""

from itertools import product

import torch
import torch.nn.functional as F

from cnnlib.exercises import trials


@trials("convolution/exercise-write-correlate")
def correlate():
    for sides, stride, dilation in product([(1, 1), (2, 3), (3, 2)], (1, 2, 3), (1, 2)):
        x, kernel = torch.randn(9, 8), torch.randn(sides)
        given = x[None, None], kernel[None, None]
        y = F.conv2d(*given, stride=stride, dilation=dilation)[0, 0]
        yield (x, kernel, stride, dilation), y


@trials("convolution/exercise-write-multiplications")
def multiplications():
    """One product for every weight that a window of a real convolution reads."""
    products = torch.outer(torch.tensor([1, 2, 1]), torch.tensor([1, 0, -1]))
    full = torch.tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    for kernel, splits in (
        (products, True),
        (full, False),
        (torch.ones(5, 5), True),
        (torch.ones(1, 4), True),
        (torch.randn(2, 3), False),
        (torch.ones(2, 2), True),
    ):
        for height, width in (600, 512), (7, 6):
            x = torch.zeros(1, 1, height, width)
            steps = [[kernel.shape], [(len(kernel), 1), (1, len(kernel[0]))]]
            counts = [_products(x, sides) for sides in steps[: 1 + splits]]
            yield (kernel, height, width), min(counts)


@trials("convolution/exercise-write-second-derivative")
def second_derivative():
    """Three equations for three weights: what 1, x and x^2 must give."""
    for step in (1.0, 0.5, 2.0, 0.1):
        values = torch.tensor([-step, 0, step]).double()
        powers = torch.stack([values**0, values, values**2])
        yield (step,), torch.linalg.solve(powers, torch.tensor([0, 0, 2]).double())


def _products(x, steps):
    count = 0
    for sides in steps:
        x = F.conv2d(x, torch.zeros(1, 1, *sides))
        count += x.numel() * sides[0] * sides[1]
    return count
