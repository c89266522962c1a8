"""What came after ResNet-50 and kept its plan: only the bottleneck is another.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016,
https://arxiv.org/abs/1605.07146, Table 8: twice as many channels in the 3x3.
Xie, Girshick, Dollar, Tu and He, "Aggregated Residual Transformations for Deep Neural
Networks" (ResNeXt), CVPR 2017, https://arxiv.org/abs/1611.05431, Table 1: 32 groups.
Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018,
https://arxiv.org/abs/1709.01507, Fig. 3 and Table 1: a gate for each channel.
Radosavovic, Kosaraju, Girshick, He and Dollar, "Designing Network Design Spaces"
(RegNet), CVPR 2020, https://arxiv.org/abs/2003.13678, eq. 2 to 4: widths by a rule.

Differs from the papers: strides as in `cnnlib.models.resnet`.
"""

from collections import Counter, OrderedDict
from math import log

from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet import (
    DEPTHS,
    Residual,
    conv_bn,
    imagenet_resnet,
    projection,
    resnet_head,
    three_layers,
)

# RegNetY-400MF: blocks, first width, slope, ratio of two widths, channels of a group
REGNET_Y_400MF = (16, 48, 27.89, 2.09, 8)


class Gated(nn.Module):
    """Each channel of x times a number between 0 and 1 that `gate` reads from all.

    (N, C, H, W) -> (N, C, H, W)
    """

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def forward(self, x):
        return x * self.gate(x)


def squeeze_excitation(channels, squeezed, activation=nn.ReLU):
    """Means of all channels, two dense layers (as 1x1 convolutions), a gate each."""
    gate = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, squeezed, 1),
        activation(),
        nn.Conv2d(squeezed, channels, 1),
        nn.Sigmoid(),  # (N, C, 1, 1)
    )
    return Gated(gate)


def groups_bn(in_channels, out_channels, kernel_size, stride, groups):
    """`conv_bn` in which each of `groups` groups of channels sees its own only."""
    padding = kernel_size // 2
    conv = nn.Conv2d(
        *(in_channels, out_channels, kernel_size, stride, padding),
        groups=groups,
        bias=False,
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def middle(in_channels, out_channels, stride, width, groups):
    """A bottleneck whose 3x3 has `width` channels in `groups` groups."""
    return nn.Sequential(
        conv_bn(in_channels, width, 1),
        nn.ReLU(),
        groups_bn(width, width, 3, stride, groups),
        nn.ReLU(),
        conv_bn(width, out_channels, 1),
    )


def wide_block(in_channels, out_channels, stride):
    """The 3x3 has half of the output's channels; a quarter in ResNet."""
    path = middle(in_channels, out_channels, stride, out_channels // 2, 1)
    return Residual(path, projection(in_channels, out_channels, stride))


def resnext_block(in_channels, out_channels, stride):
    """As wide, but in 32 groups: the price of ResNet's."""
    path = middle(in_channels, out_channels, stride, out_channels // 2, 32)
    return Residual(path, projection(in_channels, out_channels, stride))


def se_block(in_channels, out_channels, stride):
    """ResNet's, with a gate at the end of the path, before the sum."""
    path = three_layers(in_channels, out_channels, stride)
    path.append(squeeze_excitation(out_channels, out_channels // 16))
    return Residual(path, projection(in_channels, out_channels, stride))


def regnet_block(in_channels, out_channels, stride, group):
    """No narrow place: all three layers as wide as the output. The gate stands before
    the last, its hidden layer a quarter of the input."""
    groups = out_channels // group
    *start, end = middle(in_channels, out_channels, stride, out_channels, groups)
    gate = squeeze_excitation(out_channels, in_channels // 4)
    path = nn.Sequential(*start, gate, end)
    return Residual(path, projection(in_channels, out_channels, stride))


def regnet_stages(blocks, first, slope, ratio):
    """[(blocks, channels), ...]: block j of all `blocks` wants first + slope j channels
    (eq. 2), gets first times the nearest power of `ratio` (eq. 3 and 4), in eights."""
    powers = [round(log(1 + slope * j / first, ratio)) for j in range(blocks)]
    widths = Counter(8 * round(first * ratio**power / 8) for power in powers)
    return [(number, width) for width, number in widths.items()]


def wide_resnet50(in_channels=3, num_classes=1000):
    """WRN-50-2-bottleneck: (N, in_channels, H, W), 32x32 or larger, -> (N,
    num_classes)."""
    names = "wide_resnet50", DEPTHS[50], wide_block
    return imagenet_resnet(*names, in_channels, num_classes)


def resnext50(in_channels=3, num_classes=1000):
    """ResNeXt-50 (32x4d): (N, in_channels, H, W), 32x32 or larger, -> (N,
    num_classes)."""
    names = "resnext50", DEPTHS[50], resnext_block
    return imagenet_resnet(*names, in_channels, num_classes)


def se_resnet50(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes)"""
    names = "se_resnet50", DEPTHS[50], se_block
    return imagenet_resnet(*names, in_channels, num_classes)


def regnet_y_400mf(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes); every stage begins
    by halving height and width."""
    *rule, group = REGNET_Y_400MF
    stem = nn.Sequential(conv_bn(in_channels, 32, 3, stride=2), nn.ReLU())
    net, before = OrderedDict(stem=stem), 32
    for index, (blocks, channels) in enumerate(regnet_stages(*rule), start=1):
        first = regnet_block(before, channels, 2, group)
        others = [regnet_block(channels, channels, 1, group) for _ in range(blocks - 1)]
        net[f"stage{index}"] = nn.Sequential(first, *others)
        before = channels
    net["head"] = resnet_head(before, num_classes)
    return expects(nn.Sequential(net), "regnet_y_400mf", in_channels, 32, minimum=True)
