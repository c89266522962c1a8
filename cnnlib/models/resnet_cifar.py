"""Residual networks of three stages for 32x32 pixels, in which depth is the question.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385, section 4.2: 6n + 2 layers with and without shortcuts.
He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016,
https://arxiv.org/abs/1603.05027, section 4.1: the same with pre-activation.

Differs from the papers: nothing. A shortcut has no parameters (option A), so a network
with shortcuts, one without, and one with pre-activation have equally many.
"""

from collections import OrderedDict

import torch.nn.functional as F
from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet import (
    Residual,
    conv_bn,
    residual_stages,
    resnet_head,
    two_layers,
    without_shortcut,
)

WIDTHS = (16, 32, 64)  # of the stages with 32x32, 16x16 and 8x8 pixels


class Subsampled(nn.Module):
    """Option A: every second pixel of each row and column, then channels of zeros.

    (N, C, H, W) -> (N, C + new_channels, H/2, W/2)
    """

    def __init__(self, new_channels):
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x):
        return F.pad(F.avg_pool2d(x, 1, stride=2), (0, 0, 0, 0, 0, self.new_channels))


class Sum(Residual):
    """path(x) + shortcut(x), with nothing behind it."""

    def forward(self, x):
        return self.path(x) + self.shortcut(x)


def shortcut(in_channels, out_channels, stride):
    return nn.Identity() if stride == 1 else Subsampled(out_channels - in_channels)


def residual(*shape):
    return Residual(two_layers(*shape), shortcut(*shape))


def pre_activation(in_channels, out_channels, stride):
    """Normalisation and ReLU stand before the convolutions, none behind the sum."""
    path = nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
    )
    return Sum(path, shortcut(in_channels, out_channels, stride))


def resnet_cifar(depth, in_channels=3, num_classes=10):
    """(N, in_channels, H, W) -> (N, num_classes), H and W at least 4, in the paper 32;
    depth 20, 32, 44, 56, 110 or another 6n + 2."""
    body, head = _body(depth, residual), resnet_head(64, num_classes)
    return _network(f"resnet_cifar{depth}", in_channels, body, head)


def plain_cifar(depth, in_channels=3, num_classes=10):
    """The same convolutions without any shortcut."""
    body, head = _body(depth, without_shortcut), resnet_head(64, num_classes)
    return _network(f"plain_cifar{depth}", in_channels, body, head)


def preact_cifar(depth, in_channels=3, num_classes=10):
    """The same convolutions, with nothing but sums on the way along the shortcuts."""
    body = _body(depth, pre_activation)
    first = body["stage1"][0]
    first.path = first.path[2:]  # the stem normalises, for path and shortcut
    end = [nn.BatchNorm2d(64), nn.ReLU(), *resnet_head(64, num_classes)]
    name = f"preact_cifar{depth}"
    return _network(name, in_channels, body, nn.Sequential(*end))


def _body(depth, block):
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth {depth} is not 6n + 2: take 20, 32, 44, 56 or 110.")
    return residual_stages([(blocks, width) for width in WIDTHS], block, 16)


def _network(name, in_channels, body, head):
    stem = nn.Sequential(conv_bn(in_channels, 16, 3), nn.ReLU())
    net = nn.Sequential(OrderedDict(stem=stem, **body, head=head))
    return expects(net, name, in_channels, 4, minimum=True)
