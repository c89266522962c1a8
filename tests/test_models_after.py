"""What came after ResNet against torchvision, the papers' tables, and by hand."""

import re
from itertools import chain

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs, models
from cnnlib.models.bottlenecks import (
    Gated,
    regnet_block,
    regnet_stages,
    resnext_block,
    se_block,
    squeeze_excitation,
    wide_block,
)
from cnnlib.models.convnext import LayerNorm, Scale, block
from cnnlib.models.mobile import efficient_block, mobile_block, separable
from cnnlib.models.resnet import bottleneck
from cnnlib.models.resnet_cifar import Sum

# Ours, and the name that torchvision gives it.
TORCHVISION = {
    "wide_resnet50": "wide_resnet50_2",
    "resnext50": "resnext50_32x4d",
    "mobilenet_v2": "mobilenet_v2",
    "efficientnet_b0": "efficientnet_b0",
    "regnet_y_400mf": "regnet_y_400mf",
    "convnext_tiny": "convnext_tiny",
}


def meta_table(name):
    with torch.device("meta"):
        return costs.table(models.build(name), (3, 224, 224))


STAGES = dict.fromkeys(TORCHVISION, 4) | {"se_resnet50": 4}
STAGES |= {"mobilenet": 5, "mobilenet_v2": 7, "efficientnet_b0": 7}


@pytest.mark.parametrize("name", [*TORCHVISION, "se_resnet50", "mobilenet"])
def test_stages_are_named_as_in_resnet(name):
    with torch.device("meta"):
        names = [part for part, _ in models.build(name).named_children()]
    stages = [f"stage{n + 1}" for n in range(STAGES[name])]
    last = ["last"] if STAGES[name] == 7 else []
    assert names == ["stem", *stages, *last, "head"]


def test_convnext_divides_by_a_root_that_is_as_safe_as_in_its_code():
    with torch.device("meta"):
        net = models.build("convnext_tiny")
    assert {m.eps for m in net.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_values_are_dropped_before_the_dense_layer(name):
    with torch.device("meta"):
        kinds = [type(part) for part in models.build(name).head]
    assert kinds[-2:] == [nn.Dropout, nn.Linear]


def numel(module):
    return sum(p.numel() for p in module.parameters())


def macs(module, *shape):
    return costs.table(nn.Sequential(module), shape).macs


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_and_macs_equal_torchvisions(name):
    weights = torchvision.models.get_model_weights(TORCHVISION[name])
    table = meta_table(name)
    assert table.parameters == weights.IMAGENET1K_V1.meta["num_params"]
    assert round(table.macs / 1e9, 3) == weights.IMAGENET1K_V1.meta["_ops"]


def randomise(net):
    """As after training: nothing is 0, 1 or 1e-6 any more."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)
    for name, parameter in net.named_parameters():
        if "layer_scale" in name:
            nn.init.uniform_(parameter, 0.5, 1)


# What torchvision names before the rest of a block, and we behind it.
FIRST = {"regnet_y_400mf": ".shortcut", "convnext_tiny": ".path.5"}


def renamed(theirs, ours, first):
    """The values of the state `theirs` under the names and in the shapes of `ours`."""
    blocks = {}
    for key in ours:
        blocks.setdefault(re.split(r"\.path|\.shortcut", key)[0], []).append(key)
    keys = chain(
        *(sorted(b, key=lambda key: first not in key) for b in blocks.values())
    )
    pairs = zip(keys, theirs.values(), strict=True)
    return {key: value.view_as(ours[key]) for key, value in pairs}


@pytest.mark.parametrize("name", TORCHVISION)
def test_outputs_equal_torchvisions_with_its_parameters(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, TORCHVISION[name])(num_classes=10).eval()
    randomise(theirs)
    with torch.device("meta"):
        ours = models.build(name, num_classes=10).eval()
    first = FIRST.get(name, "none")
    state = renamed(theirs.state_dict(), ours.state_dict(), first)
    ours.load_state_dict(state, assign=True)
    x = torch.randn(2, 3, 64, 65)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01  # else nothing was compared


def test_networks_that_torchvision_lacks_have_the_size_of_their_papers():
    mobilenet, squeezed = meta_table("mobilenet"), meta_table("se_resnet50")
    # Howard et al., Table 8: 4.2 million parameters, 569 million multiply-adds
    assert (mobilenet.parameters, mobilenet.macs) == (4_231_976, 568_740_352)
    # Hu et al., 4: "2.5 million additional parameters" on ResNet-50's "25 million"
    assert squeezed.parameters == 28_088_024
    extra = squeezed.parameters - meta_table("resnet50").parameters
    widths = 3 * [256] + 4 * [512] + 6 * [1024] + 3 * [2048]
    weights = sum(2 * c * c // 16 for c in widths)
    assert extra == weights + sum(c // 16 + c for c in widths)  # biases
    assert weights == 2_514_944
    assert squeezed.macs - meta_table("resnet50").macs == weights


def test_a_gate_equals_torchvisions():
    torch.manual_seed(0)
    for activation in (nn.ReLU, nn.SiLU):
        theirs = torchvision.ops.SqueezeExcitation(12, 3, activation)
        ours = squeeze_excitation(12, 3, activation)
        values = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
        ours.load_state_dict(dict(values))
        x = torch.randn(2, 12, 5, 7)
        torch.testing.assert_close(ours(x), theirs(x))


def test_a_gate_reads_the_whole_map_and_multiplies_its_channel():
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid())
    x = torch.tensor([[[[0.0, 2.0]], [[-1.0, -3.0]]]])
    one, two = torch.sigmoid(torch.tensor([1.0, -2.0]))
    assert torch.equal(
        Gated(gate)(x).flatten(), torch.stack([0 * one, 2 * one, -two, -3 * two])
    )


def test_bottlenecks_by_hand():
    shape, norms = (256, 512, 2), 2 * (512 + 512)  # of projection and last layer
    shortcut, full, half = 256 * 512, 56 * 56, 28 * 28
    with torch.device("meta"):
        wide, grouped = wide_block(*shape), resnext_block(*shape)
        gated, plain = se_block(*shape), bottleneck(*shape)
    ends = 256 * 256 + 256 * 512  # 1x1 at the start and at the end, width 256
    assert numel(wide) == shortcut + ends + 9 * 256 * 256 + norms + 4 * 256
    assert numel(grouped) == numel(wide) - 9 * 256 * 256 * 31 // 32
    later = half * (256 * 512 + 9 * 256 * 8 + shortcut)
    assert macs(grouped, 256, 56, 56) == full * 256 * 256 + later
    assert numel(gated) - numel(plain) == 2 * 512 * 32 + 32 + 512
    # a group of 32 channels: 9 weights for 32 of them; the gate's hidden layer is 24
    free = regnet_block(96, 64, 2, 32)
    norms = 2 * 4 * 64
    weights = 96 * 64 + 9 * 64 * 32 + 64 * 64 + 96 * 64
    assert numel(free) == weights + norms + 2 * 64 * 24 + 24 + 64


# Blocks, first width, slope and ratio of RegNetY-400MF, 800MF, 1.6GF and 32GF
@pytest.mark.parametrize(
    "rule",
    [
        *[(16, 48, 27.89, 2.09), (14, 56, 38.84, 2.4)],
        *[(27, 48, 20.71, 2.65), (20, 232, 115.89, 2.53)],
    ],
)
def test_the_rule_of_regnet_gives_torchvisions_stages(rule):
    params = torchvision.models.regnet.BlockParams
    theirs = params.from_init_params(*rule, group_width=8)  # 8 divides every width
    stages = list(zip(theirs.depths, theirs.widths, strict=True))
    assert regnet_stages(*rule) == stages and len(stages) == 4


def test_a_filter_per_channel_and_a_mixture_by_hand():
    layer = separable(8, 20, 2)
    assert numel(layer) == 9 * 8 + 8 * 20 + 2 * (8 + 20)
    assert macs(layer, 8, 6, 10) == 3 * 5 * (9 * 8 + 8 * 20)
    assert layer(torch.randn(1, 8, 6, 10)).shape == (1, 20, 3, 5)


def test_blocks_of_telephones_by_hand():
    narrow = mobile_block(8, 8, 1, 6)
    assert numel(narrow) == 8 * 48 + 9 * 48 + 48 * 8 + 2 * (48 + 48 + 8)
    first = mobile_block(8, 4, 1, 1)  # nothing to widen
    assert numel(first) == 9 * 8 + 8 * 4 + 2 * (8 + 4)
    twice = mobile_block(8, 4, 1, 2)
    assert numel(twice) == 8 * 16 + 9 * 16 + 16 * 4 + 2 * (16 + 16 + 4)
    gated = efficient_block(8, 8, 1, 6, 5)
    more = (25 - 9) * 48 + 2 * 48 * 2 + 48 + 2
    assert numel(gated) - numel(narrow) == more


@pytest.mark.parametrize(
    ("shape", "has"), [((8, 8, 1), True), ((8, 8, 2), False), ((8, 4, 1), False)]
)
def test_blocks_of_telephones_have_a_shortcut_where_the_shape_stays(shape, has):
    assert isinstance(mobile_block(*shape, 6), Sum) == has
    assert isinstance(efficient_block(*shape, 6, 3), Sum) == has


def test_a_block_of_convnext_by_hand():
    convnext = block(8)
    weights = 49 * 8 + 8 * 32 + 32 * 8
    assert numel(convnext) == weights + 8 + 2 * 8 + 32 + 8 + 8
    assert macs(convnext, 8, 5, 5) == 25 * weights


def test_convnext_normalises_the_channels_of_each_pixel():
    x = 3 + 2 * torch.randn(2, 16, 4, 5)
    y = LayerNorm(16)(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        y.var(1, correction=0), torch.ones(2, 4, 5), rtol=0, atol=1e-4
    )


def test_a_block_of_convnext_begins_almost_as_the_identity():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(block(8)(x), x, rtol=0, atol=1e-5)
    assert torch.equal(Scale(3)(torch.ones(1, 3, 1, 1)), torch.full((1, 3, 1, 1), 1e-6))


def test_stage_shapes_are_those_of_the_tables():
    assert [row.output_shape for row in meta_table("mobilenet_v2")] == [
        *[(32, 112, 112), (16, 112, 112), (24, 56, 56), (32, 28, 28), (64, 14, 14)],
        *[(96, 14, 14), (160, 7, 7), (320, 7, 7), (1280, 7, 7), (1000,)],
    ]
    assert [row.output_shape for row in meta_table("efficientnet_b0")] == [
        *[(32, 112, 112), (16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14)],
        *[(112, 14, 14), (192, 7, 7), (320, 7, 7), (1280, 7, 7), (1000,)],
    ]
    assert [row.output_shape for row in meta_table("convnext_tiny")] == [
        *[(96, 56, 56), (96, 56, 56), (192, 28, 28), (384, 14, 14), (768, 7, 7)],
        (1000,),
    ]
