"""Receptive fields against what small networks really look at."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import models

from cnnlib import costs, fields


class Following(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        fields.follow(func, args, kwargs or {}, out)
        return out


def followed(net, shape):
    """The fields of the output of `net` for a picture of `shape` (C, ...)."""
    x = torch.empty(1, *shape, device="meta")
    fields.start(x)
    with torch.no_grad(), Following():
        return fields.of(net.to("meta")(x))


def seen(net, shape, axis):
    """First and last row (`axis` 0, or column, ...) that each row of the output sees.

    The weights are made positive. Each picture of a batch is black but for one row of
    ones: the output rows that are not zero see it, by any path and any window.
    """
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1)
    rows = shape[1 + axis]
    x = torch.zeros(rows, *shape, dtype=torch.double)
    for row in range(rows):
        x[row].select(1 + axis, row).fill_(1)
    with torch.no_grad():
        out = net.double()(x).abs().movedim(2 + axis, 1).flatten(2).amax(2)
    return [
        (int(lit.min()), int(lit.max())) if len(lit) else None
        for lit in (column.nonzero() for column in out.T)
    ]


def agrees(net, shape):
    """Compare all output rows; how many of their fields lie inside of the picture."""
    inside = 0
    looks = [seen(net, shape, axis) for axis in range(len(shape) - 1)]
    for field, look, rows in zip(followed(net, shape), looks, shape[1:], strict=True):
        for position, span in enumerate(look):
            first, last = field.at(position)
            assert last - first < field.size
            if first > last:  # between the strides of an enlarging convolution
                assert span is None
            elif 0 <= first and last < rows:
                assert span == (first, last), (position, field)
                inside += 1
            elif span:
                assert first <= span[0] and span[1] <= last, (position, field)
    return inside


class Sum(nn.Module):
    """Parallel paths, their outputs added or concatenated."""

    def __init__(self, *paths, joint=torch.add):
        super().__init__()
        self.paths, self.joint = nn.ModuleList(paths), joint

    def forward(self, x):
        one, other = (path(x) for path in self.paths)
        if self.joint is torch.add:
            return one + other
        return torch.cat([one, other], 1)[:, ::2]


def window(chance, n):
    """A random layer of 2 channels with windows along `n` axes."""

    def each(*values):
        return tuple(chance.choice(values) for _ in range(n))

    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
    wider = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n - 1]
    largest = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[n - 1]
    mean = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[n - 1]
    zeros = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)[n - 1]
    kernel, stride, dilation = each(1, 2, 3, 4), each(1, 2, 3), each(1, 2)
    padding = tuple(chance.randrange(k // 2 + 1) for k in kernel)
    kind = chance.choice(["conv", "wider", "largest", "mean", "zeros", "nearest"])
    if kind == "conv":
        return conv(2, 2, kernel, stride, each(0, 1, 2), dilation, bias=False)
    if kind == "wider":
        return wider(2, 2, kernel, stride, dilation=dilation, bias=False)
    if kind == "largest":
        return largest(
            kernel, stride, padding, dilation, ceil_mode=chance.random() < 0.5
        )
    if kind == "mean":
        return mean(kernel, stride, padding, ceil_mode=chance.random() < 0.5)
    if kind == "zeros":
        return zeros(tuple(chance.randrange(3) for _ in range(2 * n)), 0)
    return nn.Upsample(scale_factor=chance.choice([2, 3]), mode="nearest")


def path(chance, n):
    return [window(chance, n) for _ in range(chance.randint(1, 3))]


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_see_the_pixels_that_their_fields_say(seed):
    chance = random.Random(seed)
    n = chance.choice([1, 1, 2])
    shape = (2, *chance.choices([20, 31, 40], k=n))
    layers = path(chance, n)
    if chance.random() < 0.5:
        layers += [Sum(*(window(chance, n) for _ in range(2)), joint=torch.cat)]
    net = nn.Sequential(*layers).double()
    try:
        out = net(torch.zeros(1, *shape, dtype=torch.double))
    except RuntimeError:  # a window that does not fit, paths of different sizes
        pytest.skip("these layers do not fit each other")
    if max(out.shape) > 200 or None in followed(net, shape):
        pytest.skip("a broadcast path" if max(out.shape) <= 200 else "too large")
    agrees(net.to_empty(device="cpu"), shape)
