"""ConvNeXt: ResNet-50 with the habits of a transformer, one by one, and no attention.

Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s", CVPR 2022,
https://arxiv.org/abs/2201.03545, Fig. 4 and Table 9.

Differs from the paper: no block is dropped in training.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet_cifar import Sum

# ConvNeXt-T: (blocks, channels) of each stage
TINY = ((3, 96), (3, 192), (9, 384), (3, 768))


class LayerNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the channels of each pixel: (N, C, H, W), same."""

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Scale(nn.Module):
    """A learned factor per channel, 1e-6 in the beginning: (N, C, H, W), same."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x):
        return x * self.weight


def block(channels):
    """Fig. 4: a 7x7 filter for each channel, then four times the channels and back,
    with one normalisation and one activation."""
    path = nn.Sequential(
        nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
        LayerNorm(channels, eps=1e-6),
        nn.Conv2d(channels, 4 * channels, 1),
        nn.GELU(),
        nn.Conv2d(4 * channels, channels, 1),
        Scale(channels),
    )
    return Sum(path, nn.Identity())


def convnext_tiny(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes)"""
    first, last = TINY[0][1], TINY[-1][1]
    stem = [nn.Conv2d(in_channels, first, 4, 4), LayerNorm(first, eps=1e-6)]
    net, before = OrderedDict(stem=nn.Sequential(*stem)), first
    for index, (blocks, channels) in enumerate(TINY, start=1):
        halved = [LayerNorm(before, eps=1e-6), nn.Conv2d(before, channels, 2, 2)]
        layers = [*(halved if index > 1 else []), *map(block, [channels] * blocks)]
        net[f"stage{index}"], before = nn.Sequential(*layers), channels
    net["head"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(last, eps=1e-6),
        nn.Linear(last, num_classes),
    )
    return expects(nn.Sequential(net), "convnext_tiny", in_channels, 32, minimum=True)
