"""What the functions of the chapter on GoogLeNet must do."""

from itertools import product

import torch
from torch import nn

from cnnlib.exercises import trials
from cnnlib.models.googlenet import Inception


@trials("googlenet/exercise-module")
def module():
    for channels, row in (7, (1, 2, 3, 4, 5, 6)), (4, (6, 1, 5, 2, 4, 3)):
        block, x = Inception(channels, *row), torch.randn(2, channels, 6, 9)
        convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
        with torch.no_grad():
            layers = [(conv.weight.clone(), conv.bias.clone()) for conv in convs]
            yield (x, layers), block(x)


@trials("googlenet/exercise-paths")
def paths():
    for kernels, modules, window in (
        ((1, 3, 5, 3), 2, 5),
        ((1, 3, 5, 3), 5, 11),
        ((1, 3, 5, 3), 4, 4),
        ((3, 7), 6, 25),
        ((1, 1, 3), 7, 9),
    ):
        windows = (1 + sum(k - 1 for k in p) for p in product(kernels, repeat=modules))
        yield (kernels, modules, window), sum(w == window for w in windows)
