"""What trained networks lose when blocks are taken out of them or exchanged."""

from functools import partial
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.vgg import plain_vgg
from cnnlib.models.resnet import (
    Residual,
    conv_bn,
    residual_stages,
    two_layers,
    without_shortcut,
)
from cnnlib.models.resnet_cifar import Subsampled, plain_cifar, resnet_cifar, shortcut


def stochastic_cifar(depth, in_channels):
    """The residual network, its blocks left out at random in training, the last one
    every second time and those before it more and more rarely: Huang et al., "Deep
    Networks with Stochastic Depth", ECCV 2016, https://arxiv.org/abs/1603.09382"""
    net = resnet_cifar(depth, in_channels)
    blocks = [block for block in net.modules() if isinstance(block, Residual)]
    for number, block in enumerate(blocks, start=1):
        block.path.append(StochasticDepth(0.5 * number / len(blocks), "batch"))
    return net


# Network: (builder, peak learning rate). Each has nine blocks.
NETWORKS = {
    "residual": (partial(resnet_cifar, 20, 1), 5e-3),
    "plain": (partial(plain_cifar, 20, 1), 5e-3),
    "stochastic depth": (partial(stochastic_cifar, 20, 1), 5e-3),
    "VGG": (partial(plain_vgg, 3), 1e-3),
}
LESIONS = ("residual", "plain", "stochastic depth", "VGG")


def settings(names):
    return [{"network": name, "seed": seed} for seed, name in product(range(3), names)]


def trained(network, seed, images=5_000, tests=2_000, epochs=6):
    """The network, the batches it learned from, those it was tested with, and its
    accuracy there: He initialisation, AdamW, one cycle, batches of 128."""
    torch.manual_seed(seed)
    builder, rate = NETWORKS[network]
    net = builder().apply(init.he)
    device = train.device()
    training, test = data.fashion_mnist(images, tests)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 1_000, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    *_, row = train.fit(net, batches, held_out, epochs, optimizer)
    return net.eval(), batches, held_out, row.test_accuracy


def parts(net):
    """The modules of `net` in order, as pairs: a module, and whether it is a block."""
    for name, stage in net.named_children():
        if not name.startswith("stage"):
            yield stage, False
        elif isinstance(stage[0], nn.Conv2d):  # VGG: convolution and ReLU are a block
            yield from ((stage[i : i + 2], True) for i in range(0, len(stage) - 1, 2))
            yield stage[-1], False
        else:
            yield from ((block, True) for block in stage)


def shape(block):
    """Channels in, channels out, stride."""
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    return convs[0].in_channels, convs[-1].out_channels, convs[0].stride[0]


def bypass(x, block):
    """x in the shape of block(x): every second pixel, if need be, and zeros in the
    channels that are new."""
    _, channels, stride = shape(block)
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))


def right_answers(steps, x, y):
    """How many x are put into their class y, with every subset of the blocks of `steps`
    in place and the others bypassed: 2^n counts. Written in binary, the index of a
    subset has a 1 for a block in place, the first block in front."""
    if not steps:
        return [(x.argmax(1) == y).sum().item()]
    (module, is_block), *rest = steps
    without = right_answers(rest, bypass(x, module), y) if is_block else []
    return without + right_answers(rest, module(x), y)


def swaps(steps):
    """The steps with two neighbouring blocks of the same shape exchanged, in turn."""
    for i, ((one, is_block), (other, is_too)) in enumerate(pairwise(steps)):
        if is_block and is_too and shape(one) == shape(other):
            yield [*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]]


CODE = (
    *(trained, plain_vgg, stochastic_cifar, plain_cifar, resnet_cifar, shortcut),
    *(Subsampled, Residual, conv_bn, residual_stages, two_layers, without_shortcut),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


@experiment(
    "why-residual-lesions",
    settings(LESIONS),
    (*CODE, parts, shape, bypass, right_answers, swaps),
)
def lesions(network, seed, **size):
    """Train a network of nine blocks, then remove and exchange some of them.

    Right answers to 1,000 test pictures, for the 512 subsets of the blocks and for each
    exchange.
    """
    net, _, held_out, accuracy = trained(network, seed, **size)
    steps = list(parts(net))
    x, y = next(iter(held_out))
    with torch.no_grad(), train.autocast(x.device):
        subsets = right_answers(steps, x, y)
        swapped = [
            right_answers([(module, False) for module, _ in order], x, y)[0]
            for order in swaps(steps)
        ]
    return {"test_accuracy": accuracy, "subsets": subsets, "swapped": swapped}
