"""DenseNet against residual networks of as many parameters, or as many MACs."""

import time
from collections import OrderedDict
from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.densenet import (
    Dense,
    bn_relu_conv,
    bottleneck_layer,
    dense_stages,
    densenet_head,
    transition,
)
from cnnlib.models.resnet import (
    Residual,
    basic,
    conv_bn,
    projection,
    residual_stages,
    resnet_head,
    two_layers,
)
from cnnlib.models.small import densenet_small


def residual_net(width):
    """Twenty layers for 28x28 pixels behind the stem of `densenet_small`: three stages
    of three blocks with `width`, 2 `width` and 4 `width` channels."""
    stem = nn.Sequential(
        conv_bn(1, width, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, width, 14, 14)
    )
    rows = [(3, width), (3, 2 * width), (3, 4 * width)]
    body = residual_stages(rows, basic, width)  # (N, 4 * width, 4, 4)
    head = resnet_head(4 * width, 10)
    return nn.Sequential(OrderedDict(stem=stem, **body, head=head))


def build(kind):
    """The DenseNet, a residual network with its parameters (4 % more), or one with its
    MACs (4 % more)."""
    widths = {"ResNet, equal parameters": 10, "ResNet, equal MACs": 16}
    return residual_net(widths[kind]) if kind in widths else densenet_small()


KINDS = ("DenseNet", "ResNet, equal parameters", "ResNet, equal MACs")
SETTINGS = [
    {"kind": kind, "rate": rate, "seed": seed}
    for rate, seed, kind in product((0.003, 0.01, 0.03), range(3), KINDS)
]
DEPENDS = (
    *(residual_net, build, init.he, data.Batches, train.fit, train.evaluate),
    *(conv_bn, two_layers, projection, Residual, basic, residual_stages, resnet_head),
    *(Dense, bn_relu_conv, bottleneck_layer, transition, dense_stages, densenet_head),
    densenet_small,
)


@experiment("densenet-resnet", SETTINGS, DEPENDS)
def against_resnet(kind, rate, seed, images=10_000, tests=10_000, epochs=8):
    """Train one network; its loss and its accuracy on 2,000 test images after each
    epoch, at the end the accuracy on all `tests`, and the CPU seconds of an epoch.

    The same for all: He initialisation, AdamW with a peak learning rate of `rate`, one
    cycle, batches of 128.
    """
    torch.manual_seed(seed)
    net = build(kind).apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    quick = data.Images(test.images[:2_000], test.labels[:2_000])
    device = train.device()
    batches = data.Batches(training, 128, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(quick, 500, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    start = time.process_time()
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    seconds = (time.process_time() - start) / epochs
    return {
        "train_loss": [row.train_loss for row in rows],
        "test_accuracy": [row.test_accuracy for row in rows],
        "final": train.evaluate(net, data.Batches(test, 500, device=device)),
        "cpu_seconds": seconds,
    }
