"""Five tips on training, each against a control: learning rates that change, wrong
labels, other activations, branches that are dropped or frozen, and doing nothing."""

import math
from collections import OrderedDict
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

SEEDS = range(3)

# The network: four convolutions and two dense layers


class Maxout(nn.Module):
    """The larger of two numbers: (N, 2 C, ...) -> (N, C, ...)

    Goodfellow and others, "Maxout Networks", https://arxiv.org/abs/1302.4389, with two
    pieces.
    """

    def forward(self, x):
        return torch.maximum(*x.chunk(2, 1))


ACTIVATIONS = {"ReLU": nn.ReLU, "ELU": nn.ELU, "maxout": Maxout}
# Channels of the four convolutions and the dense layer. A maxout computes two numbers
# for each one that it hands on; the narrower layers make up for that.
WIDTHS = {True: (11, 23, 45, 68), False: (16, 32, 64, 96)}
HIDDEN = 128


def stage(in_channels, out_channels, activation, norm, *end):
    """A 3x3 convolution, normalised or not, its activation, and what closes it."""
    made = out_channels * (1 + (activation == "maxout"))
    conv = nn.Conv2d(in_channels, made, 3, padding=1, bias=not norm)
    norms = [nn.BatchNorm2d(made)] if norm else []
    return nn.Sequential(conv, *norms, ACTIVATIONS[activation](), *end)


def network(activation="ReLU", norm=True, dense="ReLU"):
    """Six layers with weights: (N, 1, 28, 28) -> (N, 10)

    `activation` is that of the convolutions, `dense` that of the dense layer.
    """
    widths = WIDTHS[activation == "maxout"]
    ends = [[nn.MaxPool2d(2)]] * 3 + [[nn.AdaptiveAvgPool2d(1), nn.Flatten()]]
    net, channels = OrderedDict(), 1
    for place, (width, end) in enumerate(zip(widths, ends, strict=True)):
        net[f"stage{place + 1}"] = stage(channels, width, activation, norm, *end)
        channels = width
    net["dense"] = nn.Sequential(nn.Linear(channels, HIDDEN), ACTIVATIONS[dense]())
    net["head"] = nn.Linear(HIDDEN // (1 + (dense == "maxout")), 10)
    return nn.Sequential(net).apply(init.he)


def garments(images, tests, seed, batch_size=64):
    """(shuffled batches of the first `images` garments, batches of the first tests)"""
    known, held_out = data.fashion_mnist(images, tests)
    device = train.device()
    return (
        data.Batches(known, batch_size, shuffle=True, seed=seed, device=device),
        data.Batches(held_out, 1000, device=device),
    )


# Learning rates that change


def constant(step, steps, low, high):
    return high


def falling(step, steps, low, high):
    """A tenth after a half of the steps, and a hundredth after three quarters."""
    return high * 0.1 ** ((step >= steps / 2) + (step >= 3 * steps / 4))


def triangular(step, steps, low, high, cycles=2):
    """Up from `low` to `high` and down again, `cycles` times."""
    place = step / steps * cycles % 1
    return low + (high - low) * (1 - abs(2 * place - 1))


def one_cycle(step, steps, low, high, rise=0.3):
    """Up from `low` to `high` in `rise` of the steps, then down to zero, both along a
    half cosine."""
    share = step / steps
    if share < rise:
        return low + (high - low) * (1 - math.cos(math.pi * share / rise)) / 2
    return high * (1 + math.cos(math.pi * (share - rise) / (1 - rise))) / 2


SCHEDULES = {
    "constant": constant,
    "step": falling,
    "triangular": triangular,
    "one cycle": one_cycle,
}
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # constant ones
LOW, HIGHS = 0.01, (0.1, 0.3)  # bounds that the chapter's range test suggests


def descend(net, batches, rates):
    """Train `net` with SGD (momentum 0.9), one step for each of `rates`; yields the
    loss of each step."""
    net.to(batches.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0, momentum=0.9)
    stream = endless(batches)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        x, y = next(stream)
        with train.autocast(batches.device):
            loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def endless(batches):
    """Pass after pass over `batches`."""
    while True:
        yield from batches


PLANS = [
    {"schedule": name, "high": high}
    for name in SCHEDULES
    for high in (RATES if name == "constant" else HIGHS)
]
COMMON = (stage, network, Maxout, garments, init.he, data.Batches, train.evaluate)


@experiment(
    "training-rates",
    [{**plan, "seed": seed} for plan, seed in product(PLANS, SEEDS)],
    (*COMMON, descend, endless, constant, falling, triangular, one_cycle),
)
def rates(schedule, high, seed, images=5_000, tests=2_000, epochs=6):
    """At the end, {"train_loss": mean over the last 50 steps, "test_accuracy"}."""
    torch.manual_seed(seed)
    net = network()
    batches, held_out = garments(images, tests, seed)
    steps = epochs * len(batches)
    plan = [SCHEDULES[schedule](step, steps, LOW, high) for step in range(steps)]
    losses = list(descend(net, batches, plan))[-50:]
    accuracy = train.evaluate(net, held_out)
    return {"train_loss": sum(losses) / len(losses), "test_accuracy": accuracy}


# Wrong labels


def mislabelled(labels, rate, seed):
    """A copy of `labels` of which the share `rate` is wrong: other classes of ten, at
    random."""
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(len(labels), generator=generator)[
        : round(rate * len(labels))
    ]
    shifts = torch.randint(1, 10, wrong.shape, generator=generator)
    noisy = labels.clone()
    noisy[wrong] = (noisy[wrong] + shifts) % 10
    return noisy


def bootstrapped(beta, hard=False):
    """The loss of Reed and others, https://arxiv.org/abs/1412.6596: the target is
    `beta` of the label and 1 - `beta` of what the network says itself, its shares or,
    if `hard`, the class with the largest. Gradients flow through the shares."""

    def loss(logits, y):
        log_shares = logits.float().log_softmax(1)
        own = log_shares.exp()
        if hard:
            own = F.one_hot(own.argmax(1), own.shape[1]).to(own)
        label = F.one_hot(y, own.shape[1]).to(own)
        target = beta * label + (1 - beta) * own
        return -(target * log_shares).sum(1).mean()

    return loss


LOSSES = {
    "cross-entropy": F.cross_entropy,
    "soft, .95": bootstrapped(0.95),
    "soft, .6": bootstrapped(0.6),
    "hard, .8": bootstrapped(0.8, hard=True),
}
NOISE = (0, 0.2, 0.4, 0.6)


@torch.no_grad()
def answers(net, batches):
    """The classes that `net` gives to the pictures of `batches`, in order."""
    net.eval()
    with train.autocast(batches.device):
        return torch.cat([net(x).argmax(1) for x, _ in batches])


@experiment(
    "training-labels",
    [
        {"noise": noise, "loss": loss, "seed": seed}
        for noise, loss, seed in product(NOISE, LOSSES, SEEDS)
    ],
    (*COMMON, mislabelled, bootstrapped, answers, train.fit),
)
def labels(noise, loss, seed, images=1_600, tests=1_000, epochs=12):
    """After each epoch the accuracy on right labels of `tests`, that on the wrong and
    right ones of another 400 training pictures ("noisy_accuracy"), and the share of the
    wrong training labels that the network repeats ("learnt").

    AdamW at a constant 0.001, batches of 64.
    """
    torch.manual_seed(seed)
    device = train.device()
    known, held_out = data.fashion_mnist(images + images // 4, tests)
    noisy = mislabelled(known.labels, noise, seed)
    parts = slice(images), slice(images, None)
    mine, others = (data.Images(known.images[p], noisy[p]) for p in parts)
    batches = data.Batches(mine, 64, shuffle=True, seed=seed, device=device)
    in_order, other, right = (
        data.Batches(part, 1000, device=device) for part in (mine, others, held_out)
    )
    wrong = (noisy != known.labels)[:images]
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    found = {"test_accuracy": [], "noisy_accuracy": [], "learnt": []}
    run = train.fit(net, batches, right, epochs, optimizer, LOSSES[loss], "constant")
    for row in run:
        repeated = (answers(net, in_order).cpu() == mine.labels)[wrong]
        found["test_accuracy"].append(row.test_accuracy)
        found["noisy_accuracy"].append(train.evaluate(net, other))
        found["learnt"].append(repeated.float().mean().item() if noise else 0.0)
    return found


# Activations, and the same recipe many times


def one_run(net, seed, lr, images, tests, epochs):
    """Train with AdamW and one cycle; {"train_loss", "test_accuracy"} at the end."""
    batches, held_out = garments(images, tests, seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    *_, last = train.fit(net, batches, held_out, epochs, optimizer)
    return {"train_loss": last.train_loss, "test_accuracy": last.test_accuracy}


@experiment(
    "training-activations",
    [
        {"activation": activation, "norm": norm, "dense": dense, "seed": seed}
        for activation, norm, dense, seed in product(
            ACTIVATIONS, (True, False), ("own", "maxout"), SEEDS
        )
        if (activation, dense) != ("maxout", "own")
    ],
    (*COMMON, one_run, train.fit),
)
def activations(activation, norm, dense, seed, images=4_000, tests=2_000, epochs=3):
    """The network with another activation; `dense` is that of the dense layer, "own"
    the same as that of the convolutions."""
    torch.manual_seed(seed)
    net = network(activation, norm, activation if dense == "own" else dense)
    return one_run(net, seed, 2e-3, images, tests, epochs)


@experiment(
    "training-nothing",
    [{"lr": 0.005, "seed": seed} for seed in range(24)],
    (*COMMON, one_run, train.fit),
)
def nothing(lr, seed, images=4_000, tests=2_000, epochs=3):
    """One recipe, ReLU with batch normalisation, and many seeds."""
    torch.manual_seed(seed)
    return one_run(network(), seed, lr, images, tests, epochs)


# Branches that are dropped or frozen


def chosen(count):
    """A branch, drawn with a probability that grows as the square of its number."""
    squares = torch.arange(1.0, count + 1).square()
    return int(torch.multinomial(squares, 1))


def join_all(outputs):
    return sum(outputs)


def drop_path(outputs, share=0.15):
    """Each branch is missing in this share of the steps, but never all of them; the
    others make up for it. Larsson, Maire and Shakhnarovich, "FractalNet",
    https://arxiv.org/abs/1605.07648, which joins by means."""
    kept = torch.rand(len(outputs)) >= share
    kept[torch.randint(len(outputs), ())] |= not kept.any()
    there = [output for output, keep in zip(outputs, kept, strict=True) if keep]
    return sum(there) * (len(outputs) / len(there))


def freeze_drop_path(outputs):
    """The sum of the branches up to a chosen one, which alone gets a gradient. Smith
    and Topin, https://github.com/iPhysicist/CNNDesignPatterns, freeze_drop_path.cpp."""
    last = chosen(len(outputs))
    return sum(output.detach() for output in outputs[:last]) + outputs[last]


def its_drop(outputs):
    """Half of it: the same sum, and gradients for all that are in it."""
    return sum(outputs[: chosen(len(outputs)) + 1])


def its_freeze(outputs):
    """The other half: the sum of all, and a gradient for the chosen one alone."""
    last = chosen(len(outputs))
    frozen = [output.detach() for output in outputs]
    return sum([*frozen[:last], outputs[last], *frozen[last + 1 :]])


JOINS = {
    "all": join_all,
    "drop-path": drop_path,
    "freeze-drop-path": freeze_drop_path,
    "its drop alone": its_drop,
    "its freeze alone": its_freeze,
}


class Branches(nn.Module):
    """Branches of one, two and three convolutions, joined: (N, C, H, W) -> the same

    In evaluation mode the sum of all. Statistics are normalised before each ReLU, and
    at the end of each branch; the ReLU after the sum is shared.
    """

    def __init__(self, channels, join):
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(stage(channels, channels, "ReLU", True) for _ in range(length)),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
            )
            for length in range(3)
        )

    def forward(self, x):
        outputs = [branch(x) for branch in self.branches]
        return F.relu(self.join(outputs) if self.training else sum(outputs))


def branching(join):
    """Two blocks of three branches: (N, 1, 28, 28) -> (N, 10)"""
    net = OrderedDict(
        stem=stage(1, 16, "ReLU", True, nn.MaxPool2d(2)),  # (N, 16, 14, 14)
        block1=Branches(16, JOINS[join]),
        middle=stage(16, 32, "ReLU", True, nn.MaxPool2d(2)),  # (N, 32, 7, 7)
        block2=Branches(32, JOINS[join]),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        head=nn.Linear(32, 10),
    )
    return nn.Sequential(net).apply(init.he)


@experiment(
    "training-paths",
    [{"join": join, "seed": seed} for join, seed in product(JOINS, SEEDS)],
    (
        *(stage, Branches, branching, chosen, join_all, drop_path, freeze_drop_path),
        *(its_drop, its_freeze, garments, one_run, init.he, data.Batches, train.fit),
    ),
)
def paths(join, seed, images=4_000, tests=2_000, epochs=3):
    """Branches that are all trained, dropped, or frozen in turn."""
    torch.manual_seed(seed)
    return one_run(branching(join), seed, 5e-3, images, tests, epochs)


@experiment(
    "training-paths-longer",
    [
        {"join": join, "seed": seed}
        for join, seed in product(("all", "freeze-drop-path"), SEEDS)
    ],
    (
        *(stage, Branches, branching, chosen, join_all, freeze_drop_path),
        *(garments, one_run, init.he, data.Batches, train.fit),
    ),
)
def paths_longer(join, seed, images=4_000, tests=2_000, epochs=12):
    """The same with four times the steps."""
    torch.manual_seed(seed)
    return one_run(branching(join), seed, 5e-3, images, tests, epochs)
