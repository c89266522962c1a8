"""GoogLeNet's auxiliary heads on and off, block 2 without its two ReLUs, a branch of
noise, and what large and small garments lose without a branch."""

import copy
from collections import OrderedDict
from contextlib import contextmanager
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.channels import anywhere
from cnnlib.models.googlenet import (
    TABLE_1,
    GoogLeNet,
    Inception,
    Widths,
    conv,
    inception_stages,
    training_loss,
)


def googlenet_28():
    """All 22 layers and both heads of GoogLeNet for (N, 1, 28, 28), in an eighth of
    its widths. Two of its five poolings are left out, a 28x28 picture has little to
    halve; without local response normalisation."""
    rows = {name: Widths(*(n // 8 for n in row)) for name, row in TABLE_1.items()}
    stages = {
        "conv1": conv(1, 8, 5, stride=2),  # (N, 8, 14, 14)
        "pool1": nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 8, 7, 7)
        "conv2": nn.Sequential(conv(8, 8, 1), conv(8, 24, 3)),
        **inception_stages(24, rows),  # (N, 128, 3, 3)
        "head": nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, 10)
        ),
    }
    del stages["pool3"]
    heads = {"inception4a": auxiliary_head(64), "inception4d": auxiliary_head(66)}
    return GoogLeNet(stages, heads)


def auxiliary_head(in_channels):
    """(N, in_channels, 7, 7) -> (N, 10)"""
    return nn.Sequential(
        nn.AvgPool2d(3, stride=2),  # (N, in_channels, 3, 3)
        conv(in_channels, 16, 1),
        nn.Flatten(),
        nn.Linear(16 * 3 * 3, 128),
        nn.ReLU(),
        nn.Dropout(0.7),
        nn.Linear(128, 10),
    )


class Detach(nn.Module):
    """The same values, but no gradient comes back through them."""

    def forward(self, x):
        return x.detach()


def normalised(net):
    """`net` with batch normalisation between each convolution and its ReLU."""
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
            module[0].bias = None
            module.insert(1, nn.BatchNorm2d(module[0].out_channels))
    return net


def without_relus(net):
    """`net` without the ReLUs behind the two convolutions of its second block."""
    for layer in net.conv2:
        layer[-1] = nn.Identity()
    return net


def build(variant):
    """How the network is built, and how its weights begin."""
    if variant == "batch norm":
        return normalised(googlenet_28()).apply(init.he)
    if variant == "no ReLU in block 2":
        return without_relus(googlenet_28()).apply(init.he)
    return googlenet_28().apply({"He": init.he, "Glorot": init.glorot}[variant])


def exits(net):
    """{stage: the chain of stages up to the classifier that reads this stage}"""
    chain, found = [], {}
    for name, stage in net.named_children():
        if stage is net.auxiliary:
            break
        chain.append(stage)
        if name in net.auxiliary:
            found[name] = nn.Sequential(*chain, net.auxiliary[name])
    return found | {"head": nn.Sequential(*chain)}


def stem_gradients(net, x, y):
    """Norm of the gradient of each classifier's loss (at the end, 4a, 4d) in the first
    convolution, on the batch (x, y), without dropout."""
    probe = copy.deepcopy(net).train()
    for module in probe.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    norms = []
    for logits in probe(x):
        probe.zero_grad()
        F.cross_entropy(logits, y).backward(retain_graph=True)
        gradient = probe.conv1[0].weight.grad
        norms.append(0.0 if gradient is None else gradient.norm().item())
    return norms


def deep_supervision(
    variant, weight, seed, images=3_000, tests=10_000, epochs=14, quick_tests=1_000
):
    """Train `googlenet_28` with its auxiliary losses times `weight`.

    With weight 0 the heads are trained too, on values that send no gradient back, so
    that they can be measured but do not touch the network. AdamW with a peak learning
    rate of 0.003, one cycle, batches of 128. Returns the norms of `stem_gradients`
    before training and after each epoch, the accuracy on `quick_tests` test images
    after each epoch, and the final accuracy of the three classifiers (4a, 4d, end) on
    all training images and on `tests` test images.
    """
    torch.manual_seed(seed)
    net = build(variant)
    if weight == 0:
        for head in net.auxiliary.values():
            head.insert(0, Detach())
    training, test = data.fashion_mnist(images, tests)
    quick = data.Images(test.images[:quick_tests], test.labels[:quick_tests])
    device = train.device()
    net.to(device)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(quick, 1000, device=device)
    x, y = next(iter(data.Batches(training, 512, device=device)))

    def loss(outputs, labels):
        final, *early = (F.cross_entropy(logits, labels) for logits in outputs)
        return final + (weight or 1) * sum(early)

    gradients, accuracies = [stem_gradients(net, x, y)], []
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for row in train.fit(net, batches, held_out, epochs, optimizer, loss):
        gradients.append(stem_gradients(net, x, y))
        accuracies.append(row.test_accuracy)
    final = {
        part: [
            train.evaluate(chain, data.Batches(pictures, 1000, device=device))
            for chain in exits(net).values()
        ]
        for part, pictures in (("train", training), ("test", test))
    }
    return {"gradients": gradients, "test_accuracy": accuracies, "final": final}


DEPENDS = (
    googlenet_28,
    auxiliary_head,
    Detach,
    normalised,
    without_relus,
    build,
    exits,
    stem_gradients,
    conv,
    Inception,
    GoogLeNet,
    inception_stages,
    init.he,
    init.glorot,
    data.Batches,
    train.fit,
    train.evaluate,
)


def settings(variants, weights):
    """Those variants with those weights, three seeds each."""
    keys = ("variant", "weight", "seed")
    rows = product(variants, weights, range(3))
    return [dict(zip(keys, row, strict=True)) for row in rows]


HEADS = settings(("He", "Glorot", "batch norm"), (0, 0.3))
WEIGHTS = settings(("He", "batch norm"), (0.1, 1.0))
RELUS = settings(("no ReLU in block 2",), (0,))

heads = experiment("googlenet-heads", HEADS, DEPENDS)(deep_supervision)
weights = experiment("googlenet-weights", WEIGHTS, DEPENDS)(deep_supervision)
relus = experiment("googlenet-relus", RELUS, DEPENDS)(deep_supervision)


class Noise(nn.Module):
    """(N, C, H, W) -> (N, 8, H, W), whatever the input"""

    def forward(self, x):
        return torch.randn(len(x), 8, *x.shape[2:], device=x.device).relu()


def sizes_on_noise(net):
    """Root mean squares of module 4d's weights on the last 8 and on its 56 other
    inputs."""
    layers = [
        p for p in net.inception4d.parameters() if p.ndim == 4 and p.shape[1] == 64
    ]
    squares = torch.cat([p.detach().flatten(1) for p in layers]).square()
    return [part.mean().sqrt().item() for part in (squares[:, -8:], squares[:, :-8])]


NOISE = [{"decay": 0.01, "seed": 0}]


@experiment("googlenet-noise", NOISE, (*DEPENDS, Noise, sizes_on_noise, training_loss))
def noise(decay, seed, images=1_500, epochs=40):
    """Train a network in which the pooling branch of module 4c gives noise.

    AdamW at a constant rate of 0.003, with that weight decay, batches of 128. Returns
    `sizes_on_noise` before training and after each epoch, and the test accuracies.
    """
    torch.manual_seed(seed)
    net = build("He")
    net.inception4c.branch_pool = Noise()
    training, test = data.fashion_mnist(images, 1_000)
    device = train.device()
    net.to(device)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 1000, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=decay)
    sizes, accuracies = [sizes_on_noise(net)], []
    for row in train.fit(
        net, batches, held_out, epochs, optimizer, training_loss, "constant"
    ):
        sizes.append(sizes_on_noise(net))
        accuracies.append(row.test_accuracy)
    return {"sizes": sizes, "test_accuracy": accuracies}


@contextmanager
def silenced(branch):
    """The output of this branch is zero inside the `with` block."""
    handle = branch.register_forward_hook(lambda module, x, y: 0 * y)
    try:
        yield
    finally:
        handle.remove()


def losses(net, batches):
    """Accuracy lost without each branch of each Inception module: (modules, 4)"""
    whole, lost = train.evaluate(net, batches), []
    for module in net.modules():
        if isinstance(module, Inception):
            lost.append([])
            for branch in module.children():
                with silenced(branch):
                    lost[-1].append(whole - train.evaluate(net, batches))
    return lost


def equal_branches():
    """(N, 1, 28, 28) -> (N, 10): nine modules with an eighth of GoogLeNet's channels,
    of which each branch has a quarter, as its reduction has."""
    widths = {
        name: (row.n1x1 + row.n3x3 + row.n5x5 + row.pool_proj) // 32
        for name, row in TABLE_1.items()
    }
    rows = {name: Widths(*6 * (width,)) for name, width in widths.items()}
    stages = OrderedDict(
        conv1=conv(1, 8, 5, stride=2),  # (N, 8, 14, 14)
        conv2=nn.Sequential(conv(8, 8, 1), conv(8, 24, 3)),
        **inception_stages(24, rows),  # (N, 128, 4, 4)
        head=nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, 10)
        ),
    )
    return nn.Sequential(stages)


OBJECTS = [{"seed": 0}]
OBJECTS_CODE = (
    *(equal_branches, losses, silenced, anywhere, conv, Inception, inception_stages),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


@experiment("googlenet-objects", OBJECTS, OBJECTS_CODE)
def objects(seed, images=10_000, tests=1_000, epochs=6):
    """Train on garments half of which fill the frame; the others have half the size
    and stand anywhere in it. Accuracy on large and on small test images, and what of
    it `losses` finds.

    He's initialisation, AdamW with a peak learning rate of 0.003, one cycle, batches
    of 128.
    """
    training, test = data.fashion_mnist(images, tests)
    small, kept = anywhere(training, seed), images // 2
    mixed = data.Images(
        torch.cat([training.images[:kept], small.images[kept:]]), training.labels
    )
    torch.manual_seed(seed)
    net = equal_branches().apply(init.he)
    device = train.device()
    batches = data.Batches(mixed, shuffle=True, seed=seed, device=device)
    large, little = (
        data.Batches(part, 1000, device=device)
        for part in (test, anywhere(test, seed=1_000_000))
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in train.fit(net, batches, large, epochs, optimizer):
        pass
    return {
        "accuracy": [train.evaluate(net, part) for part in (large, little)],
        "lost": [losses(net, part) for part in (large, little)],
    }
