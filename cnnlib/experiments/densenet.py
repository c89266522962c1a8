"""DenseNet against a residual network of as many MACs, with bottlenecks and without."""

import time
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.densenet import (
    Dense,
    bn_relu_conv,
    bottleneck_layer,
    dense_stages,
    densenet_head,
    plain_layer,
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


def stem(channels):
    """(N, 1, 28, 28) -> (N, channels, 14, 14)"""
    return nn.Sequential(conv_bn(1, channels, 3), nn.ReLU(), nn.MaxPool2d(2))


def dense_net():
    """Twenty layers, counted as the paper does: the stem, blocks of 5, 5 and 6 plain
    layers with growth rate 12, two transitions that keep half, the classifier."""
    body, channels = dense_stages(plain_layer, (5, 5, 6), 24, 12, 0.5)
    head = densenet_head(channels, 10)
    return nn.Sequential(OrderedDict(stem=stem(24), **body, head=head))


def residual_net(width):
    """Twenty layers: the stem, three stages of three blocks with `width`, 2 `width` and
    4 `width` channels, the classifier."""
    rows = [(3, width), (3, 2 * width), (3, 4 * width)]
    body = residual_stages(rows, basic, width)  # (N, 4 * width, 4, 4)
    head = resnet_head(4 * width, 10)
    return nn.Sequential(OrderedDict(stem=stem(width), **body, head=head))


KINDS = ("DenseNet", "ResNet, equal MACs", "DenseNet-B, equal MACs")
RATES = {KINDS[0]: (0.01, 0.03), KINDS[1]: (0.01, 0.03, 0.1)}
SETTINGS = [
    {"kind": kind, "rate": rate, "seed": seed}
    for seed in range(2)
    for kind, rates in RATES.items()
    for rate in rates
]


def build(kind):
    """The DenseNet, a residual network with 2 % more MACs, or a DenseNet with
    bottlenecks, 1 % fewer MACs and 28 layers: each of its 12 dense layers is two."""
    if kind.startswith("ResNet"):
        return residual_net(16)
    return dense_net() if kind == "DenseNet" else densenet_small()


@torch.no_grad()
def judged(net, batches):
    """Mean loss and accuracy over the images of `batches`, in eval mode."""
    net.eval()
    loss = right = 0
    for x, y in batches:
        with train.autocast(batches.device):
            logits = net(x.contiguous(memory_format=torch.channels_last))
        loss += F.cross_entropy(logits.float(), y, reduction="sum").item()
        right += (logits.argmax(1) == y).sum().item()
    return loss / len(batches.labels), right / len(batches.labels)


DEPENDS = (
    *(stem, dense_net, residual_net, build, judged),
    *(init.he, data.Batches, train.fit, train.evaluate),
    *(conv_bn, two_layers, projection, Residual, basic, residual_stages, resnet_head),
    *(Dense, bn_relu_conv, plain_layer, bottleneck_layer, transition, dense_stages),
    *(densenet_head, densenet_small),
)


@experiment("densenet-resnet", SETTINGS, DEPENDS)
def against_resnet(kind, rate, seed, images=4_000, tests=8_000, epochs=8):
    """Train one network on the first `images` of 10,000 training pictures. Its accuracy
    on 1,000 other pictures after each epoch; when it is trained, loss and accuracy in
    eval mode, on the pictures it was trained with, as they are, and on `tests` others
    (the rest of the 10,000, then the 2,000 for testing); and the CPU seconds of an
    epoch.

    The same for all: He initialisation, AdamW with a peak learning rate of `rate`, one
    cycle, batches of 128.
    """
    torch.manual_seed(seed)
    net, device = build(kind).apply(init.he), train.device()
    both = zip(*data.fashion_mnist(10_000, 2_000), strict=True)
    pictures, labels = (torch.cat(pair) for pair in both)
    end = images + tests
    known = data.Images(pictures[:images], labels[:images])
    others = data.Images(pictures[images:end], labels[images:end])
    quick = data.Images(others.images[:1_000], others.labels[:1_000])
    batches = data.Batches(known, 128, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(quick, 500, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    start = time.process_time()
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    seconds = (time.process_time() - start) / epochs
    result = {"epochs": [row.test_accuracy for row in rows], "cpu_seconds": seconds}
    for name, images in {"train": known, "test": others}.items():
        images = data.Batches(images, 500, device=device)
        loss, accuracy = judged(net, images)
        result |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
    return result
