"""U-Net and U-Net++: down to a small map and up again, with what was lost on the way.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, https://arxiv.org/abs/1505.04597, Figure 1.
Zhou, Siddiquee, Tajbakhsh and Liang, "UNet++: A Nested U-Net Architecture for Medical
Image Segmentation", DLMIA 2018, https://arxiv.org/abs/1807.10165, equation 1.

Both are grids of nodes. Row i works at 1 / 2**i of the height and width, and a node is
named (row, column); the table of a network says which nodes each of them reads.

Differs from the papers: batch normalisation; U-Net pads its convolutions, so that a
mask is as large as its picture.
"""

import torch
from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet import conv_bn

# Channels of the rows, from the top.
UNET = (64, 128, 256, 512, 1024)
NESTED = (32, 64, 128, 256, 512)


def unet_reads(depth):
    """{node: nodes that it reads} of a U-Net which halves a picture `depth` times: down
    the first column, and up the diagonal beside it."""
    down = {(row, 0): [(row - 1, 0)][:row] for row in range(depth + 1)}
    up = {
        (row, depth - row): [(row, 0), (row + 1, depth - row - 1)]
        for row in reversed(range(depth))
    }
    return down | up


def nested_reads(depth):
    """{node: nodes that it reads} of a U-Net++: all on its left, and the one below
    those. Diagonal by diagonal, so that what the first k need comes first."""
    reads = {}
    for diagonal in range(depth + 1):
        reads[diagonal, 0] = [(diagonal - 1, 0)][:diagonal]
        for column in range(1, diagonal + 1):
            row = diagonal - column
            left = [(row, before) for before in range(column)]
            reads[row, column] = [*left, (row + 1, column - 1)]
    return reads


def needed(reads, node):
    """The part of the table `reads` without which `node` cannot be computed."""
    wanted = {node}
    for other in reversed(reads):  # readers stand after what they read
        if other in wanted:
            wanted.update(reads[other])
    return {node: sources for node, sources in reads.items() if node in wanted}


def convolutions(in_channels, out_channels, count):
    """So many 3x3 convolutions: (N, in_channels, H, W) -> (N, out_channels, H, W)"""
    layers = []
    for index in range(count):
        channels = out_channels if index else in_channels
        layers += [*conv_bn(channels, out_channels, 3), nn.ReLU()]
    return nn.Sequential(*layers)


class Up(nn.Module):
    """Maps of one size, and last those of the row below, enlarged: `left` times
    (N, C, H, W) and (N, below, H/2, W/2) -> (N, C, H, W)"""

    def __init__(self, left, channels, below, convs):
        super().__init__()
        self.up = nn.ConvTranspose2d(below, channels, 2, stride=2)
        self.convs = convolutions((left + 1) * channels, channels, convs)

    def forward(self, *maps):
        *left, below = maps
        return self.convs(torch.cat([*left, self.up(below)], 1))


class Grid(nn.Module):
    """Nodes x00, x10, ... that read each other as the table `reads` says, and for some
    nodes of the first row a head exit1, exit2, ... that reads it.

    (N, C, H, W) -> a tuple of logits (N, num_classes, H, W), one of each exit.
    """

    def __init__(self, reads, nodes, exits):
        super().__init__()
        self.reads, self.exits = reads, tuple(exits)
        for row, column in reads:
            self.add_module(f"x{row}{column}", nodes[row, column])
        for column, head in exits.items():
            self.add_module(f"exit{column}", head)

    def forward(self, x):
        made = {}
        for (row, column), sources in self.reads.items():
            maps = [made[node] for node in sources] or [x]
            made[row, column] = self.get_submodule(f"x{row}{column}")(*maps)
        return tuple(
            self.get_submodule(f"exit{column}")(made[0, column])
            for column in self.exits
        )


def pruned(net, exit):
    """What is left of a `Grid` if it answers at this exit alone: the nodes that it
    needs, with the weights of `net`, which are not copied."""
    reads = needed(net.reads, (0, exit))
    nodes = {(row, col): net.get_submodule(f"x{row}{col}") for row, col in reads}
    return Grid(reads, nodes, {exit: net.get_submodule(f"exit{exit}")})


def grid(reads, exits, widths, convs, in_channels, num_classes):
    """The `Grid` of a table, with so many channels in each row."""
    nodes = {}
    for (row, column), sources in reads.items():
        if column:
            left = len(sources) - 1
            nodes[row, column] = Up(left, widths[row], widths[row + 1], convs)
        elif row:
            layers = convolutions(widths[row - 1], widths[row], convs)
            nodes[row, column] = nn.Sequential(nn.MaxPool2d(2), layers)
        else:
            nodes[row, column] = convolutions(in_channels, widths[row], convs)
    heads = {column: nn.Conv2d(widths[0], num_classes, 1) for column in exits}
    return Grid(reads, nodes, heads)


def unet(widths=UNET, convs=2, in_channels=1, num_classes=2):
    """One exit; sides are multiples of 2 ** (rows - 1).

    (N, in_channels, H, W) -> a tuple of one (N, num_classes, H, W)
    """
    depth = len(widths) - 1
    net = grid(unet_reads(depth), [depth], widths, convs, in_channels, num_classes)
    return expects(net, "unet", in_channels, 2**depth, multiple=True)


def unet_nested(widths=NESTED, convs=2, in_channels=3, num_classes=1):
    """U-Net++ with an exit on each column but the first; sides are multiples of
    2 ** (rows - 1).

    (N, in_channels, H, W) -> a tuple of (N, num_classes, H, W), shallow exits first
    """
    depth = len(widths) - 1
    exits = range(1, depth + 1)
    net = grid(nested_reads(depth), exits, widths, convs, in_channels, num_classes)
    return expects(net, "unet_nested", in_channels, 2**depth, multiple=True)
