"""LeNet-5: two rounds of convolution and sub-sampling, then dense layers.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86(11), 1998, https://doi.org/10.1109/5.726791,
section II-B, Table I (which maps C3 sees) and Fig. 2.

Differs from the paper: `lenet5` returns the negative distance to each class code, so
that the largest value wins and cross-entropy applies (the paper's criterion (9) without
its constant for "none of the classes"); its bitmaps are drawn here after Fig. 3.
`lenet` is today's dense textbook network, `lenet_notes` that of the course notes.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.models.inputs import expects

# Table I: the maps of S2 that each of the 16 maps of C3 is connected to.
# fmt: off
C3_MAPS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
# fmt: on
# The class codes: the ten digits as 7 x 12 bitmaps; # is +1, . is -1.
BITMAPS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... ......# ......# ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. ..####. .#...#. ######. ######. ....#.. .#####. #.....#
#.....# ...#... ....#.. ......# #....#. ......# #.....# ....#.. #.....# .######
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
.#...#. ...#... .#..... #.....# .....#. #.....# #.....# ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a / 3), so that f(1) = 1 and f(-1) = -1 (appendix A)."""

    def forward(self, x):
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """Sum of each 2x2 window, times a trainable coefficient, plus a trainable bias.

    (N, C, H, W) -> (N, C, H/2, W/2), 2 C parameters.
    """

    def __init__(self, channels):
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):
        return self.coefficient * (4 * F.avg_pool2d(x, 2)) + self.bias


class SparseConv(nn.Module):
    """5x5 convolution in which every output map sees only some input maps.

    (N, 6, H, W) -> (N, len(maps), H-4, W-4); `maps` lists the inputs of each output.
    """

    def __init__(self, maps):
        super().__init__()
        self.maps = maps
        self.filters = nn.ModuleList(nn.Conv2d(len(seen), 1, 5) for seen in maps)

    def forward(self, x):
        pairs = zip(self.filters, self.maps, strict=True)
        return torch.cat([conv(x[:, list(seen)]) for conv, seen in pairs], 1)


class ClassCodes(nn.Module):
    """Negative squared distance to a fixed +-1 code per class; nothing to train.

    (N, 84) -> (N, 10). The paper calls these Euclidean radial basis function units.
    """

    def __init__(self):
        super().__init__()
        digits = zip(*(line.split() for line in BITMAPS.split("\n")[1:-1]), strict=True)
        bits = [[pixel == "#" for pixel in "".join(rows)] for rows in digits]
        self.register_buffer("codes", 2.0 * torch.tensor(bits) - 1)

    def forward(self, x):
        return -(x.unsqueeze(1) - self.codes).pow(2).sum(2)


def lenet5():
    """The network of 1998: (N, 1, 32, 32) -> (N, 10); 60,000 trainable parameters."""
    stages = OrderedDict(
        c1=nn.Sequential(nn.Conv2d(1, 6, 5), ScaledTanh()),  # (N, 6, 28, 28)
        s2=nn.Sequential(Subsampling(6), ScaledTanh()),  # (N, 6, 14, 14)
        c3=nn.Sequential(SparseConv(C3_MAPS), ScaledTanh()),  # (N, 16, 10, 10)
        s4=nn.Sequential(Subsampling(16), ScaledTanh()),  # (N, 16, 5, 5)
        c5=nn.Sequential(nn.Conv2d(16, 120, 5), ScaledTanh()),  # (N, 120, 1, 1)
        f6=nn.Sequential(nn.Flatten(), nn.Linear(120, 84), ScaledTanh()),
        output=ClassCodes(),
    )
    return expects(nn.Sequential(stages), "lenet5", 1, 32)


def lenet(activation=nn.Sigmoid, pooling=nn.AvgPool2d):
    """Today's dense version: (N, 1, 28, 28) -> (N, 10); 61,706 parameters.

    Two pixels of padding bring 28x28 pictures to the 32x32 of the paper.
    """
    return expects(_dense(activation, pooling, padding=2, side=5), "lenet", 1, 28)


def lenet_notes():
    """The course notes' version, sigmoid and max-pooling without padding:
    (N, 1, 28, 28) -> (N, 10); 44,426 parameters."""
    net = _dense(nn.Sigmoid, nn.MaxPool2d, padding=0, side=4)
    return expects(net, "lenet_notes", 1, 28)


def _dense(activation, pooling, padding, side):
    """Shapes in the comments are those of `lenet`: padding 2, last maps 5x5."""
    stages = OrderedDict(
        c1=nn.Sequential(nn.Conv2d(1, 6, 5, padding=padding), activation()),
        s2=pooling(2),  # (N, 6, 14, 14)
        c3=nn.Sequential(nn.Conv2d(6, 16, 5), activation()),  # (N, 16, 10, 10)
        s4=pooling(2),  # (N, 16, 5, 5)
        c5=nn.Sequential(nn.Flatten(), nn.Linear(16 * side**2, 120), activation()),
        f6=nn.Sequential(nn.Linear(120, 84), activation()),
        output=nn.Linear(84, 10),
    )
    return nn.Sequential(stages)
