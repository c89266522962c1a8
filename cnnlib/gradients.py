"""Gradients of deep networks: how alike they are between inputs, and by which paths of
a residual network they come.

Balduzzi et al., "The Shattered Gradients Problem", ICML 2017,
https://arxiv.org/abs/1702.08591; Veit, Wilber and Belongie, "Residual Networks Behave
Like Ensembles of Relatively Shallow Networks", NIPS 2016,
https://arxiv.org/abs/1605.06431.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.models.resnet_cifar import Sum


class Standardise(nn.Module):
    """Batch normalisation without scale and shift: (N, C) -> (N, C).

    Its statistics are constants to the derivative. Otherwise every output would depend
    on every input, and the gradients at all inputs would sum to zero.
    """

    def forward(self, x):
        with torch.no_grad():
            mean, std = x.mean(0), x.std(0, correction=0)
        return (x - mean) / std


def dense_stack(
    depth, width, norm=nn.Identity, shortcut=False, scale=1.0, activation=nn.ReLU
):
    """`depth` times x -> W relu(norm(x)), or with a shortcut x + W relu(norm(x)):
    (N, width) -> (N, width). The weights have the variance scale^2 2 / width."""
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        nn.init.normal_(linear.weight, std=scale * (2 / width) ** 0.5)
        path = nn.Sequential(norm(), activation(), linear)
        layers.append(Sum(path, nn.Identity()) if shortcut else path)
    return nn.Sequential(*layers)


def input_gradients(net, x):
    """Derivatives of one random sum of the outputs of net(x) by each x: (N, ...)"""
    x = x.detach().requires_grad_()
    outputs = net(x)
    outputs = outputs @ torch.randn_like(outputs[0])
    return torch.autograd.grad(outputs.sum(), x)[0]


def mean_cosine(vectors):
    """Mean of the cosines between any two of N vectors: (N, D) -> number"""
    units = F.normalize(vectors)
    count = len(units)
    return ((units.sum(0).pow(2).sum() - count) / (count * (count - 1))).item()


def autocorrelation(signal, lag):
    """Of a sequence (N,) with itself, `lag` places on."""
    signal = signal - signal.mean()
    return (signal[lag:] @ signal[: len(signal) - lag] / signal.pow(2).sum()).item()


@contextmanager
def one_path(blocks, through):
    """Inside, outputs stay what they are and gradients take a single path: through the
    layers of the residual blocks in the set `through`, past those of the others."""
    handles = [
        (block.shortcut if index in through else block.path).register_forward_hook(
            lambda module, inputs, output: output.detach()
        )
        for index, block in enumerate(blocks)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
