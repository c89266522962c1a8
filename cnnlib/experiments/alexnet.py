"""AlexNet's ingredients, each changed alone in the small AlexNet; ReLU against tanh."""

from contextlib import suppress
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.small import alexnet_small

# Section 3.3 normalises what comes from pixels between 0 and 255. Squares of what comes
# from our pictures, whose deviation is 1, are smaller by the square of 255 STD.
ALPHA = 1e-4 * (255 * data.STD) ** 2


class ResponseNorm(nn.Module):
    """nn.LocalResponseNorm(5, alpha=5 * ALPHA, beta=0.75, k=2), many times faster: the
    sum over five neighbouring maps is a convolution with a band of ones."""

    def __init__(self, channels):
        super().__init__()
        band = torch.ones(channels, channels).triu(-2).tril(2)
        self.register_buffer("band", band.view(channels, channels, 1, 1))

    def forward(self, x):
        return x * (2 + ALPHA * F.conv2d(x * x, self.band)).pow(-0.75)


def replace(net, kind, new):
    """Put a `new()` in the place of every module of class `kind`."""
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if type(child) is kind:
                setattr(parent, name, new())


def unchanged(net):
    pass


def tanh(net):
    """With the initialisation that suits it."""
    replace(net, nn.ReLU, nn.Tanh)
    net.apply(init.glorot)


def sigmoid(net):
    """From the weights that suit tanh, whose slope is 1 in the middle."""
    replace(net, nn.ReLU, nn.Sigmoid)
    net.apply(init.glorot)


@torch.no_grad()
def steep_sigmoid(net):
    """From weights four times as large, since the slope of a sigmoid is a quarter at
    most."""
    sigmoid(net)
    for parameter in net.parameters():
        parameter.mul_(4)  # the biases are zero


def separate_pooling(net):
    """Windows that do not overlap, and lead to maps of the same sizes."""
    net.pool1 = nn.Sequential(nn.ZeroPad2d(-1), nn.MaxPool2d(2))  # (N, 32, 13, 13)
    net.pool2 = nn.MaxPool2d(2)  # (N, 64, 6, 6)
    net.pool5 = nn.MaxPool2d(3)  # (N, 64, 2, 2)


def response_norm(net):
    """After the activations of the first two convolutions, as in the paper."""
    for stage in (net.conv1, net.conv2):
        stage.append(ResponseNorm(stage[0].out_channels))


def no_dropout(net):
    replace(net, nn.Dropout, nn.Identity)


# What is changed in the network, and whether its pictures are augmented
VARIANTS = {
    "unchanged": (unchanged, True),
    "tanh": (tanh, True),
    "sigmoid": (sigmoid, True),
    "separate pooling": (separate_pooling, True),
    "response norm": (response_norm, True),
    "no dropout": (no_dropout, True),
    "no augmentation": (unchanged, False),
    "neither of the two": (no_dropout, False),
}


def ended(net, optimizer, training, test, batch_size, augmented, epochs, seed):
    """Train `net`: the loss of each epoch, and at the end its accuracies."""
    device = train.device()
    batches = data.Batches(
        training,
        batch_size,
        shuffle=True,
        flip=augmented,
        crop=2 * augmented,
        device=device,
        seed=seed,
    )
    glance = data.Images(test.images[:100], test.labels[:100])  # `fit` wants a test
    rows = train.fit(
        net, batches, data.Batches(glance, device=device), epochs, optimizer
    )
    losses = [row.train_loss for row in rows]
    learnt = train.evaluate(net, data.Batches(training, 500, device=device))
    unseen = train.evaluate(net, data.Batches(test, 500, device=device))
    return {"train_loss": losses, "train_accuracy": learnt, "test_accuracy": unseen}


SETTINGS = [{"variant": v, "seed": s} for v, s in product(VARIANTS, range(3))]
CODE = (
    *(alexnet_small, dense_layers, replace, ResponseNorm, init.he, init.glorot),
    *(unchanged, tanh, sigmoid, separate_pooling, response_norm, no_dropout),
    *(ended, data.Batches, train.fit, train.evaluate),
)


@experiment("alexnet-ablation", SETTINGS, CODE)
def ablation(variant, seed, images=1_000, tests=5_000, epochs=15):
    """Train a variant; at the end its accuracy on the training and on the test images.

    The same in all runs: Glorot initialisation, AdamW with a peak learning rate of
    0.001, one cycle, batches of 32. Augmented pictures are flipped half the time and
    shifted by at most two pixels; the accuracies are those on the pictures as they are.
    """
    change, augmented = VARIANTS[variant]
    torch.manual_seed(seed)
    net = alexnet_small().apply(init.glorot)
    change(net)
    training, test = data.fashion_mnist(images, tests)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    return ended(net, optimizer, training, test, 32, augmented, epochs, seed)


def together(*changes):
    def change(net):
        for each in changes:
            each(net)

    return change


def two_towers(net):
    """Halves of conv2, conv4 and conv5 read their own half alone, as in the paper."""
    for stage in (net.conv2, net.conv4, net.conv5):
        old = stage[0]
        new = nn.Conv2d(
            old.in_channels,
            old.out_channels,
            old.kernel_size,
            padding=old.padding,
            groups=2,
        )
        stage[0] = new.apply(init.he)


def one_of_two(net):
    """Half of the maps in all convolutions but the last, whose dense layers are to stay
    as large: what the paper compares two towers with."""
    stages = (net.conv1, net.conv2, net.conv3, net.conv4, net.conv5)
    channels = net.conv1[0].in_channels
    for stage in stages:
        old = stage[0]
        maps = old.out_channels // (1 if stage is net.conv5 else 2)
        new = nn.Conv2d(channels, maps, old.kernel_size, padding=old.padding)
        stage[0], channels = new.apply(init.he), maps


def four_convolutions(net):
    del net.conv4


# As above, but each activation has the weights made for it, He's for ReLU
FINISHED = {
    "unchanged": (unchanged, True),
    "tanh": (tanh, True),
    "separate pooling": (separate_pooling, True),
    "response norm": (response_norm, True),
    "two towers": (two_towers, True),
    "one of two towers": (one_of_two, True),
    "four convolutions": (four_convolutions, True),
    "no dropout": (no_dropout, True),
    "no augmentation": (unchanged, False),
    "neither of the two": (no_dropout, False),
}
SIGMOIDS = {
    "sigmoid": (sigmoid, False),
    "sigmoid, no dropout": (together(sigmoid, no_dropout), False),
    "sigmoid x4": (steep_sigmoid, False),
    "sigmoid x4, no dropout": (together(steep_sigmoid, no_dropout), False),
}
EPOCHS = (15, 120)
LENGTH_SETTINGS = [
    {"variant": variant, "epochs": epochs, "seed": seed}
    for epochs, seed, variant in product(EPOCHS, range(3), FINISHED | SIGMOIDS)
]
LENGTH_CODE = (
    *(alexnet_small, dense_layers, replace, ResponseNorm, init.he, init.glorot),
    *(unchanged, tanh, sigmoid, steep_sigmoid, separate_pooling, response_norm),
    *(no_dropout, together, two_towers, one_of_two, four_convolutions),
    *(ended, data.Batches, train.fit, train.evaluate),
)


@experiment("alexnet-length", LENGTH_SETTINGS, LENGTH_CODE)
def length(variant, epochs, seed, images=200, tests=5_000):
    """Train a variant; the loss of each epoch, and at the end the accuracy on its
    images and on `tests` others of the training set.

    The same in all runs: the initialisation made for the activation (He's for ReLU),
    AdamW with a peak learning rate of 0.001, one cycle, batches of 16. Augmented
    pictures are flipped half the time and shifted by at most two pixels; the accuracies
    are those on the pictures as they are.
    """
    change, augmented = (FINISHED | SIGMOIDS)[variant]
    torch.manual_seed(seed)
    net = alexnet_small().apply(init.he)
    change(net)
    pictures, _ = data.fashion_mnist(images + tests, 1)
    training = data.Images(*(part[:images] for part in pictures))
    test = data.Images(*(part[images:] for part in pictures))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    return ended(net, optimizer, training, test, 16, augmented, epochs, seed)


SPEED_SETTINGS = [
    {"activation": activation, "rate": rate, "seed": seed}
    for activation, rate, seed in product(
        ("ReLU", "tanh"), (0.001, 0.003, 0.01, 0.03, 0.1), range(3)
    )
]


SPEED_CODE = (
    *(alexnet_small, dense_layers, replace, init.he, init.glorot),
    *(unchanged, tanh, no_dropout, data.Batches, train.fit, train.evaluate),
)


@experiment("alexnet-speed", SPEED_SETTINGS, SPEED_CODE)
def speed(activation, rate, seed, images=3_000, epochs=5):
    """Fig. 1 of the paper in small: the training error after each epoch.

    Stochastic gradient descent with momentum at a constant rate, batches of 64, without
    dropout and augmentation; He's initialisation for ReLU, Glorot's for tanh. A run
    that diverges has fewer epochs.
    """
    torch.manual_seed(seed)
    net = alexnet_small().apply(init.he)
    no_dropout(net)
    {"ReLU": unchanged, "tanh": tanh}[activation](net)
    training, _ = data.fashion_mnist(images, 1)
    device = train.device()
    batches = data.Batches(training, 64, shuffle=True, device=device, seed=seed)
    same = data.Batches(training, 500, device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    rows = train.fit(net, batches, same, epochs, optimizer, schedule="constant")
    errors = []
    with suppress(FloatingPointError):
        errors.extend(1 - row.test_accuracy for row in rows)
    return {"train_error": errors}
