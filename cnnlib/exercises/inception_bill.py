"""Two layers made one, and the work of a convolution, against real convolutions."""

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnnlib.exercises import trials


@trials("inception-bill/exercise-fuse")
def fuse():
    for channels, width, out, k in [(3, 2, 4, 1), (5, 2, 3, 3), (2, 3, 1, 5)]:
        reduce, neck_bias = torch.randn(width, channels, 1, 1), torch.randn(width)
        expand, bias = torch.randn(out, width, k, k), torch.randn(out)

        def both(x, reduce=reduce, neck_bias=neck_bias, expand=expand, bias=bias):
            return F.conv2d(F.conv2d(x, reduce, neck_bias), expand, bias)

        size = channels, k, k
        constant = both(torch.zeros(1, *size)).flatten()
        pixels = torch.eye(channels * k * k).view(-1, *size)  # one is lit in each
        answers = both(pixels).flatten(1) - constant
        yield (reduce, neck_bias, expand, bias), (answers.T.view(-1, *size), constant)


@trials("inception-bill/exercise-work")
def work():
    for shape, out, size, stride, padding, groups in [
        *(((2, 3, 8, 9), 4, 1, 1, 0, 1), ((1, 6, 28, 28), 8, 5, 1, 2, 1)),
        *(((2, 4, 9, 10), 8, 3, 2, 1, 1), ((1, 6, 8, 8), 6, 3, 1, 1, 6)),
        ((3, 4, 11, 7), 6, 2, 3, 0, 2),
    ]:
        x, w = torch.zeros(shape), torch.zeros(out, shape[1] // groups, size, size)
        with FlopCounterMode(display=False) as counter:
            y = F.conv2d(x, w, None, stride, padding, 1, groups)
        numbers = x.numel() + w.numel() + y.numel()
        right = counter.get_total_flops() // 2, 4 * numbers
        yield (shape, out, size, stride, padding, groups), right
