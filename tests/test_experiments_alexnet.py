"""The variants of the small AlexNet: what each changes, and that it changes no more."""

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments.alexnet import (
    ALPHA,
    FINISHED,
    SIGMOIDS,
    VARIANTS,
    ResponseNorm,
    sigmoid,
    steep_sigmoid,
)
from cnnlib.models.small import alexnet_small


def kinds(net):
    """Its modules without children, by class, in the order of the network."""
    return [type(m) for m in net.modules() if not list(m.children())]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_has_the_sizes_and_parameters_of_the_network(name):
    change, _ = VARIANTS[name]
    net = alexnet_small()
    change(net)
    rows, plain = (costs.table(n, (1, 28, 28)) for n in (net, alexnet_small()))
    assert [row.output_shape for row in rows] == [row.output_shape for row in plain]
    assert rows.parameters == plain.parameters == 380_042


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tanh", nn.ReLU, nn.Tanh),
        ("sigmoid", nn.ReLU, nn.Sigmoid),
        ("no dropout", nn.Dropout, nn.Identity),
        ("neither of the two", nn.Dropout, nn.Identity),
    ],
)
def test_a_variant_replaces_every_module_of_a_kind_and_no_other(name, old, new):
    net, plain = alexnet_small(), kinds(alexnet_small())
    VARIANTS[name][0](net)
    assert old in plain
    assert kinds(net) == [new if kind is old else kind for kind in plain]


@pytest.mark.parametrize("name", SIGMOIDS)
def test_a_sigmoid_without_dropout_has_both_changes(name):
    net, new = alexnet_small(), {nn.ReLU: nn.Sigmoid}
    SIGMOIDS[name][0](net)
    if "no dropout" in name:
        new[nn.Dropout] = nn.Identity
    assert kinds(net) == [new.get(kind, kind) for kind in kinds(alexnet_small())]


def test_a_steep_sigmoid_starts_from_four_times_the_weights():
    starts = []
    for change in (sigmoid, steep_sigmoid):
        torch.manual_seed(0)
        net = alexnet_small()
        change(net)
        starts.append(list(net.parameters()))
    for plain, steep in zip(*starts, strict=True):
        assert torch.equal(steep, 4 * plain)


ADDED = ("two towers", "one of two towers", "four convolutions")


def test_finished_variants_are_those_of_the_ablation_from_other_weights_and_three():
    assert set(FINISHED) - set(VARIANTS) == set(ADDED)
    for name in set(FINISHED) & set(VARIANTS):
        change, augmented = FINISHED[name]
        net, same = alexnet_small(), alexnet_small()
        change(net)
        VARIANTS[name][0](same)
        assert kinds(net) == kinds(same)
        assert augmented == VARIANTS[name][1]


def test_towers_and_a_missing_convolution_save_what_they_should():
    half = 64 * 32 * 25 // 2, 96 * 96 * 9 // 2, 64 * 96 * 9 // 2  # conv2, 4 and 5
    narrow = 16 * 25 + 16, 32 * 16 * 25 + 32, 48 * 32 * 9 + 48, 48 * 48 * 9 + 48
    dense = (256 * 256 + 256) + (256 * 256 + 256) + (10 * 256 + 10)
    expected = {
        "two towers": 380_042 - sum(half),
        "one of two towers": sum(narrow) + (64 * 48 * 9 + 64) + dense,
        "four convolutions": 380_042 - (96 * 96 * 9 + 96),
    }
    for name in ADDED:
        net = alexnet_small()
        FINISHED[name][0](net)
        rows = costs.table(net, (1, 28, 28))
        assert rows.parameters == expected[name], name
        (pooled,) = (row.output_shape for row in rows if row.name == "pool5")
        assert pooled == (64, 2, 2)


def test_a_tower_reads_its_own_half():
    net = alexnet_small()
    FINISHED["two towers"][0](net)
    maps = torch.randn(1, 32, 13, 13)
    other = torch.cat([maps[:, :16], torch.randn(1, 16, 13, 13)], 1)
    with torch.no_grad():
        same, apart = (net.conv2(maps) == net.conv2(other)).chunk(2, dim=1)
    assert same.all() and not apart.all()


def test_separate_windows_do_not_overlap():
    net = alexnet_small()
    VARIANTS["separate pooling"][0](net)
    pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [
        (2, 2),
        (2, 2),
        (3, 3),
    ]


def test_response_norm_is_torchs_and_follows_the_first_two_activations():
    x = 3 * torch.randn(2, 9, 4, 4)
    theirs = nn.LocalResponseNorm(5, alpha=5 * ALPHA, beta=0.75, k=2)
    torch.testing.assert_close(ResponseNorm(9)(x), theirs(x))
    net, plain = alexnet_small(), kinds(alexnet_small())
    VARIANTS["response norm"][0](net)
    for place in (5, 2):  # behind the activation of conv2, and of conv1
        plain.insert(place, ResponseNorm)
    assert kinds(net) == plain


def test_only_two_variants_see_their_pictures_as_they_are():
    plain = [name for name, (_, augmented) in VARIANTS.items() if not augmented]
    assert plain == ["no augmentation", "neither of the two"]
