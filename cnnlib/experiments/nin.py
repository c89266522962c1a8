"""Network in Network: four ends of a network, trained on few pictures to the end."""

from collections import OrderedDict
from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.nin import average, mlpconv


def dense_end(dropout):
    """(N, 64, 7, 7) -> (N, 10): AlexNet's end with 256 units in its layers."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(64 * 7 * 7, 256), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(256, 10),
    )


def maps_end(*head):
    """(N, 64, 7, 7) -> (N, 10): a map per class, not rectified, and `head`."""
    return nn.Sequential(mlpconv(64, (64, 64, 10), 3, padding=1)[:-1], *head)


ENDS = {
    "dense": lambda: dense_end(0.0),
    "dense, dropout": lambda: dense_end(0.5),
    "maps, dense": lambda: maps_end(nn.Flatten(), nn.Linear(10 * 7 * 7, 10)),
    "maps, average": lambda: maps_end(average()),
}


def network(end):
    """Two blocks and one of `ENDS`, He's weights: (N, 1, 28, 28) -> (N, 10)"""
    stages = OrderedDict(
        block1=mlpconv(1, (32, 32, 32), 5, stride=2, padding=2),  # (N, 32, 14, 14)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 32, 7, 7)
        block2=mlpconv(32, (64, 64, 64), 5, padding=2),
        end=ENDS[end](),
    )
    return nn.Sequential(stages).apply(init.he)


@experiment(
    "nin-ends",
    [{"end": end, "seed": seed} for end, seed in product(ENDS, range(3))],
    (
        *(network, dense_end, maps_end, mlpconv, average, init.he),
        *(data.Batches, train.fit, train.evaluate),
    ),
)
def ends(end, seed, images=500, tests=2_000, epochs=120, every=10):
    """Train on few pictures, AdamW with a peak of 0.003, one cycle; the training loss
    after every epoch, both accuracies after each `every`."""
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    torch.manual_seed(seed)
    net = network(end)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 500, device=device)
    glimpse = data.Batches(data.Images(test.images[:1], test.labels[:1]), device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses, known, new = [], [], []
    for row in train.fit(net, batches, glimpse, epochs, optimizer):
        losses.append(row.train_loss)
        if row.epoch % every == 0:
            known.append(train.evaluate(net, batches))
            new.append(train.evaluate(net, held_out))
    return {"train_loss": losses, "train_accuracy": known, "test_accuracy": new}
