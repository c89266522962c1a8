"""The networks for 28x28 pixels: shapes, layers, and small enough for a CPU."""

import pytest
from torch import nn

from cnnlib import costs, models

# Output shapes of the stages that end a size.
# fmt: off
SHAPES = {
    "alexnet_small": {
        "pool1": (32, 13, 13), "pool2": (64, 6, 6), "pool5": (64, 2, 2), "fc8": (10,),
    },
    "vgg_small": {
        "stage1": (32, 14, 14), "stage2": (64, 7, 7), "stage3": (128, 3, 3),
        "fc8": (10,),
    },
    "nin_small": {
        "pool1": (32, 13, 13), "pool2": (64, 6, 6), "block3": (10, 6, 6),
        "head": (10,),
    },
    "googlenet_small": {
        "pool1": (16, 14, 14), "conv2": (48, 14, 14), "inception3b": (120, 14, 14),
        "pool3": (120, 7, 7), "inception4e": (208, 7, 7), "pool4": (208, 3, 3),
        "inception5b": (256, 3, 3), "head": (10,),
    },
    "resnet_small": {
        "stem": (32, 14, 14), "stage1": (32, 14, 14), "stage2": (64, 7, 7),
        "stage3": (128, 4, 4), "head": (10,),
    },
    "densenet_small": {
        "stem": (24, 14, 14), "block1": (72, 14, 14), "transition1": (36, 7, 7),
        "block2": (84, 7, 7), "transition2": (42, 3, 3), "block3": (90, 3, 3),
        "head": (10,),
    },
}
# fmt: on
PARAMETERS = {
    "alexnet_small": 380_042,
    "vgg_small": 603_786,
    "nin_small": 128_202,
    "googlenet_small": 212_686,
    "resnet_small": 308_074,
    "densenet_small": 102_346,
}
LETTERS = {
    **{nn.Conv2d: "c", nn.BatchNorm2d: "b", nn.ReLU: "r", nn.MaxPool2d: "m"},
    **{nn.AvgPool2d: "a", nn.AdaptiveAvgPool2d: "g", nn.Flatten: "f"},
    **{nn.Linear: "l", nn.Dropout: "d", nn.Identity: "i"},
}
INCEPTION = "cr" + "crcr" + "crcr" + "mcr"
LAYERS = {
    "alexnet_small": "crm" + "crm" + "crcrcrm" + "f" + "lrd" + "lrd" + "l",
    "vgg_small": "crm" + "crm" + "crcrm" + "f" + "lrd" + "lrd" + "l",
    "nin_small": "crcrcrm" * 2 + "d" + "crcrcr" + "gf",
    "googlenet_small": "crm" + "crcr" + f"{INCEPTION * 2}m" * 2 + INCEPTION + "gfl",
    "resnet_small": "cbrm" + "cbrcb" + "i" + "cbrcb" + "cb" + "cbrcb" + "cb" + "gfl",
    "densenet_small": "cbrm" + "brca".join(["brcbrc" * 4] * 3) + "brgfl",
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_a_cost_that_a_chapter_can_pay(name):
    table = costs.table(models.build(name), (1, 28, 28))
    shapes = {row.name: row.output_shape for row in table}
    assert {stage: shapes[stage] for stage in SHAPES[name]} == SHAPES[name]
    assert table.macs < 20e6 and table.parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", LAYERS)
def test_order_of_the_layers(name):
    leaves = [m for m in models.build(name).modules() if not list(m.children())]
    assert "".join(LETTERS[type(leaf)] for leaf in leaves) == LAYERS[name]


@pytest.mark.parametrize("name", ["alexnet_small", "nin_small"])
def test_pooling_overlaps_as_in_the_larger_networks(name):
    pools = [m for m in models.build(name).modules() if isinstance(m, nn.MaxPool2d)]
    assert {(pool.kernel_size, pool.stride) for pool in pools} == {(3, 2)}
