"""GoogLeNet's auxiliary heads on and off, and block 2 without its two ReLUs."""

import copy
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.googlenet import (
    TABLE_1,
    GoogLeNet,
    Inception,
    Widths,
    conv,
    inception_stages,
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
