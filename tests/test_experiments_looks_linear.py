"""Deep networks that look linear at the start: what they compute, what differs."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import experiments, init
from cnnlib.experiments import looks_linear
from cnnlib.experiments.looks_linear import TRIALS, BothSigns, build, learn, rotate
from cnnlib.gradients import input_gradients, mean_cosine

PAIR = "looks linear", "not mirrored"


def layers(net):
    return [m for m in net.modules() if isinstance(m, init.LAYERS)]


@pytest.mark.parametrize("network", TRIALS)
def test_each_network_has_fifty_six_layers_and_halves_the_picture(network):
    net = build(network, 0)
    assert len(layers(net)) == 56
    assert net.pool(torch.zeros(1, 1, 28, 28)).shape[2:] == (14, 14)
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    ends = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert bool(ends) == (network not in PAIR)


def test_the_mirrored_network_begins_as_a_linear_function_and_the_other_does_not():
    """Oracle: it is the product of its first halves, without any ReLU."""
    x = torch.randn(3, 1, 28, 28, dtype=torch.float64)
    mirrored, other = (build(name, 0, depth=8).double() for name in PAIR)
    stem, *rest, head = layers(mirrored)
    y = stem(mirrored.pool(x))
    for layer in rest:
        half = layer.weight.chunk(2, 1)[0]
        y = F.conv2d(y, half, stride=layer.stride, padding=1)
    y = y.mean((2, 3)) @ head.weight.chunk(2, 1)[0].T
    torch.testing.assert_close(mirrored(x), y)
    cosines = [mean_cosine(input_gradients(n, x).flatten(1)) for n in (mirrored, other)]
    assert cosines[0] == pytest.approx(1) and cosines[1] < 0.9


def test_the_two_differ_by_the_second_halves_of_their_weights_alone():
    for one, other in zip(*(layers(build(name, 3)) for name in PAIR), strict=True):
        halves = one.weight.chunk(2, 1), other.weight.chunk(2, 1)
        assert torch.equal(halves[0][0], halves[1][0])
        if len(halves[0]) == 2:  # not the stem, which reads one channel
            assert torch.equal(halves[0][1], -halves[0][0])
            assert not torch.allclose(halves[1][1], -halves[1][0], atol=0.1)


@pytest.mark.parametrize("network", PAIR)
def test_a_layer_keeps_the_length_of_what_it_reads(network):
    """On average over the pictures, where the rotations are those of two signs."""
    torch.manual_seed(0)
    conv = nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1), BothSigns(), nn.Conv2d(128, 64, 3, padding=1)
    )
    rotate(conv, mirrored=network == "looks linear")
    x = torch.randn(8, 64, 5, 5)
    ratio = (conv[1:](x).pow(2).mean() / x.pow(2).mean()).item()
    assert ratio == pytest.approx(1, abs=1e-5 if network == "looks linear" else 0.1)
    assert layers(conv)[1].weight[:, :, 0].abs().max() == 0


def test_what_was_built_is_kept_beside_what_was_trained():
    start, end, batches, found = learn(
        "looks linear", 1, 1e-3, epochs=1, images=128, depth=8
    )
    anew = build("looks linear", 1, depth=8)
    for one, other in zip(layers(start), layers(anew), strict=True):
        assert torch.equal(one.weight, other.weight)
    assert not torch.equal(layers(start)[0].weight, layers(end)[0].weight)
    assert not end.training and len(found["test_error"]) == 1
    assert (batches.crop, batches.flip) == (2, True)


def test_a_trial_that_diverges_says_so():
    trial = partial(looks_linear.trial, network="not mirrored", seed=0)
    row = trial(rate=1e4, images=256, depth=14)
    assert row == {"train_loss": None}
    row = trial(rate=1e-3, images=128, depth=8)
    assert len(row["train_loss"]) == 2


def test_a_stopped_run_is_not_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(looks_linear, "RUNS", tmp_path)
    setting = {"network": "looks linear", "seed": 0, "rate": 1e-3, "epochs": 1}
    setting |= {"images": 128, "depth": 8, "pictures": 4}
    row = looks_linear.trained(**setting)
    assert row["before"]["cosine"] == pytest.approx(1, abs=1e-5)
    assert row["after"]["first_to_last"] != row["before"]["first_to_last"]
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    assert looks_linear.trained(**setting) == row


def test_rates_are_those_of_the_lowest_loss_in_the_trials():
    for network, rate in looks_linear.RATES.items():
        rows = experiments.load("looks-linear-rates")["rows"]
        lost = {
            row["setting"]["rate"]: row["train_loss"][-1]
            for row in rows
            if row["setting"]["network"] == network and row["train_loss"]
        }
        assert rate == min(lost, key=lost.get), network
