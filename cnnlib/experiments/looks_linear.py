"""Is it the shattered gradients that stop a deep network without shortcuts?

Balduzzi et al., "The Shattered Gradients Problem", ICML 2017,
https://arxiv.org/abs/1702.08591, section 4: a network without shortcuts whose gradients
do not shatter at the start, for then it computes a linear function. Here it is trained,
beside one that differs by its first weights alone.
"""

from collections import OrderedDict

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import Experiment, experiment, fingerprint
from cnnlib.experiments.batch_norm import remeasured
from cnnlib.experiments.depth import CODE as DEPTH_CODE
from cnnlib.experiments.depth import RUNS, curves
from cnnlib.experiments.why_residual import first_to_last
from cnnlib.gradients import input_gradients, mean_cosine
from cnnlib.models.resnet import residual_stages, resnet_head
from cnnlib.models.resnet_cifar import plain_cifar, resnet_cifar

WIDTHS = (12, 24, 48)  # for about as many weights as 16, 32 and 64 without doubling
TRIALS = {
    "plain": (0.03, 0.1, 0.3),
    "residual": (0.03, 0.1, 0.3),
    "looks linear": (3e-4, 1e-3, 3e-3, 1e-2),
    "not mirrored": (3e-4, 1e-3, 3e-3, 1e-2),
}
# Those of the lowest loss in the trials.
RATES = {"plain": 0.03, "residual": 0.03, "not mirrored": 1e-3, "looks linear": 3e-3}


class BothSigns(nn.Module):
    """relu(x) beside relu(-x): (N, C, ...) -> (N, 2C, ...)"""

    def forward(self, x):
        return torch.cat([x.relu(), (-x).relu()], dim=1)


def two_signed(in_channels, out_channels, stride):
    """Two 3x3 convolutions, each after ReLUs of both signs; no normalisation."""
    return nn.Sequential(
        BothSigns(),
        nn.Conv2d(2 * in_channels, out_channels, 3, stride, padding=1),
        BothSigns(),
        nn.Conv2d(2 * out_channels, out_channels, 3, padding=1),
    )


def signed_cifar(depth, in_channels):
    """Depth 6n + 2 without shortcuts: (N, in_channels, H, W) -> (N, 10)"""
    rows = [((depth - 2) // 6, width) for width in WIDTHS]
    stages = residual_stages(rows, two_signed, WIDTHS[0])
    stem = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1)
    ends = {"signs": BothSigns(), "head": resnet_head(2 * WIDTHS[-1], 10)}
    return nn.Sequential(OrderedDict(stem=stem) | stages | ends)


@torch.no_grad()
def rotate(net, mirrored):
    """Set the weights of `signed_cifar` to rotations, at the middle of each window.

    The rotation V of relu(-x) is -W where `mirrored`, W that of relu(x), so that each
    layer hands on W x; else one of its own. Both keep the mean length of what they
    read. The middle is the place of Xiao et al., https://arxiv.org/abs/1806.05393.
    """
    layers = [m for m in net.modules() if isinstance(m, init.LAYERS)]
    for number, layer in enumerate(layers):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        middle = layer.weight[:, :, 1, 1] if layer.weight.ndim == 4 else layer.weight
        halves = middle.chunk(2 if number else 1, dim=1)  # the stem reads one sign
        for half in halves:
            half.copy_(nn.init.orthogonal_(torch.empty(half.shape)))
        if mirrored and number:
            halves[1].copy_(-halves[0])
    return net


def build(network, seed, depth=56):
    """A network of half the pictures' height and width, with its first weights."""
    torch.manual_seed(seed)
    if network in ("plain", "residual"):
        kind = plain_cifar if network == "plain" else resnet_cifar
        net = kind(depth, 1).apply(init.he)
    else:
        net = rotate(signed_cifar(depth, 1), mirrored=network == "looks linear")
    return nn.Sequential(OrderedDict(pool=nn.AvgPool2d(2)) | dict(net.named_children()))


def learn(network, seed, rate, epochs, images=10_000, folder=None, **size):
    """The network as it was built and as it was trained, its batches, and its curves;
    the recipe of `depth`, with a learning rate of its own."""
    start, net = build(network, seed, **size), build(network, seed, **size)
    training = data.fashion_mnist(images, 1)[0]
    batches = data.Batches(
        training, 64, shuffle=True, flip=True, crop=2, device=train.device(), seed=seed
    )
    rule = {"lr": rate, "momentum": 0.9, "weight_decay": 1e-4}
    optimizer = torch.optim.SGD(net.parameters(), **rule)
    found = curves(net, batches, optimizer, epochs, folder=folder)
    return start, net.eval(), batches, found


CODE = (
    *(learn, build, rotate, signed_cifar, two_signed, BothSigns, curves),
    *DEPTH_CODE,
)


@experiment(
    "looks-linear-rates",
    [
        {"network": network, "seed": 0, "rate": rate}
        for network, rates in TRIALS.items()
        for rate in rates
    ],
    CODE,
)
def trial(network, seed, rate, epochs=2, **size):
    """The training loss of a short run, of each epoch; none where it diverged."""
    try:
        *_, found = learn(network, seed, rate, epochs, **size)
    except FloatingPointError:
        return {"train_loss": None}
    return {"train_loss": [round(loss, 4) for loss in found["train_loss"]]}


def asked(net, batches, seed, images, labels):
    """How alike the gradients at `images` are, and how long that of the first
    convolution's weights is over the last's, with the statistics of `batches`."""
    net = remeasured(net, batches).eval()
    x, y = images.to(batches.device), labels.to(batches.device)
    x = (x / 255 - data.MEAN) / data.STD
    torch.manual_seed(seed)
    return {
        "cosine": mean_cosine(input_gradients(net, x).flatten(1)),
        "first_to_last": first_to_last(net, x, y),
    }


@experiment(
    "looks-linear",
    [{"network": network, "seed": 0, "rate": rate} for network, rate in RATES.items()],
    (*CODE, asked, remeasured, first_to_last, mean_cosine, input_gradients),
)
def trained(network, seed, rate, epochs=20, pictures=64, **size):
    """The curves of a network of 56 layers, and what is measured in it on the first
    test pictures before and after; statistics are those of 1,000 training pictures."""
    setting = [network, seed, rate, epochs, size]
    mark = fingerprint(Experiment("", learn, setting, CODE))
    folder = RUNS / f"{network}-{seed}-{mark}"
    start, end, batches, found = learn(
        network, seed, rate, epochs, folder=folder, **size
    )
    few = data.Images(batches.images[:1_000], batches.labels[:1_000])
    few = data.Batches(few, 500, device=batches.device)
    test = data.fashion_mnist(1, pictures)[1]
    rounded = {name: [round(v, 5) for v in values] for name, values in found.items()}
    return rounded | {
        when: asked(net.to(few.device), few, seed, *test)
        for when, net in (("before", start), ("after", end))
    }
