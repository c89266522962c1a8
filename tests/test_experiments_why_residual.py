"""The operations on trained networks: what is bypassed, exchanged and counted."""

import pytest
import torch
from torch import nn

from cnnlib.experiments.why_residual import (
    NETWORKS,
    bypass,
    lesions,
    parts,
    right_answers,
    shape,
    swaps,
)
from cnnlib.models.resnet_cifar import residual


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_of_the_lesions_has_nine_blocks_and_is_the_sum_of_its_parts(name):
    torch.manual_seed(0)
    net = NETWORKS[name][0]().eval()
    steps = list(parts(net))
    assert sum(is_block for _, is_block in steps) == 9
    x = torch.randn(2, 1, 28, 28)
    expected, y = net(x), x
    for module, _ in steps:
        y = module(y)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("block_shape", [(16, 16, 1), (16, 32, 2)])
def test_a_bypass_is_what_a_residual_block_does_without_its_layers(block_shape):
    block = residual(*block_shape).eval()
    assert shape(block) == block_shape
    nn.init.zeros_(block.path[-1][1].weight)
    x = torch.rand(2, 16, 9, 9)
    torch.testing.assert_close(bypass(x, block), block(x), rtol=0, atol=0)


def test_the_index_of_a_subset_has_a_one_for_a_block_in_place_the_first_in_front():
    class Plus(nn.Conv2d):
        """Adds one channel's worth of evidence: 1 to class `which`."""

        def __init__(self, which):
            super().__init__(3, 3, 1)
            self.which = which

        def forward(self, x):
            one = torch.zeros_like(x)
            one[:, self.which] = 1
            return x + one

    start, head = nn.Identity(), nn.Flatten()
    steps = [(start, False), (Plus(1), True), (Plus(2), True), (head, False)]
    x = torch.tensor([0.5, 0.0, 0.25]).view(1, 3, 1, 1)
    answers = [right_answers(steps, x, torch.tensor([k])) for k in range(3)]
    # 00: class 0; 01: the second block, class 2; 10: the first, class 1; both: class 2
    assert answers == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]


def test_only_neighbours_of_the_same_shape_are_exchanged():
    counts = {
        name: len(list(swaps(list(parts(NETWORKS[name][0]()))))) for name in NETWORKS
    }
    assert counts == {"residual": 4, "plain": 4, "stochastic depth": 4, "VGG": 3}
    steps = list(parts(NETWORKS["residual"][0]()))
    for order in swaps(steps):
        moved = [i for i, (a, b) in enumerate(zip(steps, order, strict=True)) if a != b]
        assert moved[1] == moved[0] + 1 and len(moved) == 2
        assert {id(m) for m, _ in order} == {id(m) for m, _ in steps}


def test_the_last_block_of_stochastic_depth_is_left_out_every_second_time():
    torch.manual_seed(0)
    net = NETWORKS["stochastic depth"][0]()
    drops = [block.path[-1].p for block, is_block in parts(net) if is_block]
    assert drops == pytest.approx([k / 18 for k in range(1, 10)])
    path = net.stage3[-1].path.train()
    x = torch.randn(4, 64, 7, 7)
    zeros = sum(not path(x).any() for _ in range(200))
    assert 70 < zeros < 130


def test_short_runs_repeat_themselves():
    short = {"network": "VGG", "seed": 0, "images": 128, "tests": 100, "epochs": 1}
    row = lesions(**short)
    assert row == lesions(**short)
    assert row["subsets"][-1] / 100 == row["test_accuracy"]
