"""DenseNet: a layer sees the outputs of all layers before it, side by side.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks",
CVPR 2017, https://arxiv.org/abs/1608.06993, Table 1 and section 4.2.

Differs from the paper: no dropout, which it uses on CIFAR without augmentation; the
widest network (161 layers, growth rate 48) stands in the authors' repository.
"""

from collections import OrderedDict

import torch
from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.tables import row

# Table 1: growth rate, channels of the first convolution, layers of each dense block.
DEPTHS = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}


class Dense(nn.Module):
    """The input, and behind it what `path` makes of it.

    (N, C, H, W) -> (N, C + growth, H, W)
    """

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x):
        return torch.cat([x, self.path(x)], 1)


def bn_relu_conv(in_channels, out_channels, kernel_size):
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
        ),
    )


def plain_layer(in_channels, growth):
    return Dense(bn_relu_conv(in_channels, growth, 3))


def bottleneck_layer(in_channels, growth):
    """A 1x1 convolution to 4 growth channels before the 3x3: DenseNet-B."""
    return Dense(
        nn.Sequential(
            bn_relu_conv(in_channels, 4 * growth, 1),
            bn_relu_conv(4 * growth, growth, 3),
        )
    )


def transition(in_channels, out_channels):
    """(N, in_channels, H, W) -> (N, out_channels, H // 2, W // 2)"""
    return nn.Sequential(bn_relu_conv(in_channels, out_channels, 1), nn.AvgPool2d(2))


def dense_stages(layer, blocks, channels, growth, compression):
    """block1, transition1, block2 ...: blocks[i] layers each, and between two blocks a
    transition to `compression` times the channels. Returns stages and last channels."""
    stages = OrderedDict()
    for index, layers in enumerate(blocks, start=1):
        if index > 1:
            kept = int(compression * channels)
            stages[f"transition{index - 1}"] = transition(channels, kept)
            channels = kept
        stages[f"block{index}"] = nn.Sequential(
            *(layer(channels + i * growth, growth) for i in range(layers))
        )
        channels += layers * growth
    return stages, channels


def densenet_head(channels, num_classes):
    """(N, channels, H, W) -> (N, num_classes)"""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_classes),
    )


def densenet(depth, in_channels=3, num_classes=1000):
    """DenseNet-BC for images of 29x29 pixels or larger, 224x224 in the paper.

    (N, in_channels, H, W) -> (N, num_classes); depth 121, 161, 169 or 201.
    """
    growth, first, blocks = row(DEPTHS, depth, "densenet")
    stem = nn.Sequential(
        nn.Conv2d(in_channels, first, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),  # (N, first, 112, 112)
        nn.MaxPool2d(3, stride=2, padding=1),  # (N, first, 56, 56)
    )
    body, channels = dense_stages(bottleneck_layer, blocks, first, growth, 0.5)
    net = OrderedDict(stem=stem, **body, head=densenet_head(channels, num_classes))
    return expects(
        nn.Sequential(net), f"densenet{depth}", in_channels, 29, minimum=True
    )


def densenet_cifar(depth=40, growth=12, in_channels=3, num_classes=10):
    """Three blocks of (depth - 4) / 3 plain layers for 32x32 pixels."""
    blocks = _three_blocks(depth, convs=1)
    body, channels = dense_stages(plain_layer, blocks, 16, growth, 1)
    stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
    net = OrderedDict(stem=stem, **body, head=densenet_head(channels, num_classes))
    return expects(nn.Sequential(net), "densenet_cifar", in_channels, 4, minimum=True)


def densenet_bc_cifar(depth=100, growth=12, in_channels=3, num_classes=10):
    """Three blocks of (depth - 4) / 6 bottleneck layers; a transition keeps half."""
    blocks, first = _three_blocks(depth, convs=2), 2 * growth
    body, channels = dense_stages(bottleneck_layer, blocks, first, growth, 0.5)
    stem = nn.Conv2d(in_channels, first, 3, padding=1, bias=False)
    net = OrderedDict(stem=stem, **body, head=densenet_head(channels, num_classes))
    return expects(
        nn.Sequential(net), "densenet_bc_cifar", in_channels, 4, minimum=True
    )


def _three_blocks(depth, convs):
    """Dense layers of each block: besides `convs` convolutions for each of them, a
    network has its first convolution, two transitions and the classifier."""
    layers, rest = divmod(depth - 4, 3 * convs)
    if rest or layers < 1:
        raise ValueError(
            f"depth {depth} is not 4 plus a multiple of {3 * convs}, as three equal "
            "blocks need it."
        )
    return (layers,) * 3
