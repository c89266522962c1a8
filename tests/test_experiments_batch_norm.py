"""The networks and the measurements of the experiments on batch normalisation."""

import copy

import pytest
import torch
from torch import nn

from cnnlib import data, train
from cnnlib.experiments import batch_norm
from cnnlib.models.lenet import lenet_notes


def pictures(count=64):
    training, _ = data.fashion_mnist(count, 1)
    return data.Batches(training, 32)


def state(net):
    return copy.deepcopy(net.state_dict())


def test_normalised_lenet_is_the_notes_network_with_four_layers_more():
    net = batch_norm.normalised_lenet()
    layers = [m for m in net.modules() if not list(m.children())]
    kept = [m for m in layers if m not in batch_norm.norms(net)]
    theirs = [m for m in lenet_notes().modules() if not list(m.children())]
    assert [type(m) for m in kept] == [type(m) for m in theirs]
    followers = [layers[layers.index(norm) + 1] for norm in batch_norm.norms(net)]
    assert [type(m) for m in followers] == [nn.Sigmoid] * 4
    assert sum(p.numel() for p in net.parameters()) == 44_426 + 2 * (6 + 16 + 120 + 84)


def test_remeasured_statistics_are_means_over_batches_and_the_network_is_kept():
    net, batches = batch_norm.normalised_lenet(), pictures()
    before = state(net)
    fresh = batch_norm.remeasured(net, batches)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    means = [net.c1[0](x).mean((0, 2, 3)) for x, _ in batches]
    mean = torch.stack(means).mean(0)
    torch.testing.assert_close(fresh.c1[1].running_mean, mean, rtol=0.02, atol=0.01)


def test_lag_is_counted_in_standard_deviations():
    fresh = batch_norm.normalised_lenet()
    fresh.c3[1].running_var.fill_(4)
    net = copy.deepcopy(fresh)
    net.c3[1].running_mean += 6
    assert batch_norm.lag(net, fresh) == pytest.approx([0, 3, 0, 0])


def test_noise_moves_whole_channels_and_only_in_training():
    x, noise = torch.randn(8, 3, 5, 5), batch_norm.Noise()
    moved = noise(x)
    assert torch.equal(noise.eval()(x), x)
    for channel in range(3):  # one straight line for all values of a channel
        old, new = x[:, channel].flatten(), moved[:, channel].flatten()
        slope = (new[1:] - new[:1]) / (old[1:] - old[:1])
        assert slope.std() < 1e-2 and 0.75 <= slope.median() <= 1.25
    assert (moved.mean((0, 2, 3)) - x.mean((0, 2, 3))).abs().max() > 1e-3


def test_the_chains_differ_in_their_normalisation_only():
    kinds = {}
    for variant in ("plain", "before", "after", "noise"):
        net = batch_norm.chain(variant)
        assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        kinds[variant] = [type(m).__name__ for m in net[:8]]
    assert kinds["before"][:3] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds["after"][:3] == ["Conv2d", "ReLU", "BatchNorm2d"]
    assert kinds["noise"][:4] == ["Conv2d", "BatchNorm2d", "Noise", "ReLU"]
    assert kinds["plain"] == ["Conv2d", "ReLU"] * 4


def test_three_controls_add_one_thing_to_the_chain_with_batch_norm_before_each_relu():
    before, centred, end, scaled = (
        [type(m).__name__ for m in batch_norm.chain(variant)]
        for variant in ("before", "centred", "end", "scaled")
    )
    assert [kind for kind in centred if kind != "Centre"] == before
    assert centred[:4] == ["Conv2d", "BatchNorm2d", "ReLU", "Centre"]
    assert centred.count("Centre") == 10
    assert end == [*before[:-3], "BatchNorm2d", *before[-3:]]
    assert scaled == [*before[:-3], "Scale", *before[-3:]]


def test_the_constant_makes_up_for_what_a_relu_takes_from_the_spread():
    torch.manual_seed(0)
    values = batch_norm.Scale()(torch.randn(1_000_000).relu())
    assert values.std() == pytest.approx(1, abs=0.01)


def test_centring_takes_the_mean_out_and_leaves_the_scale():
    torch.manual_seed(0)
    x, layer = torch.randn(64, 3, 5, 5) * 2 + 1, batch_norm.Centre(3)
    y = layer(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(y.std((0, 2, 3)), x.std((0, 2, 3)))
    for _ in range(100):
        layer(x)
    torch.testing.assert_close(layer.eval()(x), y, atol=1e-3, rtol=1e-3)
    assert torch.equal(layer(x[:1]), layer(x)[:1])  # alone as in company


def test_a_bias_that_is_normalised_away_is_a_mean_that_is_normalised_away():
    """What the chapter says of centred inputs: before a batch norm they change nothing
    where no padding is read."""
    torch.manual_seed(0)
    x, conv, norm = torch.randn(8, 4, 9, 9), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)
    shifted = x + torch.randn(1, 4, 1, 1)
    torch.testing.assert_close(norm(conv(shifted)), norm(conv(x)), atol=1e-4, rtol=1e-4)


def test_ahead_walks_down_the_gradient_and_leaves_the_network(monkeypatch):
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)
    torch.manual_seed(0)
    net, (x, y) = batch_norm.chain("plain"), next(iter(pictures()))
    before = state(net)
    losses, gradients = batch_norm.ahead(net, x, y, rate=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert len(losses) == len(gradients) == 5
    squared = sum(g.pow(2).sum().item() for g in gradients[0])
    assert losses[0] - losses[2] == pytest.approx(1e-4 * squared, rel=0.1)


def test_channel_means_are_those_that_the_convolutions_read():
    net, (x, _) = batch_norm.chain("plain"), next(iter(pictures()))
    means, _ = batch_norm.channels(net, x)
    assert len(means) == 5 * 16 + 4 * 32
    torch.testing.assert_close(means[:16], net[:2](x).mean((0, 2, 3)))
