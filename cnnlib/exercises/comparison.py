"""What the functions must do that readers write in the comparison of all networks."""

import torch
import torchvision
from torch import nn

from cnnlib import costs
from cnnlib.exercises import trials


@trials("comparison/exercise-write-macs")
def macs():
    """The count of cnnlib, for one group, a few, and a filter per channel."""
    for channels, out, kernel, groups in (3, 8, 5, 1), (8, 12, 3, 4), (6, 6, 7, 6):
        conv = nn.Conv2d(channels, out, kernel, groups=groups)
        bill = costs.table(nn.Sequential(conv), (channels, kernel + 3, kernel + 1))
        height, width = bill[0].output_shape[1:]
        yield (channels, out, kernel, groups, height, width), bill.macs


@trials("comparison/exercise-write-gate")
def gate():
    for channels, squeezed, height, width in (4, 2, 3, 5), (6, 1, 1, 1), (2, 8, 4, 2):
        layer = torchvision.ops.SqueezeExcitation(channels, squeezed)
        x = torch.randn(3, channels, height, width)
        weights = [p.detach().flatten(1) for p in (layer.fc1.weight, layer.fc2.weight)]
        biases = [p.detach() for p in (layer.fc1.bias, layer.fc2.bias)]
        yield (x, weights, biases), layer(x).detach()


@trials("comparison/exercise-write-front")
def front():
    """By comparing all pairs; two of 40 are never equal in time or in accuracy."""
    for count in 1, 5, 40:
        times, scores = torch.randn(2, count)
        faster = times[:, None] > times  # row: is slower than column
        better = scores[:, None] < scores
        yield (times.tolist(), scores.tolist()), ~(faster & better).any(1)
