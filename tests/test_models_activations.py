"""The kind, the number and the place of every activation, as the papers put them.

A forward pass of each network is written down operation by operation and compared with
a line that was written from the text of its paper, one letter for each operation:

c convolution       b batch normalisation     r ReLU       + sum of two paths
d dense layer       n response normalisation  s sigmoid    & channels side by side
m max pooling       a average pooling         t tanh       6 ReLU up to 6
l layer norm        g GELU                    w SiLU       x any other activation

Shapes, parameters and costs, which the other tests count, are blind to activations.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cnnlib import models

LETTERS = {
    **{"convolution": "c", "addmm": "d", "native_batch_norm": "b", "avg_pool3d": "n"},
    **{"max_pool2d_with_indices": "m", "avg_pool2d": "a", "mean": "a", "cat": "&"},
    **{"relu": "r", "sigmoid": "s", "tanh": "t"},
    **{"native_layer_norm": "l", "gelu": "g", "silu": "w", "hardtanh": "6"},
    **{"elu": "x", "leaky_relu": "x", "_prelu_kernel": "x"},
    **{"hardswish": "x", "softplus": "x", "_softmax": "x"},
}


class Trace(TorchDispatchMode):
    """Writes down the letters of the operations that run inside it."""

    letters = ""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__.rstrip("_")
        if name == "add" and getattr(args[1], "shape", None) == args[0].shape:
            self.letters += "+"
        self.letters += LETTERS.get(name, "")
        return function(*args, **(kwargs or {}))


def traced(net, shape):
    """The letters of a training pass over two pictures of `shape` (C, H, W)."""
    with torch.device("meta"), Trace() as trace:
        net.train()(torch.empty(2, *shape))
    return trace.letters


# LeCun et al. 1998, II-B: "units in layers up to F6 compute a dot product [...] passed
# through a sigmoid squashing function"; in S2 and S4 "the result is passed through a
# sigmoidal function". C3 is 16 convolutions, one for each row of Table I; the units of
# the output are distances. What today's books make of it has no squashing of its own
# in the pooling.
LENET5 = "ct at" + 16 * "c" + "&t at ct dt"
LENET = "cs{0} cs{0} ds ds d"
# Krizhevsky et al. 2012, 3.5: "ReLU [...] is applied to the output of every
# convolutional and fully-connected layer", which the softmax's layer is not counted to;
# "response-normalization layers follow the first and second convolutional layers",
# "max-pooling layers [...] follow both [...] as well as the fifth".
DENSE = "dr dr d"
ALEXNET = "cr{0}m cr{0}m cr cr crm " + DENSE
# Lin et al. 2014, 3.1: "Rectified linear unit is used as the activation function in the
# multilayer perceptron", in its last layer too (eq. 2); 3.2: the classes' maps are
# averaged and "the resulting vector is fed directly into the softmax layer".
NIN = 3 * "cr"
# Simonyan and Zisserman 2015, 2.1: "All hidden layers are equipped with the
# rectification". Max-pooling closes a stage (Table 1).
# Szegedy et al. 2015, 5: "All the convolutions, including those inside the Inception
# modules, use rectified linear activation"; Fig. 2b: the branches and their
# concatenation; Fig. 3: the normalisations; the heads that train 4a and 4d have "a 1x1
# convolution [...] and rectified linear activation. A fully connected layer with 1024
# units and rectified linear activation."
INCEPTION = "cr crcr crcr mcr &"
AUXILIARY = "a cr dr d"
# He et al. 2016, 3.4: "batch normalization right after each convolution and before
# activation"; 3.2: the last "nonlinearity after the addition", eq. 1; Fig. 5.
BASIC, BOTTLENECK = "cbr cb {0}+r", "cbr cbr cb {0}+r"
PROJECTION, SUBSAMPLING = "cb", "a"  # options B and A
HEAD = "ad"
# He et al. 2016 (Identity Mappings), Fig. 4e; appendix: the first unit has its first
# activation after conv1, before the paths split, the last an extra one after its sum.
PREACT = "br c br c {0}+"
# Huang et al. 2017, 3: "batch normalization, followed by a rectified linear unit and a
# 3x3 convolution"; "BN-ReLU-Conv(1x1)-BN-ReLU-Conv(3x3)" with bottlenecks; in Table 1
# "each conv layer [...] corresponds to the sequence BN-ReLU-Conv", transitions too.
LAYER, BOTTLENECK_LAYER, TRANSITION = "brc &", "brc brc &", "brc a"
DENSENET_HEAD = "br ad"
# Hu et al. 2018, 3: "squeeze" by "global average pooling", then "two fully-connected
# layers around the non-linearity", eq. 3: a sigmoid behind them, and a ReLU between; in
# Fig. 3 the gate stands before the sum. RegNet's (Y) stands behind the 3x3.
SE_BOTTLENECK, REGNET = "cbr cbr cb acrcs {0}+r", "cbr cbr acrcs cb {0}+r"
# Howard et al. 2017, Fig. 3: "batchnorm and ReLU" behind depthwise and 1x1. Sandler et
# al. 2018, Fig. 4d: ReLU6 behind the first two, nothing behind the last 1x1. Tan and Le
# 2019, 4: these blocks with squeeze-and-excitation, and SiLU.
SEPARABLE, MOBILE, EFFICIENT = "cbr cbr", "cb6 cb6 cb", "cbw cbw acwcs cb"
# Liu et al. 2022, 2.6: "one GELU" and "one" normalisation in a block; normalisation in
# front of each "downsampling", behind the stem and "after the final global average".
CONVNEXT = "clcgc+"


def googlenet(heads):
    """Where `heads` is set with normalisations and the two auxiliary heads."""
    norm, head = ("n", AUXILIARY) if heads else ("", "")
    threes, fives = 2 * INCEPTION + "m", 2 * INCEPTION
    fours = INCEPTION + head + 3 * INCEPTION + head + INCEPTION + "m"
    return "cr m" + norm + "cr cr" + norm + "m" + threes + fours + fives + HEAD


def residual(stem, block, shortcut, counts, first=""):
    """Stages of `counts` blocks. The first block of a stage changes the shape and has
    `shortcut`; that of the first stage has `first`, because its size stays."""
    shortcuts = [first, *[shortcut] * (len(counts) - 1)]
    return stem + "".join(
        block.format(own) + (count - 1) * block.format("")
        for own, count in zip(shortcuts, counts, strict=True)
    )


def dense(stem, layer, counts):
    return stem + TRANSITION.join(count * layer for count in counts) + DENSENET_HEAD


EXPECTED = {
    "lenet5": LENET5,
    "lenet": LENET.format("a"),
    "lenet_notes": LENET.format("m"),
    "alexnet": ALEXNET.format("n"),
    "alexnet_one_tower": ALEXNET.format("n"),
    "alexnet_notes": ALEXNET.format(""),
    "alexnet_small": ALEXNET.format(""),
    "nin": 3 * (NIN + "m") + NIN + "a",
    "nin_cifar": NIN + "m" + NIN + "a" + NIN + "a",
    "nin_notes": 3 * (NIN + "m") + NIN + "a",
    "nin_small": 2 * (NIN + "m") + NIN + "a",
    "vgg11_notes": "crm crm crcrm crcrm crcrm" + DENSE,
    "vgg_small": "crm crm crcrm" + DENSE,
    "googlenet": googlenet(heads=True),
    "googlenet_notes": googlenet(heads=False),
    "googlenet_torchvision": googlenet(heads=False).replace("cr", "cbr"),
    "googlenet_small": "cr m cr cr" + 2 * (2 * INCEPTION + "m") + INCEPTION + HEAD,
    "resnet18_notes": residual("cbr m", BASIC, "c", (2, 2, 2, 2)) + HEAD,
    "resnet_small": residual("cbr m", BASIC, PROJECTION, (1, 1, 1)) + HEAD,
    "densenet_cifar": dense("c", LAYER, (12, 12, 12)),
    "densenet_bc_cifar": dense("c", BOTTLENECK_LAYER, (16, 16, 16)),
    "densenet_notes": dense("cbr m", LAYER, (4, 4, 4, 4)),
    "densenet_small": dense("cbr m", BOTTLENECK_LAYER, (4, 4, 4)),
}
# The tables of the papers: convolutions of VGG's five stages, blocks of the four stages
# of ResNet, layers of the four dense blocks of DenseNet.
for depth, convs in {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}.items():
    EXPECTED[f"vgg{depth}"] = "".join(n * "cr" + "m" for n in convs) + DENSE
for depth, blocks in {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}.items():
    EXPECTED[f"plain{depth}"] = "cbr m" + sum(blocks) * 2 * "cbr" + HEAD
    EXPECTED[f"resnet{depth}"] = residual("cbr m", BASIC, PROJECTION, blocks) + HEAD
for depth, blocks in {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}.items():
    # 64 channels become 256 where the size stays, so the first stage projects as well
    body = residual("cbr m", BOTTLENECK, PROJECTION, blocks, first=PROJECTION)
    EXPECTED[f"resnet{depth}"] = body + HEAD
for depth, layers in {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
}.items():
    EXPECTED[f"densenet{depth}"] = dense("cbr m", BOTTLENECK_LAYER, layers)
for depth in (20, 32, 44, 56, 110):  # 6n + 2
    blocks = 3 * ((depth - 2) // 6,)
    EXPECTED[f"plain_cifar{depth}"] = (depth - 1) * "cbr" + HEAD
    body = residual("cbr", BASIC, SUBSAMPLING, blocks)
    EXPECTED[f"resnet_cifar{depth}"] = body + HEAD
    body = residual("c", PREACT, SUBSAMPLING, blocks)
    EXPECTED[f"preact_cifar{depth}"] = body + "br" + HEAD
for name, block in {
    "wide_resnet50": BOTTLENECK,
    "resnext50": BOTTLENECK,
    "se_resnet50": SE_BOTTLENECK,
}.items():
    body = residual("cbr m", block, PROJECTION, (3, 4, 6, 3), first=PROJECTION)
    EXPECTED[name] = body + HEAD
body = residual("cbr", REGNET, PROJECTION, (1, 3, 6, 6), first=PROJECTION)
EXPECTED["regnet_y_400mf"] = body + HEAD
EXPECTED["mobilenet"] = "cbr" + 13 * SEPARABLE + HEAD
# The first block does not widen, so its 1x1 is missing; all but the first block of a
# stage end in a sum.
first, rest = MOBILE.removeprefix("cb6"), (2, 3, 4, 3, 3, 1)
body = "".join(MOBILE + (n - 1) * f"{MOBILE}+" for n in rest)
EXPECTED["mobilenet_v2"] = "cb6" + first + body + "cb6" + HEAD
first, rest = EFFICIENT.removeprefix("cbw"), (2, 2, 3, 3, 4, 1)
body = "".join(EFFICIENT + (n - 1) * f"{EFFICIENT}+" for n in rest)
EXPECTED["efficientnet_b0"] = "cbw" + first + body + "cbw" + HEAD
body = "lc".join(n * CONVNEXT for n in (3, 3, 9, 3))
EXPECTED["convnext_tiny"] = "cl" + body + "ald"


@pytest.mark.parametrize("name", models.names())
def test_activations_are_of_the_kind_and_at_the_place_that_the_paper_says(name):
    with torch.device("meta"):
        net = models.build(name)
    expected = EXPECTED[name].replace(" ", "")
    assert traced(net, models.NETWORKS[name].input_shape) == expected
