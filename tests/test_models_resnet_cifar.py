"""CIFAR's residual networks against the numbers of their papers, and by hand."""

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.models.resnet_cifar import (
    Subsampled,
    plain_cifar,
    pre_activation,
    preact_cifar,
    residual,
    resnet_cifar,
)

BUILDERS = [resnet_cifar, plain_cifar, preact_cifar]
# Table 6 of the paper rounds them to 0.27, 0.46, 0.66, 0.85 and 1.7 million
PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}


def meta_table(builder, depth):
    with torch.device("meta"):
        return costs.table(builder(depth), (3, 32, 32))


@pytest.mark.parametrize("depth", PARAMETERS)
@pytest.mark.parametrize("builder", BUILDERS)
def test_parameters_and_macs_by_hand(builder, depth):
    n = (depth - 2) // 6
    convs = [(3, 16, 32)] + 2 * n * [(16, 16, 32)]
    convs += [(16, 32, 16)] + (2 * n - 1) * [(32, 32, 16)]
    convs += [(32, 64, 8)] + (2 * n - 1) * [(64, 64, 8)]
    weights = sum(9 * before * after for before, after, _ in convs)
    normalisation = sum(2 * after for _, after, _ in convs)
    table = meta_table(builder, depth)
    assert table.parameters == weights + normalisation + 650 == PARAMETERS[depth]
    macs = sum(9 * before * after * side**2 for before, after, side in convs)
    assert table.macs == macs + 640


@pytest.mark.parametrize("builder", BUILDERS)
def test_stage_shapes(builder):
    assert [row.output_shape for row in meta_table(builder, 20)] == [
        *[(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8), (10,)],
    ]


def test_option_a_takes_every_second_pixel_and_adds_zeros():
    x = torch.randn(2, 3, 6, 4)
    y = Subsampled(2)(x)
    assert y.shape == (2, 5, 3, 2)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert (y[:, 3:] == 0).all()


@pytest.mark.parametrize("block", [residual, pre_activation])
def test_shortcuts_have_no_parameters(block):
    for shape in [(16, 16, 1), (16, 32, 2)]:
        assert not list(block(*shape).shortcut.parameters())


def test_between_two_units_a_pre_activated_network_only_adds():
    unit, x = pre_activation(4, 4, 1), torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(unit(x) - x, unit.path(x))
    assert (unit(x) < 0).any()  # no ReLU behind the sum


def test_a_residual_unit_ends_in_relu():
    unit, x = residual(4, 4, 1), torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(unit(x), (x + unit.path(x)).relu())


def kinds(net):
    return [type(m) for m in net.modules() if not list(m.children())]


def test_a_plain_network_is_convolution_normalisation_and_relu_throughout():
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds(plain_cifar(14))[:-3] == 13 * unit


def test_pre_activation_as_its_paper_orders_it():
    # the first unit has its activation before both paths, the last one behind the sum
    conv, bn, relu, same = nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Identity
    unit = [bn, relu, conv, bn, relu, conv]
    end = [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    assert kinds(preact_cifar(8)) == [
        *[conv, bn, relu],
        *[conv, bn, relu, conv, same],
        *[*unit, Subsampled],
        *[*unit, Subsampled],
        *[bn, relu, *end],
    ]


@pytest.mark.parametrize("depth", [2, 21, 24])
def test_depths_other_than_6n_plus_2_are_refused_in_one_sentence(depth):
    with pytest.raises(ValueError, match=rf"^depth {depth} is not 6n \+ 2: take 20, "):
        resnet_cifar(depth)
