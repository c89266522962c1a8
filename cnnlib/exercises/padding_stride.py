"""What the functions of the exercises on padding and stride must do."""

from itertools import product

import torch
import torch.nn.functional as F

from cnnlib.exercises import trials


@trials("padding-stride/exercise-write-shape")
def output_shape():
    settings = [(1, 1), (2, 3), (3, 2)]
    for kernel, stride, dilation in product(settings, repeat=3):
        for padding in (0, 0), (1, 2):
            layer = torch.nn.Conv2d(1, 1, kernel, stride, padding, dilation)
            with torch.no_grad():
                y = layer(torch.zeros(1, 1, 16, 13))
            yield ((16, 13), kernel, stride, padding, dilation), tuple(y.shape[2:])


@trials("padding-stride/exercise-write-same")
def same_convolution():
    """By the other form of TensorFlow's rule, which tells two cases apart."""
    for (height, width), sides, stride in product(
        [(8, 8), (7, 10)], [(3, 3), (2, 5), (1, 1)], (1, 2, 3)
    ):
        x, weight = torch.randn(2, 3, height, width), torch.randn(4, 3, *sides)
        padding = []
        for n, f in ((width, sides[1]), (height, sides[0])):
            total = max(f - (n % stride or stride), 0)
            padding += [total // 2, total - total // 2]
        y = F.conv2d(F.pad(x, padding), weight)[:, :, ::stride, ::stride]
        yield (x, weight, stride), y
