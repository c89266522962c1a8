"""What sharing weights buys, and whether a separable convolution works."""

from functools import cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

KINDS = ("dense", "local", "tied at random", "convolution", "wide convolution")


class Windows(nn.Module):
    """(N, C, H, W) -> (N, out_channels, side, side); every value reads one window.

    `table` (out_channels, C * kernel_size ** 2, side ** 2) says which of the layer's
    weights stands where. With all its numbers different the layer is locally connected,
    with the same numbers at every place it is a convolution.
    """

    def __init__(self, table, kernel_size, stride):
        super().__init__()
        self.register_buffer("table", table)
        self.kernel_size, self.stride = kernel_size, stride
        std = (2 / table.shape[1]) ** 0.5  # He's, by the values in a window
        self.weight = nn.Parameter(std * torch.randn(int(table.max()) + 1))

    def forward(self, x):
        windows = F.unfold(x, self.kernel_size, stride=self.stride)
        y = torch.einsum("nip,oip->nop", windows, self.weight[self.table])
        return y.unflatten(2, (-1, int(y.shape[2] ** 0.5)))


def layer(kind, in_channels, out_channels, size):
    """A 5x5 layer of stride 2 without biases, on maps of `size` x `size`."""
    side = (size - 5) // 2 + 1
    if kind == "dense":
        weights = nn.Linear(in_channels * size**2, out_channels * side**2, bias=False)
        init.he(weights)
        return nn.Sequential(
            nn.Flatten(), weights, nn.Unflatten(1, (out_channels, side, side))
        )
    if kind in ("convolution", "wide convolution"):
        return nn.Conv2d(in_channels, out_channels, 5, 2, bias=False).apply(init.he)
    shape = out_channels, in_channels * 25, side**2
    if kind == "local":
        table = torch.arange(shape[0] * shape[1] * shape[2]).view(shape)
    else:
        table = torch.randint(shape[0] * shape[1], shape)
    return Windows(table, 5, 2)


def classifier(kind, head="flat"):
    """Two layers of that kind, 28x28 -> 12x12 -> 4x4, and a dense one, which reads all
    places ("flat") or the largest value of each map ("maximum")."""
    first, second = (32, 64) if kind == "wide convolution" else (8, 16)
    read = {"flat": (), "maximum": (nn.AdaptiveMaxPool2d(1),)}[head]
    places = 16 if head == "flat" else 1
    return nn.Sequential(
        layer(kind, 1, first, 28),
        nn.ReLU(),
        layer(kind, first, second, 12),
        nn.ReLU(),
        *read,
        nn.Flatten(),
        nn.Linear(second * places, 10).apply(init.he),
    )


def anywhere(pictures, seed):
    """The pictures at half their size, each at a random place of a black 28x28."""
    small = F.avg_pool2d(pictures.images.float(), 2).round().to(torch.uint8)
    stream = torch.Generator().manual_seed(seed)
    moved = torch.zeros_like(pictures.images)
    corners = torch.randint(15, (len(small), 2), generator=stream).tolist()
    for picture, drawn, (top, left) in zip(moved, small, corners, strict=True):
        picture[:, top : top + 14, left : left + 14] = drawn
    return data.Images(moved, pictures.labels)


pictures = cache(data.fashion_mnist)  # the runs share them
SIZES = {"centred": (100, 1_000, 10_000), "anywhere": (10_000,)}  # of training sets
SETTINGS = [
    {"place": place, "kind": kind, "images": images, "seed": seed}
    for place, sizes in SIZES.items()
    for kind, images, seed in product(KINDS, sizes, range(3))
]
DEPENDS = (Windows, layer, classifier, anywhere, init.he, data.Batches)
DEPENDS += (train.fit, train.evaluate)


@experiment("channels-sharing", SETTINGS, DEPENDS)
def sharing(
    place, kind, images, seed, head="flat", pool=60_000, tests=10_000, shown=50_000
):
    """Training loss and test accuracy of a classifier trained on `images` pictures.

    They are drawn at random from the first `pool` and repeated until `shown` have been
    shown, so every run takes as many steps. AdamW with a peak learning rate of 0.005,
    one cycle, batches of 128.
    """
    training, test = pictures(pool, tests)
    stream = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(pool, generator=stream)[:images]
    training = data.Images(training.images[drawn], training.labels[drawn])
    if place == "anywhere":
        training, test = anywhere(training, seed), anywhere(test, seed=1_000_000)
    often = torch.arange(images).repeat(shown // images)
    training = data.Images(training.images[often], training.labels[often])
    torch.manual_seed(seed)
    net = classifier(kind, head)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    held_out = data.Batches(test, 500, device=device)
    (row,) = train.fit(net, batches, held_out, 1, optimizer)
    return {"train_loss": row.train_loss, "test_accuracy": row.test_accuracy}


NETWORKS = (
    *(("dense", "flat"), ("convolution", "flat"), ("wide convolution", "flat")),
    *(("convolution", "maximum"), ("wide convolution", "maximum")),
    ("tied at random", "maximum"),  # as many weights, the same head
)
READING = [
    {"kind": kind, "head": head, "images": images, "seed": seed}
    for (kind, head), images, seed in product(NETWORKS, SIZES["centred"], range(3))
]


@experiment("channels-anywhere", READING, (*DEPENDS, sharing.run))
def reading(kind, head, images, seed):
    """`sharing` with small pictures anywhere, by what reads the maps; only pictures
    that come with the package."""
    return sharing(
        place="anywhere",
        kind=kind,
        head=head,
        images=images,
        seed=seed,
        pool=10_000,
        tests=2_000,
    )


def block(kind, in_channels, out_channels):
    """(N, in_channels, H, W) -> (N, out_channels, H, W)"""
    if kind == "full":
        return nn.Conv2d(in_channels, out_channels, 3, padding=1)
    if kind == "depthwise":
        return nn.Conv2d(in_channels, out_channels, 3, padding=1, groups=in_channels)
    if kind == "1x1":
        return nn.Conv2d(in_channels, out_channels, 1)
    look = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
    between = [nn.ReLU()] if kind == "ReLU between" else []
    return nn.Sequential(look, *between, nn.Conv2d(in_channels, out_channels, 1))


def small_network(kind):
    """A stem, two blocks of that kind and a dense layer."""
    first, second = (64, 128) if kind == "wide separable" else (32, 64)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (N, 16, 14, 14)
        nn.ReLU(),
        block(kind, 16, first),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 7, 7)
        block(kind, first, second),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 64, 3, 3)
        nn.Flatten(),
        nn.Linear(second * 9, 10),
    )


# Separable blocks are linear between their halves, but for "ReLU between".
BLOCKS = ("full", "separable", "ReLU between", "wide separable", "depthwise", "1x1")
BLOCK_SETTINGS = [
    {"kind": kind, "seed": seed} for kind, seed in product(BLOCKS, range(3))
]


@experiment(
    "channels-separable",
    BLOCK_SETTINGS,
    (block, small_network, init.he, data.Batches, train.fit, train.evaluate),
)
def separable(kind, seed, images=10_000, tests=10_000, epochs=5):
    """Test accuracy after each epoch with blocks of that kind.

    He's initialisation, AdamW with a peak learning rate of 0.01, one cycle, batches of
    128.
    """
    training, test = pictures(images, tests)
    torch.manual_seed(seed)
    net = small_network(kind).apply(init.he)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    held_out = data.Batches(test, 500, device=device)
    rows = train.fit(net, batches, held_out, epochs, optimizer)
    return {"test_accuracy": [row.test_accuracy for row in rows]}
