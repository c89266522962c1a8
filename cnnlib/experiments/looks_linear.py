"""Is it shattering? Plain networks of 56 layers that look linear at first, trained.

Balduzzi et al., "The Shattered Gradients Problem: If resnets are the answer, then what
is the question?", ICML 2017, https://arxiv.org/abs/1702.08591, section 4: a layer reads
ReLU(x) and ReLU(-x), with weights W for the one and -W for the other. It computes W x
until it is trained, so that its gradients are alike at all pictures.
"""

from collections import OrderedDict
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.batch_norm import remeasured
from cnnlib.gradients import input_gradients, mean_cosine
from cnnlib.models.resnet import resnet_head
from cnnlib.models.resnet_cifar import WIDTHS, _body, plain_cifar, resnet_cifar

DEPTH = 56


class BothSigns(nn.Module):
    """(N, C, H, W) -> (N, 2 C, H, W): ReLU(x) and ReLU(-x), which lose nothing of x."""

    def forward(self, x):
        return torch.cat([x.relu(), (-x).relu()], 1)


def rotation(weights):
    """Random orthogonal: the length of what it is multiplied with stays."""
    nn.init.orthogonal_(weights)


def gaussian(weights):
    """Random numbers: the length stays in the mean, that of single directions not."""
    nn.init.normal_(weights, std=weights.shape[1] ** -0.5)


def convolution(in_channels, out_channels, stride, start, mirrored):
    """A 3x3 convolution after `BothSigns`, at first nothing but its middle pixel: W for
    ReLU(x) and, where it is `mirrored`, -W for ReLU(-x), else weights of its own."""
    conv = nn.Conv2d(2 * in_channels, out_channels, 3, stride, padding=1, bias=False)
    nn.init.zeros_(conv.weight)
    with torch.no_grad():
        one, other = conv.weight[:, :, 1, 1].chunk(2, 1)
        start(one)
        other.copy_(-one) if mirrored else start(other)
    return nn.Sequential(BothSigns(), conv)


def without_normalisation(start, mirrored):
    """(N, 1, H, W) -> (N, 10): the plain network with these layers in place of
    convolution, normalisation, ReLU."""

    def block(in_channels, out_channels, stride):
        return nn.Sequential(
            convolution(in_channels, out_channels, stride, start, mirrored),
            convolution(out_channels, out_channels, 1, start, mirrored),
        )

    stem = nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False)
    head = resnet_head(WIDTHS[-1], 10)
    for part in stem, head:
        part.apply(init.he)
    return nn.Sequential(OrderedDict(stem=stem, **_body(DEPTH, block), head=head))


def normalised(builder):
    return builder(DEPTH, 1).apply(init.he)


# Network: (builder, its arguments)
KINDS = {
    "plain": (normalised, plain_cifar),
    "residual": (normalised, resnet_cifar),
    "looks linear, rotation": (without_normalisation, rotation, True),
    "looks linear, Gaussian": (without_normalisation, gaussian, True),
    "both signs, rotation": (without_normalisation, rotation, False),
    "both signs, Gaussian": (without_normalisation, gaussian, False),
}


def halved(images):
    """The pictures with half the height and width, means of 2x2 pixels."""
    means = F.avg_pool2d(images.images.float(), 2)
    return data.Images(means.round().to(torch.uint8), images.labels)


RATES = (0.0003, 0.001, 0.003)
SHORT = {"epochs": 2}  # enough to see which rate learns fastest


@experiment(
    "looks-linear",
    [
        *(
            {"kind": kind, "rate": rate, "seed": 0, **SHORT}
            for kind, rate in product(list(KINDS)[2:], RATES)
        ),
    ],
    (
        *(plain_cifar, resnet_cifar, _body, init.he, data.Batches, train.fit),
        *(BothSigns, rotation, gaussian, convolution, without_normalisation),
        *(normalised, halved, remeasured, input_gradients, mean_cosine),
    ),
)
def looks_linear(kind, rate, seed, epochs=20, images=10_000, tests=5_000):
    """Training loss and test accuracy of each epoch, and the mean cosine of the
    gradients at 64 test pictures before the first step and after the last.

    Pictures of 14x14 pixels, moved by one and mirrored; otherwise the recipe of
    `depth`. A run whose loss is not finite any more has no end.
    """
    torch.manual_seed(seed)
    builder, *arguments = KINDS[kind]
    net = builder(*arguments)
    known, held_out = map(halved, data.fashion_mnist(images, tests))
    device = train.device()
    moved = {"shuffle": True, "flip": True, "crop": 1, "seed": seed}
    batches = data.Batches(known, 64, device=device, **moved)
    unseen = data.Batches(held_out, 500, device=device)
    few = data.Batches(data.Images(*(t[:1_000] for t in known)), 500, device=device)
    x, _ = next(iter(data.Batches(held_out, 64, device=device)))

    def cosine():
        torch.manual_seed(seed)
        fresh = remeasured(net.to(device), few).eval()
        return mean_cosine(input_gradients(fresh, x).flatten(1))

    rule = {"lr": rate, "momentum": 0.9, "weight_decay": 1e-4}
    optimizer = torch.optim.SGD(net.parameters(), **rule)
    found = {"before": cosine(), "train_loss": [], "test_accuracy": []}
    try:
        for row in train.fit(net, batches, unseen, epochs, optimizer):
            found["train_loss"].append(round(row.train_loss, 5))
            found["test_accuracy"].append(row.test_accuracy)
    except FloatingPointError:
        return found | {"after": None}
    return found | {"after": cosine()}
