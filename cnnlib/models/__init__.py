"""Every network of the book, by name, with its source and year."""

from functools import partial
from typing import NamedTuple

from cnnlib.models.googlenet import googlenet
from cnnlib.models.lenet import lenet, lenet5, lenet_notes
from cnnlib.models.notes import resnet18_notes, vgg11_notes
from cnnlib.models.resnet import plain, resnet
from cnnlib.models.small import resnet_small, vgg_small
from cnnlib.models.vgg import vgg


class Network(NamedTuple):
    """A builder, the (C, H, W) of the pictures it is meant for, and its origin."""

    builder: callable
    input_shape: tuple
    year: int
    source: str


LENET = "https://doi.org/10.1109/5.726791"
VGG = "https://arxiv.org/abs/1409.1556"
GOOGLENET = "https://arxiv.org/abs/1409.4842"
RESNET = "https://arxiv.org/abs/1512.03385"
NETWORKS = {
    "lenet5": Network(lenet5, (1, 32, 32), 1998, LENET),
    "lenet": Network(lenet, (1, 28, 28), 1998, LENET),
    "lenet_notes": Network(lenet_notes, (1, 28, 28), 1998, LENET),
    "vgg11": Network(partial(vgg, 11), (3, 224, 224), 2014, VGG),
    "vgg13": Network(partial(vgg, 13), (3, 224, 224), 2014, VGG),
    "vgg16": Network(partial(vgg, 16), (3, 224, 224), 2014, VGG),
    "vgg19": Network(partial(vgg, 19), (3, 224, 224), 2014, VGG),
    "vgg11_notes": Network(vgg11_notes, (1, 224, 224), 2014, VGG),
    "vgg_small": Network(vgg_small, (1, 28, 28), 2014, VGG),
    "googlenet": Network(googlenet, (3, 224, 224), 2014, GOOGLENET),
    "plain18": Network(partial(plain, 18), (3, 224, 224), 2015, RESNET),
    "plain34": Network(partial(plain, 34), (3, 224, 224), 2015, RESNET),
    "resnet18": Network(partial(resnet, 18), (3, 224, 224), 2015, RESNET),
    "resnet34": Network(partial(resnet, 34), (3, 224, 224), 2015, RESNET),
    "resnet50": Network(partial(resnet, 50), (3, 224, 224), 2015, RESNET),
    "resnet101": Network(partial(resnet, 101), (3, 224, 224), 2015, RESNET),
    "resnet152": Network(partial(resnet, 152), (3, 224, 224), 2015, RESNET),
    "resnet18_notes": Network(resnet18_notes, (1, 96, 96), 2015, RESNET),
    "resnet_small": Network(resnet_small, (1, 28, 28), 2015, RESNET),
}


def names():
    """Names that `build` knows, in the order of the years."""
    return list(NETWORKS)


def build(name):
    """The network called `name`, with PyTorch's default initialisation."""
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}: choose from {names()}.")
    return NETWORKS[name].builder()
