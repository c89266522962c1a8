"""Errors sent back through wrong kernels: does the network still learn?"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

KERNELS = ("rotated", "signs", "not rotated", "random", "none")
SETTINGS = [
    {"kernel": kernel, "seed": seed} for kernel, seed in product(KERNELS, range(3))
]


class WrongConv(nn.Conv2d):
    """A 3x3 convolution that sends its error back through the kernel named `kernel`.

    Output and gradients of its own parameters are those of nn.Conv2d: the second term
    of `forward` is zero, and the only way back to `x`. "rotated" is right: autograd
    rotates the kernel that it finds in that term, as it should. "signs" keeps only the
    signs of the weights, "random" is another kernel, drawn once, "none" sends zeros.
    """

    def __init__(self, in_channels, out_channels, kernel):
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.kernel = kernel
        self.register_buffer("random", torch.empty_like(self.weight))
        nn.init.kaiming_normal_(self.random, nonlinearity="relu")

    def forward(self, x):
        back = F.conv2d(x, self.way_back(), padding=1)
        return super().forward(x.detach()) + (back - back.detach())

    def way_back(self):
        weight = self.weight.detach()
        if self.kernel == "rotated":
            return weight
        if self.kernel == "signs":
            return weight.sign() * weight.abs().mean()
        if self.kernel == "not rotated":
            return weight.flip(2, 3)
        return self.random if self.kernel == "random" else torch.zeros_like(weight)


def four_convolutions(kernel):
    """(N, 1, 28, 28) -> (N, 10); three of the four convolutions pass an error on."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 16, 14, 14)
        WrongConv(16, 32, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 7, 7)
        WrongConv(32, 32, kernel),
        nn.ReLU(),
        WrongConv(32, 32, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 3, 3)
        nn.Flatten(),
        nn.Linear(32 * 3 * 3, 10),
    )


def cosines(net, x, y):
    """Cosine between the gradient that `net` follows and the right one, for the kernels
    of each convolution from the input on; 0 where no gradient arrives."""
    layers = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    wrong = [layer for layer in layers if isinstance(layer, WrongConv)]
    kernel, weights = wrong[0].kernel, [layer.weight for layer in layers]
    found = []
    for name in (kernel, "rotated"):
        for layer in wrong:
            layer.kernel = name
        found.append(torch.autograd.grad(F.cross_entropy(net(x), y), weights))
    for layer in wrong:
        layer.kernel = kernel
    pairs = zip(*found, strict=True)
    return [F.cosine_similarity(a.flatten(), b.flatten(), 0).item() for a, b in pairs]


DEPENDS = (
    *(WrongConv, four_convolutions, cosines, init.he),
    *(data.Batches, train.fit, train.evaluate),
)


@experiment("wrong-kernels", SETTINGS, DEPENDS)
def wrong_kernels(kernel, seed, images=10_000, tests=10_000, epochs=6):
    """Train `four_convolutions`; test accuracy after each epoch and `cosines` on 1,000
    training pictures before the first and after the last.

    Everything but kernel and seed is the same in all runs: He initialisation, AdamW
    with a peak learning rate of 0.002, one cycle, batches of 128.
    """
    torch.manual_seed(seed)
    device = train.device()
    net = four_convolutions(kernel).apply(init.he).to(device)
    training, test = data.fashion_mnist(images, tests)
    x, y = next(iter(data.Batches(training, 1000, device=device)))
    before = cosines(net, x, y)
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    held_out = data.Batches(test, 1000, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    accuracies = [row.test_accuracy for row in rows]
    after = cosines(net, x, y)
    return {"test_accuracy": accuracies, "before": before, "after": after}
