"""GoogLeNet as torchvision has it: with batch normalisation and without 5x5 filters.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015,
https://arxiv.org/abs/1409.4842, Table 1 for the widths.

Differs from the paper: the "5x5" branch has 3x3 filters, a mistake of the weights'
origin that only another training could repair
(https://github.com/pytorch/vision/issues/906); every convolution is normalised and has
no bias; no local response normalisation; the last max-pool is 2x2; no auxiliary heads.
It is here for its trained weights (`cnnlib.weights`); they want pictures with mean 0.5
and deviation 0.5.
"""

from collections import OrderedDict

import torch
from torch import nn

from cnnlib.models.googlenet import TABLE_1
from cnnlib.models.inputs import expects


def conv_bn_relu(in_channels, out_channels, kernel_size, stride=1):
    """Convolution, normalisation and ReLU; with stride 1 the size stays."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels, eps=0.001),
        nn.ReLU(),
    )


class NormalisedInception(nn.Module):
    """(N, in_channels, H, W) -> (N, n1x1 + n3x3 + n5x5 + pool_proj, H, W)"""

    def __init__(
        self, in_channels, n1x1, n3x3_reduce, n3x3, n5x5_reduce, n5x5, pool_proj
    ):
        super().__init__()
        self.branch1x1 = conv_bn_relu(in_channels, n1x1, 1)
        self.branch3x3 = nn.Sequential(
            conv_bn_relu(in_channels, n3x3_reduce, 1),
            conv_bn_relu(n3x3_reduce, n3x3, 3),
        )
        self.branch5x5 = nn.Sequential(
            conv_bn_relu(in_channels, n5x5_reduce, 1),
            conv_bn_relu(n5x5_reduce, n5x5, 3),
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            conv_bn_relu(in_channels, pool_proj, 1),
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


def googlenet_torchvision(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W) -> (N, num_classes) for pictures of 15x15 pixels or
    larger, 224x224 in training; 6,624,904 parameters."""
    net = OrderedDict(
        conv1=conv_bn_relu(in_channels, 64, 7, stride=2),  # (N, 64, 112, 112)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 64, 56, 56)
        conv2=nn.Sequential(conv_bn_relu(64, 64, 1), conv_bn_relu(64, 192, 3)),
        pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 28, 28)
    )
    channels = 192
    for name, widths in TABLE_1.items():
        if name in ("4a", "5a"):
            window = 3 if name == "4a" else 2
            pool = nn.MaxPool2d(window, stride=2, ceil_mode=True)
            net[f"pool{int(name[0]) - 1}"] = pool  # (N, 480, 14, 14), (N, 832, 7, 7)
        net[f"inception{name}"] = NormalisedInception(channels, *widths)
        channels = widths.n1x1 + widths.n3x3 + widths.n5x5 + widths.pool_proj
    net["head"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(channels, num_classes),
    )
    return expects(
        nn.Sequential(net), "googlenet_torchvision", in_channels, 15, minimum=True
    )
