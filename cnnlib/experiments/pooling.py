"""What pooling, head and training change when pictures move by a few pixels."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

MARGIN = 6  # pixels of background on each side: pictures of 40x40
DISTANCES = (0, 1, 2, 3, 4)
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
POOLINGS = {
    "max": (nn.MaxPool2d(2),),
    "average": (nn.AvgPool2d(2),),
    # what a convolution with stride 2 keeps of one with stride 1
    "stride": (nn.MaxPool2d(1, stride=2),),
}
HEADS = {
    "dense": lambda: (nn.Flatten(), nn.Linear(64 * 10 * 10, 10)),
    "average": lambda: (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
}


def conv(in_channels, out_channels):
    """Convolution and ReLU. The picture wraps around, so that the frame has no edge
    that stays where it is when the picture moves."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="circular")
    return layer, nn.ReLU()


def network(pooling, head):
    """(N, 1, 40, 40) -> (N, 10): three convolutions, the pooling behind two of them."""
    return nn.Sequential(
        *(*conv(1, 16), *POOLINGS[pooling]),
        *(*conv(16, 32), *POOLINGS[pooling]),
        *(*conv(32, 64), *HEADS[head]()),
    )


def with_margin(pictures):
    """Pictures with room to move: (N, 1, 28, 28) -> (N, 1, 40, 40)"""
    return data.Images(F.pad(pictures.images, [MARGIN] * 4), pictures.labels)


@torch.no_grad()
def answers(net, pictures, down=0, right=0):
    """The classes (N,) that `net` names when all pictures move by so many pixels."""
    net.eval()
    moved = pictures.images.roll((down, right), dims=(2, 3))
    moved = data.Images(moved, pictures.labels)
    said = []
    for x, _ in data.Batches(moved, 500, device=train.device()):
        with train.autocast(x.device):
            said.append(net(x).argmax(1))
    return torch.cat(said).cpu()


def under_shifts(net, pictures):
    """Accuracy, and share of the pictures that keep their class, when all pictures move
    by each of DISTANCES; means over the four directions."""
    still, accuracy, kept = answers(net, pictures), [], []
    for n in DISTANCES:
        said = torch.stack(
            [answers(net, pictures, n * y, n * x) for y, x in DIRECTIONS]
        )
        accuracy.append((said == pictures.labels).double().mean().item())
        kept.append((said == still).double().mean().item())
    return {"accuracy": accuracy, "kept": kept}


SETTINGS = [
    {"pooling": pooling, "head": head, "shifted": shifted, "seed": seed}
    for head, (pooling, shifted), seed in product(
        HEADS, [*product(POOLINGS, [0]), ("max", 4)], range(3)
    )
]
DEPENDS = (
    *(conv, network, with_margin, answers, under_shifts),
    *(init.he, data.Batches, train.fit),
)


@experiment("pooling-shifts", SETTINGS, DEPENDS)
def shifts(pooling, head, shifted, seed, images=10_000, tests=2_000, epochs=5):
    """Train on pictures that move at random by up to `shifted` pixels, test on
    pictures that all move: AdamW with a peak rate of 0.005, one cycle, He
    initialisation, batches of 128."""
    torch.manual_seed(seed)
    net = network(pooling, head).apply(init.he)
    training, test = map(with_margin, data.fashion_mnist(images, tests))
    device = train.device()
    batches = data.Batches(
        training, shuffle=True, crop=shifted, seed=seed, device=device
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    held_out = data.Batches(test, 500, device=device)
    list(train.fit(net, batches, held_out, epochs, optimizer))
    return under_shifts(net, test)
