"""Three 3x3 layers, with and without ReLU between them, against one 7x7 layer."""

from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

KINDS = ("one 7x7", "three 3x3, linear", "three 3x3, ReLU")
SETTINGS = [{"kind": kind, "seed": seed} for kind, seed in product(KINDS, range(5))]


def block(kind, channels):
    """One of `KINDS`, with a field of 7x7: (N, C, H, W) -> (N, C, H, W)"""
    if kind == "one 7x7":
        return nn.Conv2d(channels, channels, 7, padding=3)
    first, second, third = (
        nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3)
    )
    if kind == "three 3x3, linear":
        return nn.Sequential(first, second, third)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)


def network(kind, channels=16):
    """The block between a layer that halves the picture and an average over places:
    (N, 1, 28, 28) -> (N, 10)"""
    return nn.Sequential(
        nn.Conv2d(1, channels, 2, stride=2),  # (N, channels, 14, 14)
        nn.ReLU(),
        block(kind, channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 10),
    )


DEPENDS = (block, network, init.he, data.Batches, train.fit, train.evaluate)


@experiment("three-threes", SETTINGS, DEPENDS)
def stacked(kind, seed, images=20_000, tests=10_000, epochs=8):
    """Train the network with one kind of block; its parameters, and training loss and
    test accuracy after each epoch.

    He initialisation, AdamW with a peak learning rate of 0.005, one cycle, batches
    of 128.
    """
    torch.manual_seed(seed)
    net = network(kind).apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    rows = train.fit(net, batches, data.Batches(test, device=device), epochs, optimizer)
    _, losses, accuracies, _ = zip(*rows, strict=True)
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "train_loss": losses,
        "test_accuracy": accuracies,
    }
