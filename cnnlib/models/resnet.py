"""ResNet: what two or three layers compute is added to what they were given.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385, Table 1, Fig. 3 and Fig. 5.

Differs from the paper: a bottleneck has its stride in the 3x3 convolution, as in
torchvision, and not in the first 1x1, which would ignore three pixels of four; and a
shortcut that changes the shape is a projection at every depth (option B).
"""

from collections import OrderedDict

import torch.nn.functional as F
from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.tables import row

# Table 1: (blocks, output channels) in conv2_x to conv5_x; bottlenecks from 50 on.
DEPTHS = {
    18: ((2, 64), (2, 128), (2, 256), (2, 512)),
    34: ((3, 64), (4, 128), (6, 256), (3, 512)),
    50: ((3, 256), (4, 512), (6, 1024), (3, 2048)),
    101: ((3, 256), (4, 512), (23, 1024), (3, 2048)),
    152: ((3, 256), (8, 512), (36, 1024), (3, 2048)),
}
PLAIN = {depth: DEPTHS[depth] for depth in (18, 34)}


class Residual(nn.Module):
    """relu(path(x) + shortcut(x)); both have the same shape."""

    def __init__(self, path, shortcut):
        super().__init__()
        self.path, self.shortcut = path, shortcut

    def forward(self, x):
        return F.relu(self.path(x) + self.shortcut(x))


def conv_bn(in_channels, out_channels, kernel_size, stride=1):
    """Convolution without bias, which batch normalisation would subtract again."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def two_layers(in_channels, out_channels, stride):
    """Fig. 5, left: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)"""
    return nn.Sequential(
        conv_bn(in_channels, out_channels, 3, stride),
        nn.ReLU(),
        conv_bn(out_channels, out_channels, 3),
    )


def three_layers(in_channels, out_channels, stride):
    """Fig. 5, right: the 3x3 convolution sees a quarter of the output channels."""
    width = out_channels // 4
    return nn.Sequential(
        conv_bn(in_channels, width, 1),
        nn.ReLU(),
        conv_bn(width, width, 3, stride),
        nn.ReLU(),
        conv_bn(width, out_channels, 1),
    )


def projection(in_channels, out_channels, stride):
    """Option B: the identity where the shape stays, else a 1x1 convolution."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return conv_bn(in_channels, out_channels, 1, stride)


def basic(*shape):
    return Residual(two_layers(*shape), projection(*shape))


def bottleneck(*shape):
    return Residual(three_layers(*shape), projection(*shape))


def without_shortcut(*shape):
    return nn.Sequential(two_layers(*shape), nn.ReLU())


def residual_stages(rows, block, in_channels):
    """stage1, stage2 ... made of `block(in_channels, out_channels, stride)`; every
    stage but the first begins by halving height and width."""
    named = OrderedDict()
    for index, (blocks, channels) in enumerate(rows, start=1):
        first = block(in_channels, channels, 1 if index == 1 else 2)
        others = [block(channels, channels, 1) for _ in range(blocks - 1)]
        named[f"stage{index}"] = nn.Sequential(first, *others)
        in_channels = channels
    return named


def resnet_head(channels, num_classes):
    """(N, channels, H, W) -> (N, num_classes)"""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
    )


def resnet(depth, in_channels=3, num_classes=1000):
    """(N, in_channels, H, W) -> (N, num_classes) for images of 32x32 pixels, its total
    stride, or larger; of 224x224 in the paper. Depth 18, 34, 50, 101 or 152."""
    rows = row(DEPTHS, depth, "resnet")
    block = basic if depth < 50 else bottleneck
    return imagenet_resnet(f"resnet{depth}", rows, block, in_channels, num_classes)


def plain(depth, in_channels=3, num_classes=1000):
    """The same convolutions without any shortcut: depth 18 or 34."""
    rows = row(PLAIN, depth, "plain")
    name = f"plain{depth}"
    return imagenet_resnet(name, rows, without_shortcut, in_channels, num_classes)


def imagenet_resnet(name, rows, block, in_channels, num_classes):
    """Stem and head of Table 1 around stages of `block`: see `residual_stages`."""
    stem = nn.Sequential(
        conv_bn(in_channels, 64, 7, stride=2),  # (N, 64, 112, 112)
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 56, 56)
    )
    body = residual_stages(rows, block, 64)  # (N, channels, 7, 7)
    channels = rows[-1][1]
    net = OrderedDict(stem=stem, **body, head=resnet_head(channels, num_classes))
    return expects(nn.Sequential(net), name, in_channels, 32, minimum=True)
