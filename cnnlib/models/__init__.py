"""Every network of the book, by name, with its source and year."""

from typing import NamedTuple

from cnnlib.models.googlenet import googlenet
from cnnlib.models.lenet import lenet, lenet5, lenet_notes


class Network(NamedTuple):
    """A builder, the (C, H, W) of the pictures it is meant for, and its origin."""

    builder: callable
    input_shape: tuple
    year: int
    source: str


LENET = "https://doi.org/10.1109/5.726791"
GOOGLENET = "https://arxiv.org/abs/1409.4842"
NETWORKS = {
    "lenet5": Network(lenet5, (1, 32, 32), 1998, LENET),
    "lenet": Network(lenet, (1, 28, 28), 1998, LENET),
    "lenet_notes": Network(lenet_notes, (1, 28, 28), 1998, LENET),
    "googlenet": Network(googlenet, (3, 224, 224), 2014, GOOGLENET),
}


def names():
    """Names that `build` knows, in the order of the years."""
    return list(NETWORKS)


def build(name):
    """The network called `name`, with PyTorch's default initialisation."""
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}: choose from {names()}.")
    return NETWORKS[name].builder()
