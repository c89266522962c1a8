"""Trials for the exercises of the chapter on ResNet."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import BasicBlock

from cnnlib.exercises import trials


@trials("resnet/exercise-block")
def block():
    """block(x, first, second), against torchvision's without normalisation."""
    for channels, side in (1, 5), (3, 8), (8, 6):
        oracle = BasicBlock(channels, channels, norm_layer=nn.Identity)
        first, second = oracle.conv1.weight.detach(), oracle.conv2.weight.detach()
        x = torch.randn(2, channels, side, side)
        yield (x, first, second), oracle(x).detach()


@trials("resnet/exercise-option-a")
def option_a():
    """shortcut(x, channels, stride), against a 1x1 convolution with a unit matrix that
    begins in the row after the first half of the new channels."""
    for before, channels, stride, side in [(2, 4, 2, 8), (3, 3, 1, 5), (2, 5, 3, 9)]:
        x = torch.randn(2, before, side, side)
        unit = torch.zeros(channels, before)
        unit.diagonal(-((channels - before) // 2)).fill_(1)
        yield (x, channels, stride), F.conv2d(x, unit[:, :, None, None], stride=stride)
