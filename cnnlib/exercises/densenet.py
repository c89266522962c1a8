"""What the functions must do that readers write in the chapter on DenseNet."""

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.exercises import trials
from cnnlib.models.densenet import plain_layer, transition

TINY = 1e-30  # added to a variance of 1 it changes nothing; some versions refuse 0


@trials("densenet/exercise-write-block")
def block():
    """The layers of cnnlib, whose normalisation does nothing in eval mode."""
    for channels, growth, layers in (3, 2, 1), (4, 3, 2), (2, 5, 4):
        inputs = [channels + i * growth for i in range(layers)]
        net = nn.Sequential(*(plain_layer(c, growth) for c in inputs)).eval()
        for layer in net:
            layer.path[0].eps = TINY
        x = torch.randn(2, channels, 5, 4)
        kernels = [layer.path[2].weight.detach() for layer in net]
        yield (x, kernels), net(x).detach()


@trials("densenet/exercise-cheap-transition")
def cheap():
    for channels, height, width in (2, 2, 2), (6, 4, 8), (8, 6, 2):
        net = transition(channels, channels // 2).eval()
        net[0][0].eps = TINY
        x = F.relu(torch.randn(3, channels, height, width))
        kernel = net[0][2].weight.detach()
        yield (x, kernel), (net(x).detach(), height * width // 4)
