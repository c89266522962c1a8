"""The operations on trained networks: what is bypassed, exchanged and counted."""

import pytest
import torch
from torch import nn

from cnnlib import data, train
from cnnlib.experiments.surface import filter_normalised, plane, surface
from cnnlib.experiments.why_residual import (
    LESIONS,
    NETWORKS,
    answers,
    answers_to,
    bypass,
    lesions,
    parts,
    shape,
    swaps,
)
from cnnlib.models.resnet_cifar import residual


@pytest.mark.parametrize("name", LESIONS)
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
    x = torch.tensor([[0.5, 0.0, 0.25], [0.0, 2.0, 0.0]]).view(2, 3, 1, 1)
    # 00: class 0; 01: the second block, class 2; 10: the first, class 1; both: class 2
    assert answers(steps, x).tolist() == [[0, 1], [2, 1], [1, 1], [2, 1]]


def test_answers_to_batches_stand_in_the_order_of_the_pictures():
    images, labels = data.fashion_mnist(1, 7)[1]
    steps = [(nn.Flatten(), False)]
    batches = data.Batches(data.Images(images, labels), 3)
    expected = images.flatten(1).int().argmax(1)
    assert answers_to(batches, steps).tolist() == [expected.tolist()]


def test_only_neighbours_of_the_same_shape_are_exchanged():
    counts = {
        name: len(list(swaps(list(parts(NETWORKS[name][0]()))))) for name in LESIONS
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


SHORT = {"seed": 0, "images": 128, "tests": 100, "epochs": 1}


def test_short_runs_repeat_themselves():
    row = lesions(network="VGG", **SHORT)
    assert row == lesions(network="VGG", **SHORT)
    assert row["subsets"][-1] / 100 == row["test_accuracy"]


def test_the_digits_are_the_answers_to_the_pictures_subset_by_subset():
    """What is counted for ten pictures is what their digits say."""
    labels = data.fashion_mnist(1, 10)[1].labels.tolist()
    ten = list(range(10))
    row = lesions(network="VGG", pictures=ten, **{**SHORT, "tests": 10})
    assert len(row["answers"]) == 512 * 10
    right = [
        sum(int(row["answers"][10 * subset + i]) == labels[i] for i in ten)
        for subset in range(512)
    ]
    assert right == row["subsets"]
    assert row["pictures"] == ten


def test_a_step_is_as_long_as_the_filter_and_leaves_scales_and_shifts():
    weights = torch.randn(5, 3, 3, 3) * torch.arange(1.0, 6).view(5, 1, 1, 1)
    step = filter_normalised(weights)
    lengths = [values.flatten(1).norm(dim=1) for values in (step, weights)]
    torch.testing.assert_close(*lengths)
    assert not torch.allclose(step, weights)
    assert not filter_normalised(torch.ones(4)).any()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_point_of_the_plane_is_the_loss_at_these_weights(fresh):
    """By hand at a = 1, b = -1, and in the middle; the network stays as it was."""
    torch.manual_seed(0)
    net = NETWORKS["plain"][0]().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
    x, y = torch.randn(8, 1, 28, 28), torch.arange(8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    one, other = ([filter_normalised(w) for w in net.parameters()] for _ in range(2))
    found = plane(net, one, other, (-1.0, 0.0, 1.0), x, y, fresh)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    for (i, j), (a, b) in {(1, 1): (0, 0), (2, 0): (1, -1)}.items():
        net.load_state_dict(before)
        with torch.no_grad(), train.autocast(x.device):
            for weights, way, across in zip(net.parameters(), one, other, strict=True):
                weights += a * way + b * across
            logits = net.train(fresh)(x)
        expected = nn.functional.cross_entropy(logits.float(), y)
        torch.testing.assert_close(found[i, j], expected, rtol=5e-3, atol=0)


def test_a_short_surface_repeats_itself_and_has_two_kinds_of_statistics():
    short = {"network": "residual", "points": 3, "pictures": 16, **SHORT}
    row = surface(**short)
    assert row == surface(**short)
    assert row["fresh"] != row["kept"]
    assert [len(line) for line in row["kept"]] == [3, 3, 3]
