"""The networks of the experiments on starting: their depth, and their signs of life."""

import math

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments.starting import (
    ACTIVATIONS,
    CURES,
    DEPTHS,
    INITIALISATIONS,
    cure,
    depth,
    nin_at_28,
    plain_vgg,
    plain_with,
    race,
    signs_of_life,
    zero_sums,
)
from cnnlib.models.notes import nin_notes


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 1, 28, 28, generator=generator), torch.arange(8)


def convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("convs", [1, 3, 5])
def test_plain_vgg_has_the_depth_that_the_chapter_names(convs):
    kinds = (nn.Conv2d, nn.Linear)
    net = plain_vgg(convs)
    assert sum(isinstance(m, kinds) for m in net.modules()) == 3 * convs + 3
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_default_leaves_the_weights_as_pytorch_made_them():
    torch.manual_seed(0)
    net = plain_vgg(1)
    before = [p.clone() for p in net.parameters()]
    net.apply(INITIALISATIONS["default"])
    assert all(map(torch.equal, before, net.parameters()))


def test_every_depth_is_run_with_five_seeds_alike():
    assert len(DEPTHS) == 2 * 3 * 3 * 5
    short = {"images": 64, "tests": 32, "epochs": 1}
    assert depth(**DEPTHS[0], **short) == depth(**DEPTHS[0], **short)


def test_filters_sum_to_zero_and_keep_the_variance_of_what_differs():
    torch.manual_seed(0)
    first, second, dense = nn.Conv2d(1, 64, 3), nn.Conv2d(64, 256, 3), nn.Linear(400, 9)
    for layer in nn.Sequential(first, nn.ReLU(), second, dense).apply(zero_sums):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            sums = layer.weight.flatten(1).sum(1).abs().max()
            assert (sums < 1e-4) == (layer is not first)
    # of normal numbers behind a ReLU, and of the same with all of them raised
    x = torch.randn(8, 64, 20, 20).relu()
    for raised in (0, 10):
        y = second(x + raised)
        assert y.square().mean().item() == pytest.approx(1, rel=0.05)
    share = second.weight.var() * second.weight[0].numel() / 2
    assert share.item() == pytest.approx(1 / (1 - 1 / math.pi), rel=0.02)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_other_activations_stand_where_the_relus_stood(name):
    activation, gain, centred = ACTIVATIONS[name]
    torch.manual_seed(0)
    net, relus = plain_with(activation, gain, centred), plain_vgg(3)
    expected = [activation if type(m) is nn.ReLU else type(m) for m in relus.modules()]
    assert [type(m) for m in net.modules()] == expected
    deep = convolutions(net)[5]
    fans = deep.weight[0].numel() + deep.weight[:, 0].numel()
    assert deep.weight.var().item() == pytest.approx(2 * gain**2 / fans, rel=0.05)
    assert (deep.weight.flatten(1).sum(1).abs().max() < 1e-4) == centred


def test_the_small_network_keeps_the_layers_of_the_notes():
    small, notes = convolutions(nin_at_28()), convolutions(nin_notes())
    assert len(small) == len(notes) == 12
    for ours, theirs in zip(small[3:], notes[3:], strict=True):
        assert (ours.kernel_size, ours.padding) == (theirs.kernel_size, theirs.padding)
    assert [m.out_channels for m in small[9:]] == [10, 10, 10]
    shapes = [row.output_shape for row in costs.table(nin_at_28(), (1, 28, 28))]
    assert shapes[-2:] == [(10, 3, 3), (10,)]


def test_only_the_last_relu_goes():
    with_it, without = nin_at_28(relu=True), nin_at_28(relu=False)
    without.load_state_dict(with_it.state_dict())
    x, _ = batch()
    maps = without.eval()[:-1](x)
    assert (maps < 0).any()
    torch.testing.assert_close(with_it.eval()[:-1](x), maps.relu())


def test_a_network_whose_class_maps_are_all_negative_has_no_gradient():
    net = nin_at_28()
    nn.init.constant_(net.block4[4].bias, -100)
    alive, gradients = signs_of_life(net, *batch())
    assert (alive, gradients) == (0, [0.0] * 4)
    with torch.no_grad():
        net.block4[4].bias[:3] = 100
    alive, gradients = signs_of_life(net, *batch())
    assert alive == 3 and all(norm > 0 for norm in gradients)


def test_each_cure_but_the_last_leaves_one_thing_out_of_four():
    whole = CURES["all four"]
    for name, setting in list(CURES.items())[1:-1]:
        changed = {key for key in whole if setting[key] != whole[key]} - {"lr"}
        assert len(changed) == 1, name
    baseline = next(s for s in race.settings if s["initial"] == "He" and s["relu"])
    changed = {key for key in whole if CURES["only zero sums"][key] != baseline[key]}
    assert changed == {"initial"}


def test_a_run_of_the_race_says_how_it_went():
    setting = {**race.settings[0], "images": 64, "tests": 32, "epochs": 2}
    row = race(**setting)
    assert row == race(**setting)
    assert len(row["alive"]) == len(row["gradients"]) == 3
    assert len(row["train_loss"]) == len(row["test_accuracy"]) == 2
    short = cure(cure="with SGD", seed=0, images=64, tests=32, epochs=1)
    assert 1 <= short["named"] <= 10
