"""The network of the experiment on Network in Network, and its signs of life."""

import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments.nin import nin_at_28, signs_of_life
from cnnlib.models.notes import nin_notes


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 1, 28, 28, generator=generator), torch.arange(8)


def convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


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
