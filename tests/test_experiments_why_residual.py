"""The operations on trained networks: what is bypassed, exchanged and counted."""

import pytest
import torch
from torch import nn

from cnnlib import data, train
from cnnlib.experiments import depth
from cnnlib.experiments.batch_norm import remeasured
from cnnlib.experiments.depth import KINDS
from cnnlib.experiments.surface import filter_normalised, plane, surface
from cnnlib.experiments.why_residual import (
    LESIONS,
    NETWORKS,
    added,
    answers,
    before_and_after,
    bypass,
    classes,
    first_to_last,
    lesions,
    mass,
    parts,
    shape,
    swaps,
    with_statistics_anew,
)
from cnnlib.models.resnet import Residual
from cnnlib.models.resnet_cifar import Sum, residual


def patient(name):
    """A network of the lesions as it is initialised."""
    kind, layers, _ = LESIONS[name]
    return KINDS[kind](layers, in_channels=1).eval()


@pytest.mark.parametrize("name", LESIONS)
def test_each_network_of_the_lesions_has_nine_blocks_and_is_the_sum_of_its_parts(name):
    torch.manual_seed(0)
    net = patient(name)
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


class Brightest(nn.Module):
    """The class of a picture is the number of its brightest pixel."""

    def forward(self, x):
        return x.flatten(1)


def test_classes_are_those_of_the_pictures_after_the_first(monkeypatch):
    images = data.fashion_mnist(1, 7)[1].images
    net = nn.Sequential()
    net.add_module("head", Brightest())
    expected = images.flatten(1).int().argmax(1).tolist()
    assert classes(net, images, "cpu").tolist() == [expected]
    assert classes(net, images, "cpu", first=3).tolist() == [expected[3:]]
    assert classes(net, images, "cpu", order=list(parts(net))).tolist() == [expected]


def test_statistics_anew_are_those_of_the_first_pictures():
    """As if they had been measured once more on these, and then held."""
    torch.manual_seed(0)
    net = patient("plain")
    images, labels = data.fashion_mnist(1, 300)[1]
    few = data.Batches(data.Images(images[:200], labels[:200]), 200)
    expected = remeasured(net, few).eval()
    copy = with_statistics_anew(net, 200)
    ((x, _),) = data.Batches(data.Images(images, labels), 300)
    with torch.no_grad():
        found, held, old = copy(x)[200:], expected(x)[200:], net(x)[200:]
    assert (found - held).norm() < 0.05 * (old - held).norm()
    assert any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


def test_only_neighbours_of_the_same_shape_are_exchanged():
    counts = {name: len(list(swaps(list(parts(patient(name)))))) for name in LESIONS}
    assert counts == {"residual": 4, "plain": 4, "stochastic depth": 4, "VGG": 3}
    steps = list(parts(patient("residual")))
    for order in swaps(steps):
        moved = [i for i, (a, b) in enumerate(zip(steps, order, strict=True)) if a != b]
        assert moved[1] == moved[0] + 1 and len(moved) == 2
        assert {id(m) for m, _ in order} == {id(m) for m, _ in steps}


def test_the_last_block_of_stochastic_depth_is_left_out_every_second_time():
    torch.manual_seed(0)
    net = patient("stochastic depth")
    drops = [block.path[-1].p for block, is_block in parts(net) if is_block]
    assert drops == pytest.approx([k / 18 for k in range(1, 10)])
    path = net.stage3[-1].path.train()
    x = torch.randn(4, 64, 7, 7)
    zeros = sum(not path(x).any() for _ in range(200))
    assert 70 < zeros < 130


SHORT = {"seed": 0, "images": 128, "tests": 100, "epochs": 1}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Trained networks are kept in a folder of the test."""
    monkeypatch.setattr(depth, "RUNS", tmp_path)


SMALL = {"seed": 0, "images": 128, "epochs": 1, "tests": 20, "fresh": 30}


def test_without_batch_norm_the_statistics_make_no_difference(runs):
    row = lesions(network="VGG", pictures=[0, 1], **SMALL)
    assert row["kept"] == row["anew"]


def test_the_digits_are_the_answers_to_the_pictures_subset_by_subset(runs):
    """What is counted for ten pictures is what their digits say, with either kind of
    statistics, which differ."""
    labels = data.fashion_mnist(1, 10)[1].labels.tolist()
    ten = list(range(10))
    row = lesions(network="plain", pictures=ten, **{**SMALL, "tests": 10})
    assert row["pictures"] == ten
    for statistics in ("kept", "anew"):
        digits, counts = row[statistics]["answers"], row[statistics]["subsets"]
        assert len(digits) == 512 * 10 and len(row[statistics]["swapped"]) == 4
        right = [
            sum(int(digits[10 * subset + i]) == labels[i] for i in ten)
            for subset in range(512)
        ]
        assert right == counts
    assert row["kept"]["answers"] != row["anew"]["answers"]


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def stack(*factors):
    """Residual blocks that multiply, between nothing and a sum of the places."""
    net = nn.Sequential()
    net.add_module("stem", nn.Identity())
    for index, factor in enumerate(factors):
        net.add_module(f"block{index}", Sum(Times(factor), nn.Identity()))
    net.add_module("head", nn.Flatten())
    return net


def test_what_a_block_adds_is_measured_against_what_it_was_given():
    x = torch.randn(5, 2, 3, 3)
    assert added(stack(0.5, 2.0), x) == pytest.approx([0.5, 2.0])
    doubled = Residual(Times(-0.25), Times(2.0))
    assert added(nn.Sequential(doubled), x) == pytest.approx([0.125])


def test_the_gradient_of_paths_is_counted_with_their_number():
    """Where every path through k blocks has the gain g^k, (n over k) g^k."""
    x, y = torch.randn(3, 2, 1, 2), torch.tensor([0, 1, 2])
    expected = torch.tensor([1, 3 * 0.5, 3 * 0.25, 0.125])
    shares = mass(stack(0.5, 0.5, 0.5), x, y, samples=2, seed=0)
    assert shares == pytest.approx((expected / expected.sum()).tolist(), rel=1e-4)


def test_first_and_last_are_those_of_the_convolutions():
    net = nn.Sequential(
        nn.Conv2d(1, 1, 1), Times(4.0), nn.Conv2d(1, 2, 1), nn.Flatten()
    )
    x, y = torch.randn(8, 1, 1, 1), torch.arange(8) % 2
    ratio = first_to_last(net, x, y)
    nn.functional.cross_entropy(net(x), y).backward()
    first, last = (net[i].weight.grad.norm().item() for i in (0, 2))
    assert ratio == pytest.approx(first / last)


def test_a_network_is_looked_into_before_and_after(runs):
    size = {"images": 128, "epochs": 1, "pictures": 8, "samples": 1}
    row = before_and_after(kind="residual", depth=8, seed=0, rate=0.1, **size)
    for when in ("before", "after"):
        assert len(row[when]["added"]) == 3 and len(row[when]["mass"]) == 4
        assert sum(row[when]["mass"]) == pytest.approx(1)
    assert row["before"]["cosine"] != row["after"]["cosine"]
    plain = before_and_after(kind="plain", depth=8, seed=0, rate=0.1, **size)
    assert set(plain["after"]) == {"first_to_last", "cosine"}
    assert plain["after"] != plain["before"]


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
