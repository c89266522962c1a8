"""The networks of VGG's experiment: costs, and what linear means."""

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments.vgg import WINDOWS, window_net, window_stage, windows


def bill(window):
    return costs.table(window_net(*WINDOWS[window]), (1, 28, 28))


def stages(window):
    return [row for row in bill(window) if row.name.startswith("stage")]


@pytest.mark.parametrize(
    ("stack", "large", "ratio"),
    [("two 3x3", "one 5x5", 18 / 25), ("three 3x3", "one 7x7", 27 / 49)],
)
def test_a_stack_sees_what_its_large_window_sees_and_costs_less(stack, large, ratio):
    for small, whole in zip(stages(stack), stages(large), strict=True):
        assert small.receptive_field == whole.receptive_field
        assert small.output_shape == whole.output_shape
        assert small.macs / whole.macs == ratio
    for small, narrow in zip(stages(stack), stages(f"{large}, narrow"), strict=True):
        assert small.receptive_field == narrow.receptive_field
        assert small.macs == pytest.approx(narrow.macs, rel=0.025)
    assert bill(f"{stack}, linear") == bill(stack)


def test_a_linear_stack_is_linear_and_starts_with_the_variance_of_the_other():
    torch.manual_seed(0)
    x = torch.randn(8, 64, 32, 32)
    squares = {}
    for between in (nn.ReLU, nn.Identity):
        stage = window_stage(3, 3, between, 64)
        assert [type(m) for m in stage[-2:]] == [nn.ReLU, nn.MaxPool2d]
        body = stage[:-2]
        squares[between] = body(x)[:, :, 3:-3, 3:-3].pow(2).mean().item()
        for conv in stage[::2][:3]:
            assert not conv.bias.any()
        doubled = torch.allclose(body(-x), -body(x), atol=1e-4)
        assert doubled == (between is nn.Identity)
    assert squares[nn.Identity] == pytest.approx(squares[nn.ReLU], rel=0.3)


def test_a_run_is_repeated_to_the_bit():
    short = {"images": 64, "tests": 32, "epochs": 2}
    run = windows(window="two 3x3", seed=0, **short)
    assert run == windows(window="two 3x3", seed=0, **short)
    assert len(run["train_loss"]) == len(run["test_accuracy"]) == 2
