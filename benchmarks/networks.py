"""The eight networks that both sides train, and the recipe of each side.

Both train the same `nn.Module` on the same 60,000 pictures at the same size. d2l's
recipe is that of its current edition (1.0.3): plain SGD, batches of 128, ten epochs.
`target` is the better of the median accuracies that its two editions published.
"""

import math
from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from cnnlib import init
from cnnlib.experiments.batch_norm import normalised_lenet
from cnnlib.models import notes
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.lenet import lenet
from cnnlib.models.vgg import vgg_stages


class Recipe(NamedTuple):
    """Ours: `passes` over the training set in one cycle, a test every `1 / tests`."""

    optimizer: str  # a class of torch.optim
    options: dict  # its arguments; lr is the peak
    start: str  # of the initial weights: one of `STARTS`
    passes: int
    tests: int  # times per pass that the network is tested
    batch_size: int
    smoothing: float = 0.0  # of the labels


class Network(NamedTuple):
    build: callable
    size: int  # pixels
    target: float  # accuracy that d2l publishes
    rate: float  # d2l's learning rate
    xavier: bool  # whether d2l initialises by Xavier's rule, else torch's
    images: int  # training pictures that the measurement of speed takes
    recipe: Recipe


def bn_lenet():
    """LeNet without padding, average pooling, batch norm before each sigmoid."""
    net = normalised_lenet()
    net.s2, net.s4 = nn.AvgPool2d(2), nn.AvgPool2d(2)
    return net


def vgg11_quarter():
    """(N, 1, 224, 224) -> (N, 10), a quarter of VGG-11's channels, dense layers as
    wide as there."""
    body = vgg_stages(((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)), 1)
    return nn.Sequential(OrderedDict(body | dense_layers(128 * 7 * 7, 4096, 10)))


def he(net):
    net.apply(init.he)


def awake(net):
    """He's rule, and class maps that begin above their ReLU: a NiN whose maps are zero
    learns nothing."""
    net.apply(init.he)
    nn.init.constant_(net.block4[4].bias, 1.0)


def centred(net, start=he):
    """`start`, with filters that sum to zero behind the first layer. The numbers behind
    a ReLU are positive, and what they have in common grows from layer to layer until
    all pictures look alike; such filters do not see it. Kutsuna, "Linearly Constrained
    Weights", https://arxiv.org/abs/2403.13833, keeps the sums at zero in training, too.
    """
    start(net)
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    for layer in layers[1:]:
        weight = layer.weight.data
        weight -= weight.mean((1, 2, 3), keepdim=True)
        weight /= math.sqrt(1 - 1 / math.pi)  # E[x^2] / Var[x] of a normal behind ReLU


def centred_awake(net):
    centred(net, awake)


def steep(net):
    """Glorot's rule, four times as wide because a sigmoid's slope is a quarter."""
    net.apply(init.glorot)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data *= 4


STARTS = {start.__name__: start for start in (he, awake, centred, centred_awake, steep)}


FUSED = {"fused": True}
SGD = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, **FUSED}
NETWORKS = {
    "lenet": Network(
        *(lenet, 28, 0.800, 0.1, True, 60_000),
        Recipe("AdamW", {"lr": 3e-2, **FUSED}, "steep", 2, 2, 128),
    ),
    "alexnet": Network(
        *(notes.alexnet_notes, 224, 0.881, 0.01, False, 1_024),
        Recipe("AdamW", {"lr": 3e-4, **FUSED}, "he", 1, 4, 32),
    ),
    "vgg": Network(
        *(vgg11_quarter, 224, 0.918, 0.01, True, 1_024),
        Recipe("AdamW", {"lr": 5e-4, **FUSED}, "he", 3, 2, 32),
    ),
    "nin": Network(
        *(notes.nin_notes, 224, 0.854, 0.05, True, 1_024),
        Recipe("AdamW", {"lr": 5e-4, **FUSED}, "centred_awake", 2, 2, 32),
    ),
    "googlenet": Network(
        *(notes.googlenet_notes, 96, 0.889, 0.01, True, 2_048),
        Recipe("AdamW", {"lr": 4e-4, **FUSED}, "he", 2, 2, 64),
    ),
    "bn-lenet": Network(
        *(bn_lenet, 28, 0.869, 0.1, True, 60_000),
        Recipe("AdamW", {"lr": 2e-2, **FUSED}, "steep", 3, 2, 128),
    ),
    "resnet18": Network(
        *(notes.resnet18_notes, 96, 0.914, 0.01, True, 2_048),
        Recipe("AdamW", {"lr": 3e-3, **FUSED}, "he", 2, 2, 64),
    ),
    "densenet": Network(
        *(notes.densenet_notes, 96, 0.901, 0.01, False, 3_072),
        Recipe("SGD", {"lr": 0.1, **SGD}, "he", 2, 2, 64),
    ),
}


def rate(lr):
    """Of the same optimiser."""
    return {"options": {"lr": lr, **FUSED}}


def sgd(lr):
    return {"optimizer": "SGD", "options": {"lr": lr, **SGD}}


SMOOTH = {"smoothing": 0.1}


# What was tried instead: by network, the pictures of one short pass, and what differed
# from the recipe.
TRIALS = {
    "alexnet": (
        6_000,
        [{"start": "centred"}, {"batch_size": 64}, SMOOTH, rate(1e-3), sgd(0.02)],
    ),
    "vgg": (
        6_000,
        [{"start": "centred"}, {"batch_size": 64}, SMOOTH, rate(1e-3), sgd(0.02)],
    ),
    "nin": (
        6_000,
        [{"start": "centred"}, {"start": "awake"}, rate(3e-4), rate(1e-3), sgd(0.02)],
    ),
    "googlenet": (
        10_000,
        [{"start": "centred"}, {"batch_size": 32}, SMOOTH, rate(1e-3), rate(2e-3)],
    ),
    "resnet18": (10_000, [{"batch_size": 128}, SMOOTH, rate(1e-3), sgd(0.1)]),
    "densenet": (
        10_000,
        [{"batch_size": 128}, SMOOTH, {"optimizer": "AdamW", **rate(5e-3)}],
    ),
}
