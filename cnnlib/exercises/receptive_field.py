"""What the functions of the exercises on receptive fields must do."""

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import costs
from cnnlib.exercises import trials

CHAINS = (
    [(3, 1, 1, 1)],
    [(3, 1, 1, 1), (2, 2, 0, 1), (3, 1, 1, 1)],
    [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 2, 2), (1, 1, 0, 1)],
    [(2, 3, 0, 2), (3, 1, 2, 2), (4, 2, 1, 1)],
)


@trials("receptive-field/exercise-write-pixels")
def pixels_seen():
    for layers in CHAINS:
        net = nn.Sequential(*(nn.Conv2d(1, 1, k, s, p, d) for k, s, p, d in layers))
        row = costs.table(net, (1, 100, 100))[-1]
        for m in (0, 1, 5):
            first = row.start[0] + m * row.jump[0]
            yield (layers, m), (first, first + row.receptive_field[0] - 1)


@trials("receptive-field/exercise-write-backwards")
def seen_together():
    """By the gradient of that many values."""
    for layers in CHAINS:
        for count in (1, 2, 4):
            x = torch.ones(1, 1, 200, dtype=torch.float64, requires_grad=True)
            y = x
            for kernel, stride, _, dilation in layers:
                weight = torch.ones(1, 1, kernel, dtype=torch.float64)
                y = F.conv1d(y, weight, stride=stride, dilation=dilation)
            y[0, 0, :count].sum().backward()
            seen = x.grad[0, 0].nonzero()
            yield (layers, count), (seen.max() - seen.min() + 1).item()
