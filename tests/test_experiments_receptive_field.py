"""One layer of 7x7 and three of 3x3: the same field, and without ReLU the same map."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import costs, init
from cnnlib.experiments import receptive_field


@pytest.mark.parametrize("kind", receptive_field.KINDS)
def test_every_block_keeps_the_size_and_sees_seven_pixels(kind):
    block = receptive_field.block(kind)
    row = costs.table(nn.Sequential(block), (16, 14, 14))[-1]
    assert row.output_shape == (16, 14, 14) and row.receptive_field == (7, 7)
    weights = 49 * 256 + 16 if kind.startswith("one") else 3 * (9 * 256 + 16)
    assert sum(p.numel() for p in block.parameters()) == weights


def test_layers_in_a_row_are_one_layer():
    torch.manual_seed(0)
    sizes = ((2, 3, 3), (3, 5, 2), (5, 4, 3))
    layers = [nn.Conv2d(*size, dtype=torch.float64) for size in sizes]
    x = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    expected = nn.Sequential(*layers)(x)
    torch.testing.assert_close(
        F.conv2d(x, *receptive_field.composed(*layers)), expected
    )


def test_the_large_layer_can_start_as_the_stack():
    torch.manual_seed(0)
    net = receptive_field.network("one 7x7, started as three")
    large, x = net[2], torch.randn(2, 16, 14, 14)
    spread = large[1].weight.std().item()
    he = receptive_field.block("one 7x7").apply(init.he)[1].weight.std().item()
    assert spread > 1.5 * he  # three gains of 2 and no ReLU between them
    middle = large[1].weight[:, :, 3, 3].std()
    assert middle > 5 * large[1].weight[:, :, 0, 0].std()  # many paths end there
    assert large(x).shape == x.shape
