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


# Network: (builder, peak learning rate). Those without a depth have nine blocks.
NETWORKS = {
    "residual": (partial(resnet_cifar, 20, 1), 5e-3),
    "plain": (partial(plain_cifar, 20, 1), 5e-3),
    "stochastic depth": (partial(stochastic_cifar, 20, 1), 5e-3),
    "VGG": (partial(plain_vgg, 3), 1e-3),
    "residual, 56 layers": (partial(resnet_cifar, 56, 1), 5e-3),
    "plain, 56 layers": (partial(plain_cifar, 56, 1), 5e-3),
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


def answers(steps, x):
    """The classes that x gets with every subset of the blocks of `steps` in place and
    the others bypassed: (2^n, N). Written in binary, the index of a subset has a 1 for
    a block in place, the first block in front."""
    if not steps:
        return x.argmax(1)[None]
    (module, is_block), *rest = steps
    in_place = answers(rest, module(x))
    if not is_block:
        return in_place
    return torch.cat([answers(rest, bypass(x, module)), in_place])


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


@torch.no_grad()
def answers_to(batches, steps):
    """`answers` to all pictures of `batches`, on the CPU."""
    with train.autocast(batches.device):
        return torch.cat([answers(steps, x).cpu() for x, _ in batches], dim=1)


@experiment(
    "why-residual-lesions",
    settings(LESIONS),
    (*CODE, parts, shape, bypass, answers, answers_to, swaps),
)
def lesions(
    network,
    seed,
    tests=10_000,
    pictures=(19, 2, 1, 13, 6, 8, 4, 9, 18, 0, 7, 10),
    **size,
):
    """Train a network of nine blocks, then remove and exchange some of them.

    Right answers to the test pictures, for the 512 subsets of the blocks and for each
    exchange; and the classes that twelve `pictures` get from each subset, as digits.
    The twelve are the first of each class, then the second shirt and the second coat,
    which are easily mistaken for each other.
    """
    net, *_ = trained(network, seed, **size)
    test = data.fashion_mnist(1, tests)[1]
    batches = data.Batches(test, 500, device=train.device())
    steps = list(parts(net))
    subsets = answers_to(batches, steps)
    exchanged = [
        answers_to(batches, [(module, False) for module, _ in order])
        for order in swaps(steps)
    ]
    return {
        "test_accuracy": train.evaluate(net, batches),
        "subsets": (subsets == test.labels).sum(1).tolist(),
        "swapped": (torch.cat(exchanged) == test.labels).sum(1).tolist(),
        "pictures": list(pictures),
        "answers": "".join(map(str, subsets[:, list(pictures)].flatten().tolist())),
    }
