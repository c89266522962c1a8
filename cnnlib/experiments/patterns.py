"""Smith and Topin's design patterns, each network of theirs against its control.

Smith and Topin, "Deep Convolutional Neural Network Design Patterns", 2016,
https://arxiv.org/abs/1611.00847.
"""

from collections import OrderedDict
from functools import reduce

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.resnet import conv_bn, resnet_head

SEEDS = range(3)


def conv(in_channels, out_channels, kernel=3, stride=1):
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, kernel, stride), nn.ReLU())


def pictures(images=4_000, tests=2_000):
    """The first `images` garments to train on. Held out are the test pictures and what
    is left of the 10,000 training pictures."""
    training, test = data.fashion_mnist(10_000, tests)
    mine = data.Images(*(part[:images] for part in training))
    pairs = zip(training, test, strict=True)
    return mine, data.Images(*(torch.cat([a[images:], b]) for a, b in pairs))


def learnt(net, seed, images=4_000, epochs=6):
    """Train `net`, in place; its training loss after each epoch.

    AdamW with a peak rate of 0.005, one cycle, batches of 128.
    """
    mine, held_out = pictures(images)
    device = train.device()
    batches = data.Batches(mine, 128, shuffle=True, seed=seed, device=device)
    few = data.Batches(data.Images(*(part[:200] for part in held_out)), device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    return [row.train_loss for row in train.fit(net, batches, few, epochs, optimizer)]


def accuracy(net, images=4_000, altered=lambda x: x):
    """Share of the held-out pictures, `altered`, that `net` puts into their class."""
    _, held_out = pictures(images)
    batches = data.Batches(held_out, 500, device=train.device())
    return train.evaluate(nn.Sequential(Altered(altered), net), batches)


class Altered(nn.Module):
    """A function of a batch as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


LEARNT = (
    *(conv, conv_bn, resnet_head, pictures, learnt, accuracy, Altered, init.he),
    *(data.Batches, train.fit, train.evaluate),
)

# 5 and 11: how wide at which depth? Channels of the three stages of two convolutions.
SHAPES = {
    "pyramid": (16, 32, 64),
    "constant": (21, 21, 21),
    "inverted": (23, 12, 6),
    "inverted, wide end": (21, 10, 64),
    "isotropic": (29,),
    "constant, wider": (37, 37, 37),
    "pyramid, half": (8, 16, 32),
    "pyramid, double": (32, 64, 128),
}


def shaped(widths):
    """(N, 1, 28, 28) -> (N, 10): seven convolutions and a dense layer.

    Stages with maps of 14x14, 7x7 and 3x3; with a single width all maps have 7x7, made
    of patches of 4x4 pixels.
    """
    if len(widths) == 1:
        layers = [conv(1, *widths, kernel=4, stride=4)]
        layers[0][0].padding = (0, 0)  # (N, width, 7, 7)
        layers += [conv(*widths, *widths) for _ in range(6)]
    else:
        layers, before = [conv(1, widths[0])], widths[0]
        for width in widths:
            layers += [nn.MaxPool2d(2), conv(before, width), conv(width, width)]
            before = width
    return nn.Sequential(*layers, *resnet_head(widths[-1], 10)).apply(init.he)


@experiment(
    "patterns-shape",
    [{"shape": shape, "seed": seed} for shape in SHAPES for seed in SEEDS],
    (*LEARNT, shaped),
)
def shape(shape, seed, images=4_000, epochs=6):
    """Pyramid, constant or inverted widths at equal costs?"""
    torch.manual_seed(seed)
    net = shaped(SHAPES[shape])
    losses = learnt(net, seed, images, epochs)
    return {"train_loss": losses, "accuracy": accuracy(net, images)}


# 3 and 13: ways to halve the maps. Name: width of the first stage
HALVINGS = {
    "pool, then convolution": 12,
    "strided convolution": 12,
    "convolution for a pool": 12,
    "pool and strided": 13,
}


class Both(nn.Module):
    """The channels of two branches, one set after the other."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def halving(way, channels):
    """(N, channels, H, W) -> (N, 2 channels, H/2, W/2)"""
    if way == "pool, then convolution":
        return nn.Sequential(nn.MaxPool2d(2), conv(channels, 2 * channels))
    if way == "strided convolution":
        return conv(channels, 2 * channels, stride=2)
    if way == "convolution for a pool":
        smaller = conv(channels, channels, stride=2)
        return nn.Sequential(smaller, conv(channels, 2 * channels))
    return Both(nn.MaxPool2d(2), conv(channels, channels, stride=2))


def halved(way):
    """(N, 1, 28, 28) -> (N, 10): maps of 28x28, 14x14 and 7x7 pixels."""
    width = HALVINGS[way]
    net = OrderedDict(
        stem=conv(1, width),
        halving1=halving(way, width),  # (N, 2 width, 14, 14)
        conv1=conv(2 * width, 2 * width),
        halving2=halving(way, 2 * width),  # (N, 4 width, 7, 7)
        conv2=conv(4 * width, 4 * width),
        head=resnet_head(4 * width, 10),
    )
    return nn.Sequential(net).apply(init.he)


@experiment(
    "patterns-halving",
    [{"way": way, "seed": seed} for way in HALVINGS for seed in SEEDS],
    (*LEARNT, Both, halving, halved),
)
def halvings(way, seed, images=4_000, epochs=6):
    """Which way to halve the maps is best?"""
    torch.manual_seed(seed)
    net = halved(way)
    losses = learnt(net, seed, images, epochs)
    return {"train_loss": losses, "accuracy": accuracy(net, images)}


# 7: does the training set cover what the test asks for?
# Name: (share that is flipped, pixels of shift, degrees of turning)
CHANGES = {
    "as they are": (0, 0, 0),
    "flipped": (0.5, 0, 0),
    "shifted": (0, 4, 0),
    "turned a little": (0, 0, 30),
    "turned all round": (0, 0, 180),
}


class Changed(nn.Module):
    """Each picture flipped left to right, shifted and turned at random; in evaluation
    mode, or with `always`, all of them flipped if any are.

    Shifts are whole pixels, up to `shift` in each direction; turns up to `turn`
    degrees about the centre. What comes in from outside is black.
    """

    BLACK = -data.MEAN / data.STD

    def __init__(self, flip, shift, turn, seed=0, always=False):
        super().__init__()
        self.flip, self.shift, self.turn, self.always = flip, shift, turn, always
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x):
        if not (self.training or self.always):
            return x
        random = torch.rand(4, len(x), generator=self.generator)
        share = float(self.flip > 0) if self.always else self.flip
        mirror = 1 - 2 * (random[0] < share).float()
        angle = (2 * random[1] - 1) * self.turn * torch.pi / 180
        shifts = (random[2:] * (2 * self.shift + 1)).floor() - self.shift
        across, down = 2 * shifts / x.shape[-1]
        rows = [
            torch.stack([mirror * angle.cos(), -angle.sin(), across], 1),
            torch.stack([mirror * angle.sin(), angle.cos(), down], 1),
        ]
        grid = F.affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
        bright = x.contiguous() - self.BLACK
        return (
            F.grid_sample(bright, grid.to(x.device), align_corners=False) + self.BLACK
        )


@experiment(
    "patterns-cover",
    [{"changes": changes, "seed": seed} for changes in CHANGES for seed in SEEDS],
    (*LEARNT, shaped, Changed),
)
def cover(changes, seed, images=4_000, epochs=6):
    """Train on pictures changed in one way, test on each: {test: accuracy}."""
    torch.manual_seed(seed)
    net = shaped(SHAPES["pyramid"])
    changing = nn.Sequential(Changed(*CHANGES[changes], seed), net)
    losses = learnt(changing, seed, images, epochs)
    shares = {
        test: accuracy(net, images, Changed(*CHANGES[test], seed=99, always=True))
        for test in CHANGES
    }
    return {"train_loss": losses, "accuracy": shares}


# 8 and 6: shortcuts over how many layers, and paths that are dropped
LENGTHS = (1, 2, 4, 8, 16)


class Skip(nn.Module):
    """relu(x + path(x)) over `length` 3x3 convolutions. In training the path is left
    out for a share `drop` of the pictures, and scaled up for the others."""

    def __init__(self, channels, length, drop=0.0):
        super().__init__()
        layers = [conv(channels, channels) for _ in range(length)]
        layers[-1] = layers[-1][:-1]  # no ReLU before the sum
        self.path, self.drop = nn.Sequential(*layers), drop

    def forward(self, x):
        path = self.path(x)
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            path = path * kept / (1 - self.drop)
        return F.relu(x + path)


def skipping(length, layers=32, channels=16, drop=0.0, dropout=0.0):
    """(N, 1, 28, 28) -> (N, 10): patches of 4x4 pixels, `layers` convolutions with a
    shortcut over every `length` of them, and a dense layer. Length 0: no shortcut."""
    patches = nn.Sequential(*conv_bn(1, channels, 4, 4), nn.ReLU())
    patches[0].padding = (0, 0)  # (N, channels, 7, 7)
    if length:
        body = [Skip(channels, length, drop) for _ in range(layers // length)]
    else:
        body = [conv(channels, channels) for _ in range(layers)]
    *pool, dense = resnet_head(channels, 10)
    head = nn.Sequential(*pool, nn.Dropout(dropout), dense)
    net = OrderedDict(patches=patches, body=nn.Sequential(*body), head=head)
    return nn.Sequential(net).apply(init.he)


@experiment(
    "patterns-skips",
    [{"length": length, "seed": seed} for length in (*LENGTHS, 0) for seed in SEEDS],
    (*LEARNT, Skip, skipping),
)
def skips(length, seed, images=4_000, epochs=4):
    """How long may a shortcut be? Accuracy of the network, and of what is left of it
    without the first half of its 32 layers."""
    torch.manual_seed(seed)
    net = skipping(length)
    losses = learnt(net, seed, images, epochs)
    whole = accuracy(net, images)
    net.body = net.body[len(net.body) // 2 :]
    half = accuracy(net, images)
    return {"train_loss": losses, "accuracy": whole, "second_half": half}


# 6: a harder problem than necessary. Name: (share of paths, share of features dropped)
HARDSHIPS = {"none": (0.0, 0.0), "drop-path": (0.3, 0.0), "dropout": (0.0, 0.5)}
FEW_AND_MANY = {500: 48, 4_000: 6}  # pictures: epochs, the same number of steps


@experiment(
    "patterns-harder",
    [
        {"hardship": hardship, "images": images, "seed": seed}
        for images in FEW_AND_MANY
        for hardship in HARDSHIPS
        for seed in SEEDS
    ],
    (*LEARNT, Skip, skipping),
)
def harder(hardship, images, seed, epochs=None):
    """Does it help to make training harder, with few pictures and with many?"""
    torch.manual_seed(seed)
    drop, dropout = HARDSHIPS[hardship]
    net = skipping(2, layers=8, channels=24, drop=drop, dropout=dropout)
    losses = learnt(net, seed, images, epochs or FEW_AND_MANY[images])
    return {"train_loss": losses, "accuracy": accuracy(net, 4_000)}


# 14: branches that compete. Name: (kernels, how they are joined)
JOINS = {
    "maxout of 3, 5, 7": ((3, 5, 7), "max"),
    "mean of 3, 5, 7": ((3, 5, 7), "mean"),
    "maxout of 5, 5, 5": ((5, 5, 5), "max"),
}
SCALES = (0.6, 0.8, 1.0, 1.2, 1.4)
FRAME = 40  # pixels, so that a garment of 28 can grow by 1.4


class Branches(nn.Module):
    """Convolutions with batch normalisation and other kernels, joined value by value:
    (N, in_channels, H, W) -> (N, out_channels, H, W)"""

    def __init__(self, in_channels, out_channels, kernels, join):
        super().__init__()
        branches = [conv_bn(in_channels, out_channels, kernel) for kernel in kernels]
        self.branches, self.join = nn.ModuleList(branches), join

    def forward(self, x):
        values = [branch(x) for branch in self.branches]
        if self.join == "max":
            return reduce(torch.maximum, values)
        return sum(values) / len(values)


def competing(join):
    """(N, 1, H, W) -> (N, 10): a stem and two layers of branches."""
    kernels, how = JOINS[join]
    net = OrderedDict(
        stem=nn.Sequential(conv(1, 8), nn.MaxPool2d(2)),
        compete1=nn.Sequential(Branches(8, 8, kernels, how), nn.ReLU()),
        pool1=nn.MaxPool2d(2),
        compete2=nn.Sequential(Branches(8, 16, kernels, how), nn.ReLU()),
        head=resnet_head(16, 10),
    )
    return nn.Sequential(net).apply(init.he)


def scaled(x, scale):
    """Garments in the middle of a black frame, `scale` times as large:
    (N, 1, 28, 28) -> (N, 1, 40, 40)"""
    theta = torch.tensor([[FRAME / 28, 0, 0], [0, FRAME / 28, 0]]) / scale
    shape = (len(x), 1, FRAME, FRAME)
    grid = F.affine_grid(theta.expand(len(x), 2, 3), shape, align_corners=False)
    bright = x.contiguous() - Changed.BLACK
    return F.grid_sample(bright, grid.to(x.device), align_corners=False) + Changed.BLACK


@torch.no_grad()
def winners(net, x):
    """Share of the values at which each branch has the largest one, in the first layer
    of branches and at the places with a garment; the rest of the frame is black."""
    net.eval()
    layer = net.compete1[0]
    garment = F.max_pool2d(x, 2) > Changed.BLACK + 0.1  # (N, 1, 20, 20)
    with train.autocast(x.device):
        values = torch.stack([branch(net.stem(x)) for branch in layer.branches])
    winner = values.argmax(0)  # (N, C, 20, 20)
    counts = winner[garment.expand_as(winner)].bincount(minlength=len(values))
    return (counts / counts.sum()).tolist()


@experiment(
    "patterns-maxout",
    [{"join": join, "seed": seed} for join in JOINS for seed in SEEDS],
    (*LEARNT, Changed, Branches, competing, scaled, winners),
)
def maxout(join, seed, images=4_000, epochs=4):
    """Train at scale 1; accuracy, and who wins, at each of SCALES."""
    torch.manual_seed(seed)
    net = competing(join)
    framed = nn.Sequential(Altered(lambda x: scaled(x, 1)), net)
    losses = learnt(framed, seed, images, epochs)
    x, _ = next(iter(data.Batches(pictures(images)[1], 200, device=train.device())))
    return {
        "train_loss": losses,
        "accuracy": [
            accuracy(net, images, lambda x, s=s: scaled(x, s)) for s in SCALES
        ],
        "winners": [winners(net, scaled(x, s)) for s in SCALES],
    }
