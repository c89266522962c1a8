"""What an Inception module is worth at equal cost: real, naive, and of one window."""

from collections import OrderedDict
from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.googlenet import Inception, conv

STEM = 24  # maps that the first module reads
# 3a and 3b of GoogLeNet with an eighth of their channels, in the order of Table 1.
REAL = ((8, 12, 16, 2, 4, 4), (16, 16, 24, 4, 12, 8))
# Filters of 1x1, 3x3 and 5x5 of both naive modules: those of the real ones, or as many
# as the bill of the real ones pays for.
NAIVE = ((8, 16, 4), (16, 24, 12))
THIN = ((3, 6, 1), (6, 9, 4))
# Channels of the 1x1 layer in front of each window, for the same bill and the same
# channels between the modules: 32 and 60.
NECKS = {3: (8, 11), 5: (3, 4)}


class Branches(nn.Module):
    """(N, C, H, W) -> (N, channels of all branches, H, W)"""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def real():
    """Two Inception modules, 24 -> 32 -> 60 channels."""
    return Inception(STEM, *REAL[0]), Inception(32, *REAL[1])


def naive(filters):
    """Two naive modules: 1x1, 3x3, 5x5 and the pooled input, stacked."""
    modules, channels = [], STEM
    for counts in filters:
        layers = [conv(channels, n, k) for n, k in zip(counts, (1, 3, 5), strict=True)]
        modules.append(Branches(*layers, nn.MaxPool2d(3, stride=1, padding=1)))
        channels += sum(counts)
    return modules


def one_window(size):
    """Two modules with windows of one size after a 1x1 layer, 24 -> 32 -> 60."""
    first, second = NECKS[size]
    return (
        nn.Sequential(conv(STEM, first, 1), conv(first, 32, size)),
        nn.Sequential(conv(32, second, 1), conv(second, 60, size)),
    )


MODULES = {
    "real": real,
    "naive": lambda: naive(NAIVE),
    "naive, thin": lambda: naive(THIN),
    **{f"{size}x{size}": lambda size=size: one_window(size) for size in NECKS},
}


def network(kind):
    """(N, 1, 28, 28) -> (N, 10): a stem, two modules on 14x14 places, a global mean."""
    stem = nn.Sequential(nn.Conv2d(1, STEM, 3, stride=2, padding=1), nn.ReLU())
    first, second = MODULES[kind]()
    channels = second(first(torch.zeros(1, STEM, 2, 2))).shape[1]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    layers = OrderedDict(stem=stem, first=first, second=second)
    return nn.Sequential(layers | {"head": nn.Sequential(*head)})


@experiment(
    "inception-bill-modules",
    [{"kind": kind, "seed": seed} for kind, seed in product(MODULES, range(3))],
    (
        *(network, real, naive, one_window, Branches, Inception, conv, init.he),
        *(data.Batches, train.fit, train.evaluate),
    ),
)
def modules(kind, seed, images=5_000, tests=1_000, epochs=15):
    """Train `network(kind)`; test accuracy and training loss after each epoch.

    AdamW with a peak learning rate of 0.01, one cycle, batches of 64.
    """
    torch.manual_seed(seed)
    net = network(kind).apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, 64, shuffle=True, seed=seed, device=device)
    tested = data.Batches(test, 1000, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    rows = list(train.fit(net, batches, tested, epochs, optimizer))
    return {
        "accuracy": [row.test_accuracy for row in rows],
        "loss": [row.train_loss for row in rows],
    }
