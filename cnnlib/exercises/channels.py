"""Trials for the functions of the chapter channels."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlib.exercises import trials


@trials("channels/exercise-grouped")
def grouped():
    for c, m, groups in (2, 2, 1), (4, 6, 2), (6, 3, 3), (5, 10, 5):
        x, w = torch.randn(2, c, 7, 6), torch.randn(m, c // groups, 3, 3)
        yield (x, w, groups), F.conv2d(x, w, groups=groups)


@trials("channels/exercise-multiplications")
def multiplications():
    for c, m, k, size, stride in (
        (1, 1, 3, 8, 1),
        (16, 32, 3, 14, 1),
        (32, 64, 5, 28, 2),
        (3, 7, 3, 15, 2),
    ):
        look = nn.Conv2d(c, c, k, stride, k // 2, groups=c, device="meta")
        mix = nn.Conv2d(c, m, 1, device="meta")
        with FlopCounterMode(display=False) as counter:
            mix(look(torch.empty(1, c, size, size, device="meta")))
        yield (c, m, k, size, stride), counter.get_total_flops() // 2
