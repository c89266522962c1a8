"""Batch normalisation: LeNet with and without, learning rates, noise, small batches."""

import copy
import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.lenet import _dense, lenet_notes

NORMS = {nn.Conv2d: nn.BatchNorm2d, nn.Linear: nn.BatchNorm1d}


def normalised_lenet():
    """The notes' LeNet with batch normalisation before each of its four sigmoids."""
    net = lenet_notes()
    for stage in (net.c1, net.c3, net.c5, net.f6):
        affine = stage[-2]
        channels = affine.weight.shape[0]
        stage.insert(len(stage) - 1, NORMS[type(affine)](channels))
    return net


def norms(net):
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


@torch.no_grad()
def remeasured(net, batches):
    """A copy of `net` whose statistics are means over `batches`, its weights held."""
    net = copy.deepcopy(net).train()
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None  # all batches count alike
    for x, _ in batches:
        with train.autocast(batches.device):
            net(x)
    return net


def lag(net, fresh):
    """How far each layer's running mean is from that of `fresh`, a copy with statistics
    remeasured: mean over the channels, in standard deviations of the channel."""
    pairs = zip(norms(net), norms(fresh), strict=True)
    return [
        ((old.running_mean - new.running_mean).abs() / new.running_var.sqrt())
        .mean()
        .item()
        for old, new in pairs
    ]


class Noise(nn.Module):
    """Scales and shifts every channel by numbers that are drawn anew in every step."""

    def forward(self, x):
        if not self.training:
            return x
        numbers = torch.rand(2, x.shape[1], 1, 1, device=x.device).to(x.dtype)
        return (0.75 + numbers[0] / 2) * x + (numbers[1] - 0.5)


class Centre(nn.Module):
    """Takes the mean out of every channel, a running one in prediction, and leaves its
    scale."""

    def __init__(self, channels, momentum=0.1):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, x):
        mean = self.running_mean
        if self.training:
            mean = x.mean((0, 2, 3))
            with torch.no_grad():
                self.running_mean.lerp_(mean.float(), self.momentum)
        return x - mean.to(x.dtype).view(1, -1, 1, 1)


class Scale(nn.Module):
    """Brings back to 1 the standard deviation that a ReLU leaves of normal numbers, by
    one constant."""

    def forward(self, x):
        return x / math.sqrt(1 / 2 - 1 / (2 * math.pi))


def chain(variant):
    """Ten 3x3 convolutions without a shortcut, (N, 1, 28, 28) -> (N, 10): "plain",
    batch norm "before" or "after" each ReLU, or before it with "noise" between; before
    it with the mean taken out again after each ReLU ("centred"), or with one thing more
    in front of the classifier: a batch norm ("end") or a constant ("scaled")."""
    layers, channels = [], 1
    for index in range(10):
        out = 16 if index < 5 else 32
        stride = 2 if index in (0, 5) else 1  # (N, 16, 14, 14), then (N, 32, 7, 7)
        bias = variant == "plain"
        layers.append(nn.Conv2d(channels, out, 3, stride, padding=1, bias=bias))
        layers += {
            "plain": [nn.ReLU()],
            "before": [nn.BatchNorm2d(out), nn.ReLU()],
            "after": [nn.ReLU(), nn.BatchNorm2d(out)],
            "noise": [nn.BatchNorm2d(out), Noise(), nn.ReLU()],
            "centred": [nn.BatchNorm2d(out), nn.ReLU(), Centre(out)],
            "end": [nn.BatchNorm2d(out), nn.ReLU()],
            "scaled": [nn.BatchNorm2d(out), nn.ReLU()],
        }[variant]
        channels = out
    if variant == "end":
        layers.append(nn.BatchNorm2d(channels))
    if variant == "scaled":
        layers.append(Scale())
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers, *head).apply(init.he)


COMMON = (init.he, data.Batches, train.fit, train.evaluate)
LENETS = (normalised_lenet, remeasured, lag, norms, _dense, lenet_notes, *COMMON)
CHAINS = (chain, Noise, Centre, Scale, *COMMON)


@experiment(
    "batch-norm-lenet",
    [
        {"norm": norm, "schedule": schedule, "seed": seed}
        for norm, schedule in [
            (False, "constant"),
            (True, "constant"),
            (True, "cosine"),
        ]
        for seed in range(5)
    ],
    LENETS,
)
def with_and_without(norm, schedule, seed, images=60_000, tests=10_000, epochs=5):
    """The notes' recipe, Adam at 0.001 and batches of 256: test accuracy after each
    epoch, as it is and with the statistics remeasured, and the lag of each layer."""
    torch.manual_seed(seed)
    net = normalised_lenet() if norm else lenet_notes()
    device = train.device()
    training, test = data.fashion_mnist(images, tests)
    batches = data.Batches(training, 256, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 1000, device=device)
    few = data.Images(training.images[:10_000], training.labels[:10_000])
    sample = data.Batches(few, 256, device=device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    result = {"train_loss": [], "test_accuracy": [], "remeasured": [], "lag": []}
    for row in train.fit(net, batches, held_out, epochs, optimizer, schedule=schedule):
        fresh = remeasured(net, sample) if norm else net
        result["train_loss"].append(row.train_loss)
        result["test_accuracy"].append(row.test_accuracy)
        result["remeasured"].append(train.evaluate(fresh, held_out) if norm else None)
        result["lag"].append(lag(net, fresh))
    return result


@experiment(
    "batch-norm-rates",
    [
        {"variant": variant, "rate": rate, "seed": seed}
        for variant, rates in [
            ("plain", (0.003, 0.01, 0.03, 0.1, 1.0)),
            ("before", (0.003, 0.01, 0.03, 0.1, 1.0)),
            ("after", (0.003, 0.01, 0.03, 0.1, 1.0)),
            ("centred", (0.01, 0.1)),
            ("end", (0.01, 0.1)),
            ("scaled", (0.01, 0.1)),
        ]
        for rate, seed in product(rates, range(3))
    ],
    CHAINS,
)
def learning_rates(variant, rate, seed, epochs=2):
    """The chain, 10,000 images in batches of 128, SGD with momentum and a cosine: loss
    and test accuracy after each epoch, cut short where the loss is not finite."""
    torch.manual_seed(seed)
    net, device = chain(variant), train.device()
    training, test = data.fashion_mnist(10_000, 2_000)
    batches = data.Batches(training, 128, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 1000, device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    rows, diverged = [], False
    try:
        for row in train.fit(
            net, batches, held_out, epochs, optimizer, schedule="cosine"
        ):
            rows.append((row.train_loss, row.test_accuracy))
    except FloatingPointError:
        diverged = True
    return {"rows": rows, "diverged": diverged}


def gradient(net, x, y):
    """Loss and gradients of a batch, in the mode that `net` is in."""
    with train.autocast(x.device):
        loss = F.cross_entropy(net(x), y)
    return loss.item(), torch.autograd.grad(loss, list(net.parameters()))


@torch.no_grad()
def channels(net, x):
    """Mean and standard deviation of each channel that the convolutions behind the
    first read, over the batch x: two tensors of all channels."""
    found = []
    for layer in copy.deepcopy(net):
        if isinstance(layer, nn.Conv2d) and x.shape[1] > 1:
            found.append(torch.stack([x.mean((0, 2, 3)), x.std((0, 2, 3))]))
        x = layer(x)
    return torch.cat(found, 1)


def ahead(net, x, y, rate):
    """Loss and gradients where steps of half, one, two and four times the rate down the
    gradient lead, the gradients at the start first."""
    found = [gradient(net, x, y)]
    for factor in (0.5, 1, 2, 4):
        moved = copy.deepcopy(net)
        with torch.no_grad():
            for p, g in zip(moved.parameters(), found[0][1], strict=True):
                p -= factor * rate * g
        found.append(gradient(moved, x, y))
    return zip(*found, strict=True)


@experiment(
    "batch-norm-noise",
    [
        {"variant": variant, "rate": rate, "seed": seed}
        for variant in ("plain", "before", "noise")
        for rate, seed in product((0.01, 0.03), range(3))
    ],
    (gradient, channels, ahead, *CHAINS),
)
def shift_and_slope(variant, rate, seed, epochs=1, every=8):
    """The chain under SGD with momentum and a constant rate, 10,000 images. Loss of
    each step and, every so often, how far one step moves the channel means (median, in
    standard deviations), the range of the losses ahead, and the cosine between the
    gradient and the one four steps ahead."""
    torch.manual_seed(seed)
    net, device = chain(variant).to(train.device()).train(), train.device()
    training = data.fashion_mnist(10_000, 2_000)[0]
    batches = data.Batches(training, 128, shuffle=True, seed=seed, device=device)
    probe, _ = next(iter(data.Batches(training, 512, device=device)))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    result = {"loss": [], "shift": [], "range": [], "cosine": []}
    for step, (x, y) in enumerate(batch for _ in range(epochs) for batch in batches):
        if probing := step % every == 0:
            losses, gradients = ahead(copy.deepcopy(net), x, y, rate)
            here, *_, there = (torch.cat([g.flatten() for g in gs]) for gs in gradients)
            result["range"].append(max(losses) - min(losses))
            result["cosine"].append(F.cosine_similarity(here, there, dim=0).item())
            old = channels(net, probe)
        loss, gradients = gradient(net, x, y)
        for p, g in zip(net.parameters(), gradients, strict=True):
            p.grad = g
        optimizer.step()
        result["loss"].append(loss)
        if probing:
            moves = (channels(net, probe)[0] - old[0]).abs() / old[1].clamp(1e-3)
            result["shift"].append(moves.median().item())
    return result
