"""What stands in trained networks, and what they lose with blocks of theirs."""

import copy
import math
from functools import partial
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.batch_norm import remeasured
from cnnlib.experiments.depth import CODE as DEPTH_CODE
from cnnlib.experiments.depth import DEPTH_SETTINGS, curves, recipe, to_the_end
from cnnlib.gradients import input_gradients, mean_cosine, one_path
from cnnlib.models.resnet import (
    Residual,
    conv_bn,
    residual_stages,
    two_layers,
    without_shortcut,
)
from cnnlib.models.resnet_cifar import Subsampled, plain_cifar, resnet_cifar, shortcut

# Networks of a short run: (builder, peak learning rate)
NETWORKS = {
    "residual, 8 layers": (partial(resnet_cifar, 8, 1), 5e-3),
    "plain, 8 layers": (partial(plain_cifar, 8, 1), 5e-3),
    "residual": (partial(resnet_cifar, 20, 1), 5e-3),
    "plain": (partial(plain_cifar, 20, 1), 5e-3),
    "residual, 56 layers": (partial(resnet_cifar, 56, 1), 5e-3),
    "plain, 56 layers": (partial(plain_cifar, 56, 1), 5e-3),
}
# Networks of nine blocks that were trained to the end: (kind, depth, learning rate)
LESIONS = {
    "residual": ("residual", 20, 0.1),
    "plain": ("plain", 20, 0.1),
    "stochastic depth": ("stochastic depth", 20, 0.1),
    "VGG": ("VGG", 12, 0.03),
}


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
    *(trained, plain_cifar, resnet_cifar, shortcut),
    *(Subsampled, Residual, conv_bn, residual_stages, two_layers, without_shortcut),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


class Anew(nn.Module):
    """A trained batch normalisation whose statistics are those of the first `count`
    pictures of what it is given, not those that were collected in training."""

    def __init__(self, norm, count):
        super().__init__()
        self.norm, self.count = norm, count

    def forward(self, x):
        var, mean = torch.var_mean(x[: self.count].float(), (0, 2, 3), correction=0)
        return F.batch_norm(
            x, mean, var, self.norm.weight, self.norm.bias, eps=self.norm.eps
        )


def with_statistics_anew(net, count):
    """A copy of `net`, its weights too, with every batch normalisation `Anew`."""
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, Anew(child, count))
    return net


@torch.no_grad()
def classes(net, images, device, order=None, first=0):
    """`answers` to the pictures after the first ones, on the CPU; with an `order` of
    the steps, only those of the network with its blocks in that order: (1, N)."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    ((x, _),) = data.Batches((images, labels), len(images), device=device)
    steps = list(parts(net)) if order is None else [(m, False) for m, _ in order]
    with train.autocast(x.device):
        return answers(steps, x)[:, first:].cpu()


@experiment(
    "why-residual-lesions",
    [
        *settings(["residual", "plain", "VGG"]),
        {"network": "stochastic depth", "seed": 0},
    ],
    (
        *(to_the_end, recipe, curves, *DEPTH_CODE),
        *(parts, shape, bypass, answers, swaps, Anew, with_statistics_anew, classes),
    ),
)
def lesions(
    network,
    seed,
    tests=2_000,
    fresh=1_000,
    pictures=(19, 2, 1, 13, 6, 8, 4, 9, 18, 0, 7, 10),
    **size,
):
    """Remove and exchange the nine blocks of a network that was trained to the end.

    Right answers to the test pictures, for the 512 subsets of the blocks and for each
    exchange, and the classes that twelve `pictures` get from each subset, as digits:
    with the statistics of batch normalisation "kept" as they were, and taken "anew"
    from `fresh` training pictures. The twelve are the first of each class, then the
    second shirt and the second coat, which are easily mistaken for each other.
    """
    kind, depth, rate = LESIONS[network]
    net, batches, _ = to_the_end(kind, depth, seed, rate, **size)
    test = data.fashion_mnist(1, tests)[1]
    both = torch.cat([batches.images[:fresh].cpu(), test.images])
    patients = {
        "kept": (net, test.images, 0),
        "anew": (with_statistics_anew(net, fresh), both, fresh),
    }
    row = {"pictures": list(pictures)}
    for statistics, (patient, images, first) in patients.items():
        look = partial(classes, patient, images, batches.device, first=first)
        subsets = look()
        swapped = torch.cat([look(order) for order in swaps(list(parts(patient)))])
        row[statistics] = {
            "subsets": (subsets == test.labels).sum(1).tolist(),
            "swapped": (swapped == test.labels).sum(1).tolist(),
            "answers": "".join(map(str, subsets[:, list(pictures)].flatten().tolist())),
        }
    return row


def first_to_last(net, x, y):
    """Length of the gradient of the first convolution's weights over the last's."""
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    ratio = convs[0].weight.grad.norm() / convs[-1].weight.grad.norm()
    net.zero_grad()
    return ratio.item()


@torch.no_grad()
def added(net, x):
    """For each residual block, the length of what its layers compute, F(x), over that
    of x, which the shortcut hands on: mean over the pictures."""
    lengths = {}

    def keep(module, inputs, output):
        lengths[module] = output.flatten(1).norm(dim=1)

    blocks = [m for m in net.modules() if isinstance(m, Residual)]
    ends = [end for block in blocks for end in (block.path, block.shortcut)]
    handles = [end.register_forward_hook(keep) for end in ends]
    net(x)
    for handle in handles:
        handle.remove()
    return [(lengths[b.path] / lengths[b.shortcut]).mean().item() for b in blocks]


def mass(net, x, y, samples, seed):
    """Share of the gradient at the stem that comes by paths through k of the n blocks:
    n + 1 numbers. Mean length of the gradient of `samples` random paths through k
    blocks, times their number, as Veit et al. count it."""
    blocks = [m for m in net.modules() if isinstance(m, Residual)]
    random = torch.Generator().manual_seed(seed)
    stem = net.stem(x).detach().requires_grad_()
    count = len(blocks)
    found = []
    for k in range(count + 1):
        total = 0.0
        for _ in range(samples):
            through = torch.randperm(count, generator=random)[:k].tolist()
            with one_path(blocks, set(through)):
                loss = F.cross_entropy(net[1:](stem), y)
                total += torch.autograd.grad(loss, stem)[0].norm().item()
        found.append(math.comb(count, k) * total / samples)
    return [share / sum(found) for share in found]


def inside(net, batches, seed, images, labels, samples):
    """What is measured in a network, with the statistics of batch normalisation taken
    from all pictures of `batches` and then held."""
    net = remeasured(net, batches).eval()
    x, y = images.to(batches.device), labels.to(batches.device)
    x = (x / 255 - data.MEAN) / data.STD
    torch.manual_seed(seed)
    row = {
        "first_to_last": first_to_last(net, x, y),
        "cosine": mean_cosine(input_gradients(net, x).flatten(1)),
    }
    if any(isinstance(m, Residual) for m in net.modules()):
        row |= {"added": added(net, x), "mass": mass(net, x, y, samples, seed)}
    return row


@experiment(
    "why-residual-inside",
    [s for s in DEPTH_SETTINGS if s["depth"] in (20, 56) and s["rate"] == 0.1],
    (
        *(to_the_end, recipe, curves, *DEPTH_CODE),
        *(inside, remeasured, first_to_last, added, mass, one_path),
        *(mean_cosine, input_gradients),
    ),
)
def before_and_after(kind, depth, seed, rate, pictures=64, samples=8, **size):
    """The same measurements in a network as it was initialised and after training, on
    the first test pictures; statistics are those of 1,000 training pictures."""
    net, _, _ = recipe(kind, depth, seed, rate)
    end, batches, _ = to_the_end(kind, depth, seed, rate, **size)
    few = data.Images(batches.images[:1_000], batches.labels[:1_000])
    few = data.Batches(few, 500, device=batches.device)
    test = data.fashion_mnist(1, pictures)[1]
    return {
        when: inside(network.to(few.device), few, seed, *test, samples)
        for when, network in (("before", net), ("after", end))
    }
