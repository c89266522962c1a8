"""Network in Network: what keeps it from learning."""

from collections import OrderedDict
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.nin import average, mlpconv


def as_built(module):
    """PyTorch's default: weights and biases uniform in +-1 / sqrt(fan_in)."""


INITS = {"PyTorch": as_built, "Glorot": init.glorot, "He": init.he}
OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}


def sgd(lr):
    return {"optimizer": "SGD", "lr": lr, "schedule": "constant"}


def grid(conditions):
    """Settings with and without the last ReLU and five seeds for each condition."""
    return [
        {"initial": initial, "relu": relu, "bias": bias, **recipe, "seed": seed}
        for (initial, bias, recipe), relu, seed in product(
            conditions, (True, False), range(5)
        )
    ]


# (initialisation, bias of the class maps or None for the initialisation's, recipe)
STARTS = [
    ("PyTorch", None, sgd(0.1)),
    ("Glorot", None, sgd(0.1)),
    ("He", None, sgd(0.1)),
    ("Glorot", None, sgd(0.3)),
]


def nin_at_28(relu=True):
    """The notes' network for 28x28 pixels: (N, 1, 28, 28) -> (N, 10).

    Their four blocks with a sixth of the widths (an eighth in the second) and without
    the third pooling; the last block keeps its ten channels throughout. With
    `relu=False` the class maps are not rectified.
    """
    end = mlpconv(64, (10, 10, 10), 3, padding=1)
    net = OrderedDict(
        block1=mlpconv(1, (16, 16, 16), 5, stride=2, padding=2),  # (N, 16, 14, 14)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 16, 7, 7)
        block2=mlpconv(16, (32, 32, 32), 5, padding=2),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 32, 3, 3)
        block3=mlpconv(32, (64, 64, 64), 3, padding=1),
        dropout=nn.Dropout(0.5),
        block4=end if relu else end[:-1],  # (N, 10, 3, 3)
        head=average(),
    )
    return nn.Sequential(net)


def signs_of_life(net, x, y):
    """(alive, gradients): how many class maps are positive anywhere in the batch, and
    the norm of the loss's gradient in each block."""
    net.eval()
    maps = net[:-1](x)
    net.zero_grad()
    F.cross_entropy(net.head(maps), y).backward()
    blocks = [b for name, b in net.named_children() if name.startswith("block")]
    norms = [nn.utils.get_total_norm(p.grad for p in b.parameters()) for b in blocks]
    net.zero_grad()
    return int((maps.amax((0, 2, 3)) > 0).sum()), [norm.item() for norm in norms]


DEPENDS = (
    *(nin_at_28, signs_of_life, mlpconv, average, init.glorot, init.he),
    *(data.Batches, train.fit, train.evaluate),
)


@experiment("nin-start", grid(STARTS), DEPENDS)
def start(
    initial,
    relu,
    bias,
    optimizer,
    lr,
    schedule,
    seed,
    images=10_000,
    tests=1_000,
    epochs=6,
):
    """Train `nin_at_28`, batches of 128, and look for signs of life in 500 test images
    before the first and after every epoch. A run that diverges ends early."""
    torch.manual_seed(seed)
    net = nin_at_28(relu).apply(INITS[initial])
    if bias is not None:
        nn.init.constant_(net.block4[4].bias, bias)
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 500, device=device)
    net.to(device)
    x, y = next(iter(held_out))
    life, losses, accuracies = [signs_of_life(net, x, y)], [], []
    opt = OPTIMIZERS[optimizer](net.parameters(), lr=lr)
    try:
        for row in train.fit(net, batches, held_out, epochs, opt, schedule=schedule):
            losses.append(row.train_loss)
            accuracies.append(row.test_accuracy)
            life.append(signs_of_life(net, x, y))
    except FloatingPointError:
        pass
    alive, gradients = zip(*life, strict=True)
    with torch.no_grad():
        named = len(net(x).argmax(1).unique())
    return {
        **{"train_loss": losses, "test_accuracy": accuracies},
        **{"alive": alive, "gradients": gradients, "named": named},
    }
