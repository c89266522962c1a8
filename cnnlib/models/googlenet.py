"""GoogLeNet: blocks of four parallel branches, each kept cheap by 1x1 convolutions.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015,
https://arxiv.org/abs/1409.4842, Table 1, Fig. 3 and section 5.

Differs from the paper: the first 7x7 convolution is an ordinary one (9,408 weights; the
2.7K of Table 1 fit a separable one), and the constants of the two normalisations, which
the paper does not give, are those of Caffe's replica. torchvision's network of this
name has 3x3 filters in the 5x5 branch, batch normalisation and no biases.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.models.inputs import expects


class Widths(NamedTuple):
    """Output channels of the convolutions of an Inception block."""

    n1x1: int
    n3x3_reduce: int
    n3x3: int
    n5x5_reduce: int
    n5x5: int
    pool_proj: int


# Table 1, in its columns: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
# fmt: off
TABLE_1 = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}
# fmt: on
AUXILIARY_WEIGHT = 0.3  # of each auxiliary loss, section 5


def conv(in_channels, out_channels, kernel_size, stride=1):
    """Convolution and ReLU; with stride 1 the size stays."""
    padding = kernel_size // 2
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
    return nn.Sequential(layer, nn.ReLU())


class Inception(nn.Module):
    """(N, in_channels, H, W) -> (N, n1x1 + n3x3 + n5x5 + pool_proj, H, W)"""

    def __init__(
        self, in_channels, n1x1, n3x3_reduce, n3x3, n5x5_reduce, n5x5, pool_proj
    ):
        super().__init__()
        self.branch1x1 = conv(in_channels, n1x1, 1)
        self.branch3x3 = nn.Sequential(
            conv(in_channels, n3x3_reduce, 1), conv(n3x3_reduce, n3x3, 3)
        )
        self.branch5x5 = nn.Sequential(
            conv(in_channels, n5x5_reduce, 1), conv(n5x5_reduce, n5x5, 5)
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, pool_proj, 1)
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


class GoogLeNet(nn.Module):
    """A chain of stages with a classifier at its end and, for training, classifiers on
    the way: `auxiliary` maps the name of a stage to the head that reads its output.

    Returns logits (N, num_classes) in eval, and the tuple (logits, logits of the first
    head, logits of the second head) in training.
    """

    def __init__(self, stages, auxiliary):
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.auxiliary = nn.ModuleDict(auxiliary)

    def forward(self, x):
        early = []
        for name, stage in self.named_children():
            if stage is self.auxiliary:
                break
            x = stage(x)
            if self.training and name in self.auxiliary:
                early.append(self.auxiliary[name](x))
        return (x, *early) if self.training else x


def training_loss(outputs, labels):
    """Cross-entropy of the logits, plus 0.3 times that of each auxiliary head.

    `outputs` is what GoogLeNet returns in training; `labels` int64 (N,).
    """
    final, *early = (F.cross_entropy(logits, labels) for logits in outputs)
    return final + AUXILIARY_WEIGHT * sum(early)


def auxiliary_head(in_channels, num_classes):
    """(N, in_channels, 14, 14) -> (N, num_classes)"""
    return nn.Sequential(
        nn.AvgPool2d(5, stride=3),  # (N, in_channels, 4, 4)
        conv(in_channels, 128, 1),
        nn.Flatten(),
        nn.Linear(128 * 4 * 4, 1024),
        nn.ReLU(),
        nn.Dropout(0.7),
        nn.Linear(1024, num_classes),
    )


def inception_stages(in_channels, rows):
    """One named Inception block per row {"3a": widths}, with a max-pool in front of
    each group but the first: "4a" follows "pool3"."""
    stages, previous = {}, None
    for name, widths in rows.items():
        if previous and name[0] != previous:
            stages[f"pool{previous}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        stages[f"inception{name}"] = Inception(in_channels, *widths)
        in_channels = widths.n1x1 + widths.n3x3 + widths.n5x5 + widths.pool_proj
        previous = name[0]
    return stages


def googlenet(in_channels=3, num_classes=1000):
    """The network of Table 1 for 224x224 pixels: 6,998,552 parameters at inference and
    1,582.7 M MACs; 13,378,280 parameters with both auxiliary heads."""
    stages = {
        "conv1": conv(in_channels, 64, 7, stride=2),  # (N, 64, 112, 112)
        "pool1": nn.Sequential(
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 64, 56, 56)
            nn.LocalResponseNorm(5),
        ),
        "conv2": nn.Sequential(
            conv(64, 64, 1), conv(64, 192, 3), nn.LocalResponseNorm(5)
        ),
        "pool2": nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 28, 28)
    }
    stages |= inception_stages(192, TABLE_1)  # (N, 1024, 7, 7)
    stages["head"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(1024, num_classes),
    )
    heads = {
        "inception4a": auxiliary_head(512, num_classes),
        "inception4d": auxiliary_head(528, num_classes),
    }
    return expects(GoogLeNet(stages, heads), "googlenet", in_channels, 224)
