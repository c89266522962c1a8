"""One layer of 7x7 against three of 3x3: the same field, maps of the same size."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

KINDS = ("one 7x7", "one 7x7, started as three", "three 3x3", "three 3x3, ReLU")


def block(kind, channels=16):
    """A block with a field of 7x7: (N, C, H, W) -> (N, C, H, W). All zeros are put
    around the picture first, so that three layers without ReLU are one of 7x7."""
    frame = nn.ZeroPad2d(3)
    if kind.startswith("one"):
        return nn.Sequential(frame, nn.Conv2d(channels, channels, 7))
    first, second, third = (nn.Conv2d(channels, channels, 3) for _ in range(3))
    if kind == "three 3x3":
        return nn.Sequential(frame, first, second, third)
    return nn.Sequential(frame, first, nn.ReLU(), second, nn.ReLU(), third)


def composed(*layers):
    """Kernel and bias of the one convolution that layers in a row amount to."""
    weight, bias = layers[0].weight, layers[0].bias
    for layer in layers[1:]:
        rest = layer.weight.shape[-1] - 1
        turned = layer.weight.flip(2, 3)
        bias = layer.bias + layer.weight.sum((2, 3)) @ bias
        weight = F.conv2d(weight.transpose(0, 1), turned, padding=rest).transpose(0, 1)
    return weight, bias


def network(kind, channels=16):
    """(N, 1, 28, 28) -> (N, 10): the block reads maps of half the size and is followed
    by an average, so that it has to do the work."""
    halve = nn.Conv2d(1, channels, 2, stride=2)  # (N, 16, 14, 14)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    net = nn.Sequential(halve, nn.ReLU(), block(kind, channels), nn.ReLU(), *head)
    net.apply(init.he)
    if kind.endswith("started as three"):
        stack = block("three 3x3", channels).apply(init.he)
        with torch.no_grad():
            net[2][1].weight.copy_(composed(*stack[1:])[0])
    return net


SETTINGS = [{"kind": kind, "seed": seed} for kind, seed in product(KINDS, range(3))]
DEPENDS = (block, composed, network, init.he, data.Batches, train.fit)


@experiment("receptive-field-blocks", SETTINGS, DEPENDS)
def blocks(kind, seed, images=5_000, tests=1_000, epochs=4):
    """Train a network with one block: AdamW with a peak rate of 0.01, one cycle,
    batches of 128. Training loss and test accuracy after every epoch."""
    torch.manual_seed(seed)
    net = network(kind)
    training, test = data.fashion_mnist(images, tests)
    batches = data.Batches(training, shuffle=True, seed=seed, device=train.device())
    held_out = data.Batches(test, 500, device=train.device())
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "losses": [row.train_loss for row in rows],
        "accuracies": [row.test_accuracy for row in rows],
    }
