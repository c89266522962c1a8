"""The two experiments on receptive fields: their networks and what they measure."""

import pytest
import torch
from torch import nn

from cnnlib import costs
from cnnlib.experiments import receptive_field, three_threes


def test_width_is_the_standard_deviation_in_pixels():
    box = torch.zeros(9, 9)
    box[2:5, 4:7] = 1 / 9
    assert receptive_field.width(box) == pytest.approx((2 / 3) ** 0.5)
    bar = torch.zeros(9, 9)
    bar[4, 2:7] = 1 / 5  # variances 0 and 2
    assert receptive_field.width(bar) == pytest.approx(1)


def test_influence_of_one_layer_is_its_squared_kernel():
    body = nn.Conv2d(1, 2, 3, padding=1)
    share = receptive_field.influence(body, torch.randn(4, 1, 7, 7))
    squares = body.weight.detach().square().sum((0, 1))
    torch.testing.assert_close(share[2:5, 2:5], squares / squares.sum())
    assert share.count_nonzero() == 9


@pytest.mark.parametrize(("padding", "side"), [(0, 1), (1, 9)])
def test_a_stack_of_depth_d_sees_2d_plus_1_pixels(padding, side):
    net = receptive_field.stack(depth=4, channels=5, padding=padding)
    body, head = costs.table(net, (1, 9, 9))
    assert body.receptive_field == (9, 9) and body.output_shape == (5, side, side)
    assert body.parameters == (9 + 1) * 5 + 3 * (9 * 5 + 1) * 5
    assert head.parameters == (5 + 1) * 10


def test_the_middle_of_a_picture_is_about_pixel_14():
    rows = torch.arange(28, dtype=torch.uint8).view(1, 1, 28, 1).expand(1, 1, 28, 28)
    pictures = receptive_field.data.Images(rows, torch.zeros(1, dtype=torch.int64))
    kept = receptive_field.middle(pictures, side=9).images
    assert kept.shape == (1, 1, 9, 9) and kept[0, 0, :, 0].tolist() == [*range(10, 19)]


@pytest.mark.parametrize("readout", ["one place", "average"])
def test_a_field_is_measured_before_and_after_training(readout):
    setting = {"readout": readout, "depth": 2, "seed": 0}
    row = receptive_field.field(**setting, images=256, tests=64, epochs=1)
    assert 0.6 < row["before"] < 1.8 and 0.6 < row["after"] < 1.8  # 1.15 in theory
    assert row["before"] != row["after"] and len(row["test_accuracy"]) == 1


@pytest.mark.parametrize("kind", three_threes.KINDS)
def test_all_blocks_see_seven_pixels(kind):
    block = nn.Sequential(three_threes.block(kind, channels=6))
    (row,) = costs.table(block, (6, 14, 14))
    assert row.receptive_field == (7, 7) and row.output_shape == (6, 14, 14)
    one = kind == "one 7x7"
    assert row.macs == 14 * 14 * 6 * 6 * (49 if one else 27)
    assert row.parameters == 6 * 6 * (49 if one else 27) + 6 * (1 if one else 3)


@pytest.mark.parametrize("kind", three_threes.KINDS)
def test_only_relu_keeps_a_block_from_being_linear(kind):
    torch.manual_seed(0)
    block = three_threes.block(kind, channels=6).double()
    zero, x, y = torch.zeros(3, 1, 6, 9, 9, dtype=torch.float64)
    x, y = torch.randn_like(x), torch.randn_like(y)
    with torch.no_grad():
        gap = block(x + y) + block(zero) - block(x) - block(y)
    assert (gap.abs().max() > 0.01) == kind.endswith("ReLU")


def test_a_stacked_network_trains():
    kind = "three 3x3, ReLU"
    row = three_threes.stacked(kind=kind, seed=0, images=512, tests=64, epochs=2)
    assert row["train_loss"][1] < row["train_loss"][0]
    assert row["parameters"] == (4 + 1) * 16 + 3 * (9 * 16 + 1) * 16 + (16 + 1) * 10
