"""How training changes the field that one value really looks at."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

READOUTS = [("one place", 4), ("one place", 8), ("one place", 12), ("average", 8)]
SETTINGS = [
    {"readout": readout, "depth": depth, "seed": seed}
    for readout, depth in READOUTS
    for seed in range(5)
]
SIDE = 28


def stack(depth, channels=16, padding=0):
    """`depth` 3x3 layers with ReLU: (N, 1, H, W) -> (N, 10), from the average of all
    places that the last layer has."""
    widths = [1] + [channels] * depth
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=padding), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    stages = OrderedDict(body=nn.Sequential(*layers), head=nn.Sequential(*head))
    return nn.Sequential(stages)


def middle(pictures, side):
    """The middle `side` x `side` pixels of each picture, about pixel (14, 14)."""
    window = slice(SIDE // 2 - side // 2, SIDE // 2 + side // 2 + 1)
    return data.Images(pictures.images[:, :, window, window], pictures.labels)


def influence(body, x):
    """Squared gradient of the middle values of the last maps with respect to each
    pixel, summed over channels and pictures x (N, 1, H, W); (H, W), its sum is 1."""
    x = x.clone().requires_grad_()
    maps = body(x)
    values = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].sum(0)
    total = torch.zeros(x.shape[2:], device=x.device)
    for value in values:
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        total += gradient.square().sum((0, 1))
    return total / total.sum()


def width(share):
    """Standard deviation in pixels of shares (H, W), the mean of both directions."""
    variances = []
    for axis in (0, 1):
        line = share.double().sum(axis)
        place = torch.arange(len(line), device=line.device)
        mean = (line * place).sum()
        variances.append((line * (place - mean).square()).sum())
    return (sum(variances).item() / 2) ** 0.5


DEPENDS = (
    *(stack, middle, influence, width),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


@experiment("effective-field", SETTINGS, DEPENDS)
def field(readout, depth, seed, images=20_000, tests=10_000, epochs=5):
    """Train a stack of 3x3 layers; the width of the middle value's field before and
    after, seen over 200 test pictures, and the test accuracy after each epoch.

    "one place" has no padding and is given just the pixels that one value of the last
    layer can see; "average" pads, is given the whole picture and reads all places.
    """
    torch.manual_seed(seed)
    alone = readout == "one place"
    net = stack(depth, padding=0 if alone else 1).apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    if alone:
        training, test = middle(training, 2 * depth + 1), middle(test, 2 * depth + 1)
    device = train.device()
    net.to(device)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 200, device=device)
    x, _ = next(iter(held_out))
    before = width(influence(net.body, x))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    return {
        "before": before,
        "after": width(influence(net.body, x)),
        "test_accuracy": [row.test_accuracy for row in rows],
    }
