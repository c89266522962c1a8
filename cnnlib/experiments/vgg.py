"""VGG's bet on stacks of small windows, and a plain network of any depth."""

from collections import OrderedDict
from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.vgg import vgg_stages

# Name: (kernel, convolutions, what stands between them, channels) of both stages
WINDOWS = {
    "one 5x5": (5, 1, nn.ReLU, 20),
    "one 5x5, narrow": (5, 1, nn.ReLU, 17),
    "two 3x3": (3, 2, nn.ReLU, 20),
    "two 3x3, linear": (3, 2, nn.Identity, 20),
    "one 7x7": (7, 1, nn.ReLU, 20),
    "one 7x7, narrow": (7, 1, nn.ReLU, 15),
    "three 3x3": (3, 3, nn.ReLU, 20),
    "three 3x3, linear": (3, 3, nn.Identity, 20),
}
WINDOW_SETTINGS = [
    {"window": window, "seed": seed}
    for window, seed in product(("two 3x3", "one 5x5, narrow"), range(3))
]


def window_stage(kernel, convs, between, channels):
    """(N, channels, H, W) -> (N, channels, H // 2, W // 2), initialised after He.

    Where nothing is rectified before a convolution, its weights get half the variance.
    """
    layers = []
    for index in range(convs):
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        init.he(conv)
        if index and between is nn.Identity:
            conv.weight.data *= 0.5**0.5
        layers += [conv, between()]
    return nn.Sequential(*layers[:-1], nn.ReLU(), nn.MaxPool2d(2))


def window_net(kernel, convs, between, channels):
    """(N, 1, 28, 28) -> (N, 10): a stem, two stages with the window, a dense layer."""
    stem = nn.Conv2d(1, channels, 3, padding=1)
    head = nn.Linear(channels * 3 * 3, 10)
    init.he(stem)
    init.he(head)
    net = OrderedDict(
        stem=nn.Sequential(stem, nn.ReLU(), nn.MaxPool2d(2)),
        stage1=window_stage(kernel, convs, between, channels),
        stage2=window_stage(kernel, convs, between, channels),
        head=nn.Sequential(nn.Flatten(), head),
    )
    return nn.Sequential(net)


def trained(net, seed, images, tests, epochs, optimizer, batch_size, schedule):
    """Training loss and test accuracy after each epoch, on Fashion-MNIST."""
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, batch_size, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 500, device=device)
    rows = train.fit(net, batches, held_out, epochs, optimizer, schedule=schedule)
    _, losses, accuracies, _ = zip(*rows, strict=True)
    return {"train_loss": losses, "test_accuracy": accuracies}


@experiment(
    "vgg-windows",
    WINDOW_SETTINGS,
    (
        *(window_net, window_stage, trained, init.he),
        *(data.Batches, train.fit, train.evaluate),
    ),
)
def windows(window, seed, images=5_000, tests=2_000, epochs=20):
    """Train `window_net`; test accuracy and training loss after each epoch.

    Everything but window and seed is the same in all runs: AdamW with a peak learning
    rate of 0.004, one cycle, batches of 128.
    """
    torch.manual_seed(seed)
    net = window_net(*WINDOWS[window])
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    return trained(net, seed, images, tests, epochs, optimizer, 128, "one-cycle")


def plain_vgg(convs):
    """(N, 1, 28, 28) -> (N, 10): three stages of `convs` convolutions and three dense
    layers; channels double where height and width halve."""
    body = vgg_stages(((convs, 16), (convs, 32), (convs, 64)), in_channels=1)
    return nn.Sequential(body | dense_layers(64 * 3 * 3, 128, 10))
