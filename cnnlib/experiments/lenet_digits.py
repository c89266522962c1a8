"""LeNet-5 on the digits it was made for: how many it needs, and which of its parts."""

from functools import cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.lenet import (
    ClassCodes,
    ScaledTanh,
    SparseConv,
    Subsampling,
    lenet5,
)

SCALE = {"mean": 0.1 / 1.275, "std": 1 / 1.275}  # no ink is -0.1, full ink 1.175


def with_margin(pictures):
    """Two pixels without ink on each side: 28x28 -> 32x32."""
    return data.Images(F.pad(pictures.images, [2] * 4), pictures.labels)


def as_in_1998():
    return lenet5()


def dense_c3():
    """Every map of C3 reads all six maps of S2."""
    net = lenet5()
    net.c3[0] = nn.Conv2d(6, 16, 5)
    return net


def plain_average():
    """S2 and S4 average; they have nothing to train, and squash as before."""
    net = lenet5()
    net.s2[0], net.s4[0] = nn.AvgPool2d(2), nn.AvgPool2d(2)
    return net


def random_codes():
    """Ten codes of 84 random signs, always the same, in the place of the pictures."""
    net = lenet5()
    generator = torch.Generator().manual_seed(1998)
    net.output.codes = 2.0 * torch.randint(2, (10, 84), generator=generator) - 1
    return net


def trained_output():
    """Ten units of 84 weights and a bias, as today, in the place of the codes."""
    net = lenet5()
    net.output = nn.Linear(84, 10)
    return net


PARTS = {
    "as in 1998": as_in_1998,
    "dense C3": dense_c3,
    "plain average": plain_average,
    "random codes": random_codes,
    "trained output": trained_output,
}


class OneConv(nn.Module):
    """The sums of a `SparseConv` as one convolution with zeros where Table I has no
    connection, and its parameters as two tensors: several times as fast."""

    def __init__(self, sparse):
        super().__init__()
        filters = sparse.filters
        self.kernels = nn.Parameter(torch.cat([f.weight.data[0] for f in filters]))
        self.bias = nn.Parameter(torch.cat([f.bias.data for f in filters]))
        pairs = [(to, come) for to, seen in enumerate(sparse.maps) for come in seen]
        self.register_buffer("places", torch.tensor([6 * to + s for to, s in pairs]))

    def forward(self, x):
        full = self.kernels.new_zeros(6 * len(self.bias), 5, 5)
        full = full.index_copy(0, self.places, self.kernels)
        return F.conv2d(x, full.view(-1, 6, 5, 5), self.bias)


def network(part):
    """The variant `part` of LeNet-5 with the weights of the paper's appendix."""
    net = PARTS[part]().apply(init.lecun)
    if type(net.c3[0]) is SparseConv:
        net.c3[0] = OneConv(net.c3[0])
    return net


digits = cache(data.digits)  # the runs share them


def chosen(images, seed):
    """So many of the training digits, others for each seed."""
    order = torch.randperm(8_000, generator=torch.Generator().manual_seed(seed))
    return data.Images(*(part[order[:images]] for part in digits()[0]))


@torch.no_grad()
def wrong(net, pictures, device):
    """The misread pictures as triples (number, what it is, what the network says)."""
    net.eval()
    batches = data.Batches(with_margin(pictures), 500, device=device, **SCALE)
    said = torch.cat([net(x).argmax(1).cpu() for x, _ in batches])
    at = (said != pictures.labels).nonzero().flatten()
    return torch.stack([at, pictures.labels[at], said[at]], 1).tolist()


def nearness(answer, labels):
    """Cross-entropy of the distances, which are sums over 84 units, divided by 8: by
    themselves they are so large that the softmax is a maximum from the first step on.
    """
    return F.cross_entropy(answer / 8, labels)


SIZES = (1_000, 2_000, 4_000, 8_000)
SETTINGS = [
    *(
        {"part": "as in 1998", "images": images, "shifts": shifts, "seed": seed}
        for images, shifts, seed in product(SIZES, (0, 2), range(2))
    ),
    *(
        {"part": part, "images": 2_000, "shifts": 0, "seed": seed}
        for part, seed in product([*PARTS][1:], range(2))
    ),
]
DEPENDS = (
    *(with_margin, *PARTS.values(), OneConv, network, chosen, wrong, nearness),
    *(lenet5, ScaledTanh, Subsampling, SparseConv, ClassCodes, init.lecun),
    *(data.Batches, train.fit, train.evaluate),
)


@experiment("lenet-digits", SETTINGS, DEPENDS)
def read(part, images, shifts, seed, passes=None, tests=2_000):
    """Train on so many digits: losses, training error, and the misread test digits.

    Each run learns from 40,000 pictures, however few different ones, from 80,000 where
    there are more than 2,000; `shifts` is how far they are moved at random.
    AdamW with a peak rate of 0.003, one cycle, batches of 64.
    """
    torch.manual_seed(seed)
    device = train.device()
    net = network(part).to(device)
    training = chosen(images, seed)
    test = data.Images(*(part[:tests] for part in digits()[1]))
    scale = {"device": device, **SCALE}
    batches = data.Batches(
        with_margin(training), 64, shuffle=True, crop=shifts, seed=seed, **scale
    )
    glance = data.Images(*(part[:50] for part in with_margin(test)))
    epochs = (passes or (40_000 if images <= 2_000 else 80_000)) // images
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    loss = F.cross_entropy if part == "trained output" else nearness
    held_out = data.Batches(glance, 50, **scale)
    rows = train.fit(net, batches, held_out, epochs, optimizer, loss)
    return {
        "losses": [row.train_loss for row in rows],
        "train_error": len(wrong(net, training, device)) / images,
        "wrong": wrong(net, test, device),
    }
