"""Depth with and without shortcuts: the error on the pictures one trains on."""

from itertools import product

import torch

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.resnet import (
    Residual,
    conv_bn,
    residual_stages,
    resnet_head,
    two_layers,
    without_shortcut,
)
from cnnlib.models.resnet_cifar import (
    Subsampled,
    _body,
    _network,
    plain_cifar,
    residual,
    resnet_cifar,
    shortcut,
)

KINDS = {"plain": plain_cifar, "residual": resnet_cifar}
NETS = [
    *(("plain", depth) for depth in (8, 14, 20, 32, 56)),
    *(("residual", depth) for depth in (20, 56)),
]
DEPTH_SETTINGS = [
    {"kind": kind, "depth": depth, "seed": seed}
    for seed, (kind, depth) in product(range(3), NETS)
]
CODE = (
    *(plain_cifar, resnet_cifar, _body, _network, residual, shortcut, Subsampled),
    *(Residual, conv_bn, two_layers, without_shortcut, residual_stages, resnet_head),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


def trained(kind, depth, seed, rate=0.1, images=10_000, tests=2_000, epochs=4):
    """Training loss and training error after each epoch, test error after the last.

    The same for all: He initialisation, stochastic gradient descent with momentum 0.9
    and weight decay 0.0001 as in the paper, one cycle up to the learning rate `rate`,
    batches of 64. The training error is that of the first 2,000 training pictures,
    with the network in eval mode.
    """
    torch.manual_seed(seed)
    net = KINDS[kind](depth, in_channels=1).apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, 64, shuffle=True, device=device, seed=seed)
    seen = data.Images(training.images[:2_000], training.labels[:2_000])
    seen = data.Batches(seen, 500, device=device)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4
    )
    rows = list(train.fit(net, batches, seen, epochs, optimizer))
    unseen = train.evaluate(net, data.Batches(test, 500, device=device))
    return {
        "train_loss": [row.train_loss for row in rows],
        "train_error": [1 - row.test_accuracy for row in rows],
        "test_error": 1 - unseen,
    }


depth_series = experiment("resnet-depth", DEPTH_SETTINGS, CODE)(trained)
