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


class BlurPool(nn.Module):
    """(N, C, H, W) -> (N, C, H/2, W/2): the maximum of the 2x2 window at every place,
    then the weights 1, 2, 1 around every second place, both ways. It wraps around.

    Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019,
    https://arxiv.org/abs/1904.11486.
    """

    def forward(self, x):
        for dim in (2, 3):
            x = torch.maximum(x, x.roll(-1, dim))
        for dim in (2, 3):
            even, odd = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
            x = (odd.roll(1, dim) + 2 * even + odd) / 4
        return x


POOLINGS = {
    "max": (nn.MaxPool2d(2),),
    "average": (nn.AvgPool2d(2),),
    # what a convolution with stride 2 keeps of one with stride 1
    "stride": (nn.MaxPool2d(1, stride=2),),
    "blurred max": (BlurPool(),),
}
HEADS = {
    "dense": lambda: (nn.Flatten(), nn.Linear(64 * 10 * 10, 10)),
    "average": lambda: (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
}


def conv(in_channels, out_channels, padding):
    """Convolution and ReLU. With "circular" padding the picture wraps around, so that
    the frame has no edge that stays where it is when the picture moves."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)
    return layer, nn.ReLU()


def network(pooling, head, padding="circular"):
    """(N, 1, 40, 40) -> (N, 10): three convolutions, the pooling after two of them."""
    return nn.Sequential(
        *(*conv(1, 16, padding), *POOLINGS[pooling]),
        *(*conv(16, 32, padding), *POOLINGS[pooling]),
        *(*conv(32, 64, padding), *HEADS[head]()),
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


def fitted(net, training, test, epochs, shifted=0, seed=0):
    """`net` trained on pictures that move at random by up to `shifted` pixels, and its
    last row: AdamW with a peak rate of 0.005, one cycle, batches of 128."""
    device = train.device()
    batches = data.Batches(
        training, shuffle=True, crop=shifted, seed=seed, device=device
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    held_out = data.Batches(test, 500, device=device)
    *_, row = train.fit(net, batches, held_out, epochs, optimizer)
    return net, row


SETTINGS = [
    {"pooling": pooling, "head": head, "shifted": shifted, "seed": seed}
    for head, (pooling, shifted), seed in product(
        HEADS,
        [("max", 0), ("average", 0), ("stride", 0), ("max", 4)],
        range(3),
    )
]
DEPENDS = (
    *(BlurPool, conv, network, with_margin, answers, under_shifts, fitted),
    *(init.he, data.Batches, train.fit),
)


@experiment("pooling-shifts", SETTINGS, DEPENDS)
def shifts(pooling, head, shifted, seed, padding="circular", epochs=5):
    """Train with He initialisation on pictures that move at random by up to `shifted`
    pixels, test on pictures that all move."""
    torch.manual_seed(seed)
    net = network(pooling, head, padding).apply(init.he)
    training, test = map(with_margin, data.fashion_mnist())
    net, _ = fitted(net, training, test, epochs, shifted, seed)
    return under_shifts(net, test)


REMEDIES = [
    {"pooling": pooling, "padding": padding, "seed": seed}
    for seed, (pooling, padding) in product(
        range(2), [("blurred max", "circular"), ("max", "zeros")]
    )
]


@experiment("pooling-remedies", REMEDIES, (*DEPENDS, shifts.run))
def remedies(pooling, padding, seed):
    """`shifts` with a global average, a blur or the usual padding."""
    return shifts(
        pooling=pooling, head="average", shifted=0, seed=seed, padding=padding
    )
