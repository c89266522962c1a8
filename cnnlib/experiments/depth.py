"""Networks of 6n + 2 layers and others, trained until they fit, and kept."""

from pathlib import Path

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from cnnlib import data, init, train
from cnnlib.experiments import Experiment, experiment, fingerprint
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.resnet import (
    Residual,
    conv_bn,
    residual_stages,
    resnet_head,
    two_layers,
    without_shortcut,
)
from cnnlib.models.resnet_cifar import (
    WIDTHS,
    Subsampled,
    Sum,
    _body,
    _network,
    plain_cifar,
    pre_activation,
    preact_cifar,
    residual,
    resnet_cifar,
    shortcut,
)
from cnnlib.models.vgg import vgg_stage, vgg_stages
from cnnlib.train import checkpoints


def stochastic_cifar(depth, in_channels):
    """The residual network, its blocks left out at random in training, the last one
    every second time and those before it more and more rarely: Huang et al., "Deep
    Networks with Stochastic Depth", ECCV 2016, https://arxiv.org/abs/1603.09382"""
    net = resnet_cifar(depth, in_channels)
    blocks = [block for block in net.modules() if isinstance(block, Residual)]
    for number, block in enumerate(blocks, start=1):
        block.path.append(StochasticDepth(0.5 * number / len(blocks), "batch"))
    return net


def vgg(depth, in_channels):
    """Convolutions without shortcut and normalisation, and three dense layers."""
    body = vgg_stages([((depth - 3) // 3, width) for width in WIDTHS], in_channels)
    return nn.Sequential(body | dense_layers(64 * 3 * 3, 128, 10))


def stem_alone(depth, in_channels):
    """The plain network without its stages: a convolution and a dense layer."""
    net = plain_cifar(8, in_channels)
    return nn.Sequential(net.stem, resnet_head(WIDTHS[0], 10))


SERIES = ("plain", "residual")
KINDS = dict(zip(SERIES, (plain_cifar, resnet_cifar), strict=True))
KINDS |= {
    "pre-activation": preact_cifar,
    "stochastic depth": stochastic_cifar,
    "VGG": vgg,
    "stem": stem_alone,
}
RUNS = Path("runs", "experiments")  # trained networks, for the experiments with them


def runs(seed, *names, rate=0.1):
    """Settings for networks called "plain-20" and the like."""
    pairs = [name.rsplit("-", 1) for name in names]
    return [
        {"kind": kind, "depth": int(depth), "seed": seed, "rate": rate}
        for kind, depth in pairs
    ]


DEPTH_SETTINGS = [
    setting
    for seed in range(3)
    for setting in runs(seed, *(f"{k}-{d}" for d in (20, 56) for k in SERIES), "stem-2")
]
DEPTH_SETTINGS += runs(0, *(f"{kind}-8" for kind in SERIES))
DEPTH_SETTINGS += runs(0, "plain-56", rate=0.03)
DEPTH_SETTINGS += runs(0, *(f"{kind}-32" for kind in SERIES))
CODE = (
    *(stochastic_cifar, stem_alone, vgg, vgg_stages, vgg_stage, dense_layers),
    *(plain_cifar, resnet_cifar, _body, _network, residual, shortcut),
    *(Subsampled, Residual, conv_bn, two_layers, without_shortcut, residual_stages),
    *(resnet_head, init.he, data.Batches, train.fit, train.evaluate),
)


def recipe(kind, depth, seed, rate=0.1, images=10_000, batch_size=64, moved=True):
    """A network with He's initial weights, its batches and its optimiser.

    Stochastic gradient descent with momentum 0.9 and weight decay 0.0001 as in the
    paper; of the pictures, where they are `moved`, windows of a margin of two pixels,
    half of them mirrored.
    """
    torch.manual_seed(seed)
    net = KINDS[kind](depth, in_channels=1).apply(init.he)
    batches = data.Batches(
        data.fashion_mnist(images, 1)[0],
        batch_size,
        shuffle=True,
        flip=moved,
        crop=2 * moved,
        device=train.device(),
        seed=seed,
    )
    rule = {"lr": rate, "momentum": 0.9, "weight_decay": 1e-4}
    return net, batches, torch.optim.SGD(net.parameters(), **rule)


def curves(net, batches, optimizer, epochs, tests=2_000, folder=None):
    """Train `net` for `epochs`, one cycle of the learning rate; what each epoch left.

    The training loss is the mean over the epoch. The errors are measured after it, in
    eval mode: on the first 2,000 training pictures as they are, and on `tests` pictures
    that were not trained on. In `folder` a run that was stopped goes on after its last
    whole epoch.
    """
    seen = data.Images(batches.images[:2_000], batches.labels[:2_000])
    seen = data.Batches(seen, 500, device=batches.device)
    unseen = data.Batches(data.fashion_mnist(1, tests)[1], 500, device=batches.device)
    found = {"train_loss": [], "train_error": [], "test_error": []}
    if folder and (state := checkpoints.latest(folder)):
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        batches.generator.set_state(state["order"])
        torch.set_rng_state(state["random"])
        found = state["found"]
    done = len(found["train_loss"])
    net.to(batches.device)
    for row in train.fit(net, batches, seen, epochs, optimizer, done=done):
        found["train_loss"].append(row.train_loss)
        found["train_error"].append(1 - row.test_accuracy)
        found["test_error"].append(1 - train.evaluate(net, unseen))
        if folder:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"order": batches.generator.get_state(), "found": found}
            state["random"] = torch.get_rng_state()
            checkpoints.save(folder, row.epoch, state)
    return found


def to_the_end(kind, depth, seed, rate=0.1, epochs=20, **size):
    """The network trained on 10,000 pictures until it fits, in eval mode, its batches
    and its `curves`. It is kept in RUNS and trained once."""
    net, batches, optimizer = recipe(kind, depth, seed, rate, **size)
    setting = [kind, depth, seed, rate, epochs, size]
    mark = fingerprint(Experiment("", curves, setting, (recipe, *CODE)))
    folder = RUNS / f"{kind}-{depth}-{seed}-{mark}"
    found = curves(net, batches, optimizer, epochs, folder=folder)
    return net.eval(), batches, found


@experiment("depth", DEPTH_SETTINGS, (recipe, curves, *CODE))
def depth_series(kind, depth, seed, rate, tests=10_000, **size):
    """The curves of one network and, at the end, its errors on all training pictures
    and on all test pictures."""
    net, batches, found = to_the_end(kind, depth, seed, rate, **size)
    seen = data.Batches((batches.images, batches.labels), 500, device=batches.device)
    unseen = data.Batches(data.fashion_mnist(1, tests)[1], 500, device=batches.device)
    rounded = {name: [round(v, 5) for v in values] for name, values in found.items()}
    return rounded | {
        "end_train_error": 1 - train.evaluate(net, seen),
        "end_test_error": 1 - train.evaluate(net, unseen),
    }


# Beside the networks above, by the same recipe; an experiment of its own, for the code
# of its blocks is none of theirs. Those above had bfloat16: the controls are trained
# again, on the same machine and in the same precision as these.
CONTROLS = [
    run for seed in range(3) for run in runs(seed, "residual-20", "residual-56")
]
PRE_ACTIVATION_SETTINGS = [
    *runs(0, *(f"pre-activation-{d}" for d in (8, 20, 32, 56))),
    *runs(1, "pre-activation-20", "pre-activation-56"),
    *runs(2, "pre-activation-20", "pre-activation-56"),
]
pre_activation_series = experiment(
    "depth-pre-activation",
    PRE_ACTIVATION_SETTINGS + CONTROLS,
    (*(recipe, curves, *CODE), *(preact_cifar, pre_activation, Sum)),
)(depth_series.run)
