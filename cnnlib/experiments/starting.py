"""Which deep networks begin to learn, from which weights, and what else it takes."""

import math
from collections import OrderedDict
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.vgg import plain_vgg, trained
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.nin import average, mlpconv
from cnnlib.models.vgg import vgg_stage, vgg_stages


def as_built(module):
    """PyTorch's default: weights and biases uniform in +-1 / sqrt(fan_in)."""


def subtract_means(weight):
    """Make each filter of `weight` sum to zero, in place."""
    weight -= weight.flatten(1).mean(1).view(-1, *[1] * (weight.ndim - 1))


def zero_sums(module):
    """He's rule, and filters that sum to zero, except those that read a grey picture.

    Such filters do not see what all numbers of their window have in common. Of normal
    numbers behind a ReLU that is 1 / pi of the mean square, which the weights make up
    for. Kutsuna, "Linearly Constrained Weights", https://arxiv.org/abs/2403.13833,
    keeps the sums at zero in training, too.
    """
    init.he(module)
    if isinstance(module, init.LAYERS) and module.weight.shape[1] > 1:
        subtract_means(module.weight.data)
        module.weight.data /= math.sqrt(1 - 1 / math.pi)


INITS = {
    "PyTorch": as_built,
    "Glorot": init.glorot,
    "He": init.he,
    "zero sums": zero_sums,
}

# How deep can a plain network be?

INITIALISATIONS = {"default": nn.Identity(), "Glorot": init.glorot, "He": init.he}
PLAIN = {
    "SGD": partial(torch.optim.SGD, lr=1e-2, momentum=0.9),
    "AdamW": partial(torch.optim.AdamW, lr=1e-3),
}
DEPTHS = [
    {"optimizer": optimizer, "initialisation": scheme, "convs": convs, "seed": seed}
    for optimizer, scheme, convs, seed in product(
        PLAIN, INITIALISATIONS, (1, 3, 5), range(5)
    )
]


@experiment(
    "starting-depth",
    DEPTHS,
    (
        *(plain_vgg, vgg_stages, vgg_stage, dense_layers, trained),
        *(init.glorot, init.he, data.Batches, train.fit, train.evaluate),
    ),
)
def depth(optimizer, initialisation, convs, seed, images=2_000, tests=500, epochs=3):
    """Train `plain_vgg`; test accuracy and training loss after each epoch.

    A constant learning rate (SGD 0.01 with momentum 0.9, AdamW 0.001) and batches of
    32: 63 steps per epoch.
    """
    torch.manual_seed(seed)
    net = plain_vgg(convs).apply(INITIALISATIONS[initialisation])
    steps = PLAIN[optimizer](net.parameters())
    return trained(net, seed, images, tests, epochs, steps, 32, "constant")


# Other activations: twelve layers with a sigmoid or tanh

# Name: (activation, factor of Glorot's weights, whether filters sum to zero)
ACTIVATIONS = {
    "sigmoid": (nn.Sigmoid, 1, False),
    "sigmoid, gain 4": (nn.Sigmoid, 4, False),
    "sigmoid, gain 4, zero sums": (nn.Sigmoid, 4, True),
    "tanh": (nn.Tanh, 1, False),
}


def plain_with(activation, gain, centred, convs=3):
    """`plain_vgg` with another activation, Glorot's weights times `gain`, and, where
    `centred`, filters that sum to zero after the first layer."""
    net = plain_vgg(convs).apply(init.glorot)
    for stage in net:
        if isinstance(stage, nn.Sequential):
            for place, module in enumerate(stage):
                if isinstance(module, nn.ReLU):
                    stage[place] = activation()
    for module in net.modules():
        if isinstance(module, init.LAYERS):
            if centred and module.weight.shape[1] > 1:
                subtract_means(module.weight.data)
            module.weight.data *= gain
    return net


# A network that is averaged at its end

OPTIMIZERS = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}


def recipe(optimizer, lr, schedule):
    return {"optimizer": optimizer, "lr": lr, "schedule": schedule}


SGD = recipe("SGD", 0.1, "constant")
ADAMW = recipe("AdamW", 5e-3, "one-cycle")
# (initialisation, recipe), each with and without the last ReLU
RACES = [
    ("PyTorch", SGD),
    ("Glorot", SGD),
    ("He", SGD),
    ("Glorot", recipe("SGD", 0.3, "constant")),
]
# Four things changed together, and each of them left out; then zero sums alone
CURED = {"initial": "He", "relu": False, **ADAMW}
CURES = {
    "all four": CURED,
    "with Glorot's weights": CURED | {"initial": "Glorot"},
    "with the last ReLU": CURED | {"relu": True},
    "with SGD": CURED | {"optimizer": "SGD", "lr": 0.1},
    "with a constant rate": CURED | {"schedule": "constant"},
    "only zero sums": {"initial": "zero sums", "relu": True, **SGD},
}


def nin_at_28(relu=True):
    """The notes' NiN for 28x28 pixels: (N, 1, 28, 28) -> (N, 10).

    Their four blocks with a sixth of the widths (an eighth in the second) and without
    the third pooling; the last block keeps its ten channels throughout. With
    `relu=False` the class maps are not rectified.
    """
    end = mlpconv(64, (10, 10, 10), 3, padding=1)
    net = OrderedDict(
        block1=mlpconv(1, (16, 16, 16), 5, stride=2, padding=2),  # (N, 16, 14, 14)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 16, 7, 7)
        block2=mlpconv(16, (32, 32, 32), 5, padding=2),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 32, 3, 3)
        block3=mlpconv(32, (64, 64, 64), 3, padding=1),
        dropout=nn.Dropout(0.5),
        block4=end if relu else end[:-1],  # (N, 10, 3, 3)
        head=average(),
    )
    return nn.Sequential(net)


def signs_of_life(net, x, y):
    """(alive, gradients): how many class maps are positive anywhere in the batch, and
    the norm of the loss's gradient in each block."""
    net.eval()
    maps = net[:-1](x)
    net.zero_grad()
    F.cross_entropy(net.head(maps), y).backward()
    blocks = [b for name, b in net.named_children() if name.startswith("block")]
    norms = [nn.utils.get_total_norm(p.grad for p in b.parameters()) for b in blocks]
    net.zero_grad()
    return int((maps.amax((0, 2, 3)) > 0).sum()), [norm.item() for norm in norms]


def watched(initial, relu, optimizer, lr, schedule, seed, images, tests, epochs):
    """Train `nin_at_28`, batches of 128, and look for signs of life in 500 test images
    before the first and after every epoch. A run that diverges ends early."""
    torch.manual_seed(seed)
    net = nin_at_28(relu).apply(INITS[initial])
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 500, device=device)
    net.to(device)
    x, y = next(iter(held_out))
    life, losses, accuracies = [signs_of_life(net, x, y)], [], []
    opt = OPTIMIZERS[optimizer](net.parameters(), lr=lr)
    try:
        for row in train.fit(net, batches, held_out, epochs, opt, schedule=schedule):
            losses.append(row.train_loss)
            accuracies.append(row.test_accuracy)
            life.append(signs_of_life(net, x, y))
    except FloatingPointError:
        pass
    alive, gradients = zip(*life, strict=True)
    with torch.no_grad():
        named = len(net(x).argmax(1).unique())
    return {
        **{"train_loss": losses, "test_accuracy": accuracies},
        **{"alive": alive, "gradients": gradients, "named": named},
    }


WATCHED = (
    *(watched, nin_at_28, signs_of_life, mlpconv, average, init.glorot, init.he),
    *(data.Batches, train.fit, train.evaluate),
)


@experiment(
    "starting-race",
    [
        {"initial": initial, "relu": relu, **steps, "seed": seed}
        for (initial, steps), relu, seed in product(RACES, (True, False), range(5))
    ],
    WATCHED,
)
def race(images=10_000, tests=1_000, epochs=6, **setting):
    """Does a NiN wake up before its last class map is dead?"""
    return watched(**setting, images=images, tests=tests, epochs=epochs)


@experiment(
    "starting-cures",
    [{"cure": cure, "seed": seed} for cure in CURES for seed in range(5)],
    (*WATCHED, zero_sums, subtract_means),
)
def cure(cure, seed, images=10_000, tests=1_000, epochs=4):
    """Which part of the cure does it? All of it, and all but one part."""
    setting = {**CURES[cure], "seed": seed}
    return watched(**setting, images=images, tests=tests, epochs=epochs)
