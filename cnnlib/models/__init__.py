"""Every network of the book, by name, with its source and year."""

import inspect
from functools import partial
from typing import NamedTuple

import torch.nn.functional as F

from cnnlib.models.alexnet import alexnet
from cnnlib.models.bottlenecks import (
    regnet_y_400mf,
    resnext50,
    se_resnet50,
    wide_resnet50,
)
from cnnlib.models.convnext import convnext_tiny
from cnnlib.models.densenet import densenet, densenet_bc_cifar, densenet_cifar
from cnnlib.models.googlenet import googlenet, training_loss
from cnnlib.models.googlenet_torchvision import googlenet_torchvision
from cnnlib.models.lenet import lenet, lenet5, lenet_notes
from cnnlib.models.mobile import efficientnet_b0, mobilenet, mobilenet_v2
from cnnlib.models.nin import nin, nin_cifar
from cnnlib.models.notes import (
    alexnet_notes,
    densenet_notes,
    googlenet_notes,
    nin_notes,
    resnet18_notes,
    vgg11_notes,
)
from cnnlib.models.resnet import plain, resnet
from cnnlib.models.resnet_cifar import plain_cifar, preact_cifar, resnet_cifar
from cnnlib.models.small import (
    alexnet_small,
    densenet_small,
    googlenet_small,
    nin_small,
    resnet_small,
    vgg_small,
)
from cnnlib.models.unet import unet, unet_nested
from cnnlib.models.vgg import vgg


class Network(NamedTuple):
    """A builder, the (C, H, W) of the pictures it is meant for, its origin, and the
    loss(net(x), y) to train it with."""

    builder: callable
    input_shape: tuple
    year: int
    source: str
    loss: callable = F.cross_entropy


LENET = "https://doi.org/10.1109/5.726791"
ALEXNET = "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks"
NIN = "https://arxiv.org/abs/1312.4400"
VGG = "https://arxiv.org/abs/1409.1556"
GOOGLENET = "https://arxiv.org/abs/1409.4842"
RESNET = "https://arxiv.org/abs/1512.03385"
PREACT = "https://arxiv.org/abs/1603.05027"
DENSENET = "https://arxiv.org/abs/1608.06993"
WIDE = "https://arxiv.org/abs/1605.07146"
RESNEXT = "https://arxiv.org/abs/1611.05431"
MOBILENET = "https://arxiv.org/abs/1704.04861"
SQUEEZE = "https://arxiv.org/abs/1709.01507"
MOBILENET_V2 = "https://arxiv.org/abs/1801.04381"
EFFICIENTNET = "https://arxiv.org/abs/1905.11946"
REGNET = "https://arxiv.org/abs/2003.13678"
CONVNEXT = "https://arxiv.org/abs/2201.03545"
UNET = "https://arxiv.org/abs/1505.04597"
UNET_NESTED = "https://arxiv.org/abs/1807.10165"


def _depths(name, builder, depths, *rest):
    """A row per depth: name18, name34 ..."""
    return {f"{name}{n}": Network(partial(builder, n), *rest) for n in depths}


IMAGENET, CIFAR = (3, 224, 224), (3, 32, 32)
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
NETWORKS = {
    "lenet5": Network(lenet5, (1, 32, 32), 1998, LENET),
    "lenet": Network(lenet, (1, 28, 28), 1998, LENET),
    "lenet_notes": Network(lenet_notes, (1, 28, 28), 1998, LENET),
    "alexnet": Network(alexnet, (3, 227, 227), 2012, ALEXNET),
    "alexnet_one_tower": Network(partial(alexnet, 1), (3, 227, 227), 2012, ALEXNET),
    "alexnet_notes": Network(alexnet_notes, (1, 224, 224), 2012, ALEXNET),
    "alexnet_small": Network(alexnet_small, (1, 28, 28), 2012, ALEXNET),
    "nin": Network(nin, IMAGENET, 2013, NIN),
    "nin_cifar": Network(nin_cifar, CIFAR, 2013, NIN),
    "nin_notes": Network(nin_notes, (1, 224, 224), 2013, NIN),
    "nin_small": Network(nin_small, (1, 28, 28), 2013, NIN),
    **_depths("vgg", vgg, (11, 13, 16, 19), IMAGENET, 2014, VGG),
    "vgg11_notes": Network(vgg11_notes, (1, 224, 224), 2014, VGG),
    "vgg_small": Network(vgg_small, (1, 28, 28), 2014, VGG),
    "googlenet": Network(googlenet, IMAGENET, 2014, GOOGLENET, training_loss),
    "googlenet_torchvision": Network(googlenet_torchvision, IMAGENET, 2014, GOOGLENET),
    "googlenet_notes": Network(googlenet_notes, (1, 96, 96), 2014, GOOGLENET),
    "googlenet_small": Network(googlenet_small, (1, 28, 28), 2014, GOOGLENET),
    **_depths("plain", plain, (18, 34), IMAGENET, 2015, RESNET),
    **_depths("resnet", resnet, (18, 34, 50, 101, 152), IMAGENET, 2015, RESNET),
    **_depths("plain_cifar", plain_cifar, CIFAR_DEPTHS, CIFAR, 2015, RESNET),
    **_depths("resnet_cifar", resnet_cifar, CIFAR_DEPTHS, CIFAR, 2015, RESNET),
    "resnet18_notes": Network(resnet18_notes, (1, 96, 96), 2015, RESNET),
    "resnet_small": Network(resnet_small, (1, 28, 28), 2015, RESNET),
    **_depths("preact_cifar", preact_cifar, CIFAR_DEPTHS, CIFAR, 2016, PREACT),
    **_depths("densenet", densenet, (121, 161, 169, 201), IMAGENET, 2016, DENSENET),
    "densenet_cifar": Network(densenet_cifar, CIFAR, 2016, DENSENET),
    "densenet_bc_cifar": Network(densenet_bc_cifar, CIFAR, 2016, DENSENET),
    "densenet_notes": Network(densenet_notes, (1, 96, 96), 2016, DENSENET),
    "densenet_small": Network(densenet_small, (1, 28, 28), 2016, DENSENET),
    "wide_resnet50": Network(wide_resnet50, IMAGENET, 2016, WIDE),
    "resnext50": Network(resnext50, IMAGENET, 2016, RESNEXT),
    "mobilenet": Network(mobilenet, IMAGENET, 2017, MOBILENET),
    "se_resnet50": Network(se_resnet50, IMAGENET, 2017, SQUEEZE),
    "mobilenet_v2": Network(mobilenet_v2, IMAGENET, 2018, MOBILENET_V2),
    "efficientnet_b0": Network(efficientnet_b0, IMAGENET, 2019, EFFICIENTNET),
    "regnet_y_400mf": Network(regnet_y_400mf, IMAGENET, 2020, REGNET),
    "convnext_tiny": Network(convnext_tiny, IMAGENET, 2022, CONVNEXT),
}

# Networks that name each pixel and not the picture. They return a mask from each exit,
# so that neither `build` nor a loss for one label is for them.
MASKS = {
    "unet": Network(unet, (1, 512, 512), 2015, UNET, None),
    "unet_nested": Network(unet_nested, (3, 96, 96), 2018, UNET_NESTED, None),
}


def names():
    """Names that `build` knows, in the order of the years."""
    return list(NETWORKS)


def find(name):
    """The `Network` called `name`; ValueError lists the names there are."""
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}: choose from {names()}.")
    return NETWORKS[name]


def build(name, **changes):
    """The network called `name`, with PyTorch's default initialisation.

    `changes` are `in_channels` and `num_classes`. The networks of LeNet and of the
    notes have no such choice: they are for grey pictures of ten classes.
    """
    builder = find(name).builder
    if not changes.keys() <= inspect.signature(builder).parameters.keys():
        if changes != {"in_channels": 1, "num_classes": 10}:
            raise ValueError(f"{name} is for grey pictures of ten classes only.")
        changes = {}
    return builder(**changes)
