"""The modules of the Inception bill's experiment: costs, channels and windows."""

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments.inception_bill import MODULES, modules, network


def bill(kind):
    table = costs.table(network(kind), (1, 28, 28))
    return [row for row in table if row.name in ("first", "second")]


@pytest.mark.parametrize("kind", [k for k in MODULES if k not in ("real", "naive")])
def test_what_is_compared_with_the_real_modules_costs_what_they_cost(kind):
    macs = [sum(row.macs for row in bill(name)) for name in (kind, "real")]
    assert macs[0] == pytest.approx(macs[1], rel=0.04)


def test_the_naive_modules_cost_four_times_as_much_and_hand_on_what_they_read():
    assert [row.output_shape[0] for row in bill("naive")] == [52, 104]
    macs = [sum(row.macs for row in bill(name)) for name in ("naive", "real")]
    assert macs[0] / macs[1] == pytest.approx(3.91, abs=0.01)


@pytest.mark.parametrize("kind", ["real", "3x3", "5x5"])
def test_modules_of_equal_cost_hand_on_as_many_channels(kind):
    assert [row.output_shape for row in bill(kind)] == [(32, 14, 14), (60, 14, 14)]


@pytest.mark.parametrize("size", [3, 5])
def test_a_module_of_one_window_has_no_other(size):
    net = network(f"{size}x{size}")
    convs = [m for part in net[1:3] for m in part.modules() if isinstance(m, nn.Conv2d)]
    assert [conv.kernel_size[0] for conv in convs] == [1, size, 1, size]


def test_a_run_is_the_same_twice_and_reports_every_epoch():
    short = {"kind": "real", "seed": 1, "images": 64, "tests": 32, "epochs": 2}
    first = modules(**short)
    assert first == modules(**short)
    assert len(first["loss"]) == len(first["accuracy"]) == 2
    assert first["loss"][1] != first["loss"][0]
    assert torch.isfinite(torch.tensor(first["loss"])).all()
