"""The networks and the changed pictures of the experiments on design patterns."""

import math

import pytest
import torch
from torch import nn

from cnnlib import costs, data, train
from cnnlib.experiments import patterns

BLACK = patterns.Changed.BLACK


def batch(count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 28, 28, generator=generator)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def macs(net, shape=(1, 28, 28)):
    return sum(row.macs for row in costs.table(net, shape))


def convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


def networks():
    return {
        **{name: patterns.shaped(widths) for name, widths in patterns.SHAPES.items()},
        **{way: patterns.halved(way) for way in patterns.HALVINGS},
        **{f"skip {n}": patterns.skipping(n) for n in (*patterns.LENGTHS, 0)},
        **{join: patterns.competing(join) for join in patterns.JOINS},
    }


@pytest.mark.parametrize("name", networks())
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    net, x = networks()[name], batch()
    nn.functional.cross_entropy(net(x), torch.arange(len(x))).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    "name", ["pyramid", "isotropic", "pool and strided", "skip 2", "maxout of 3, 5, 7"]
)
def test_a_few_pictures_are_learnt(name):
    torch.manual_seed(0)
    net, x = networks()[name], batch()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x), torch.arange(len(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


def test_the_pictures_to_train_on_are_never_held_out():
    mine, held_out = patterns.pictures(4_000)
    everything, test = data.fashion_mnist(10_000, 2_000)
    assert torch.equal(mine.images, everything.images[:4_000])
    assert torch.equal(held_out.images[:6_000], everything.images[4_000:])
    assert torch.equal(held_out.labels[6_000:], test.labels)


def test_accuracy_is_that_of_the_altered_pictures():
    class Bright(nn.Module):
        """Names class 0 where the middle of the picture is bright, else class 1."""

        def forward(self, x):
            bright = x[:, 0, 14, 14] > 0
            return torch.stack([bright, ~bright], 1).float()

    _, held_out = patterns.pictures(9_990)
    bright = held_out.images[:, 0, 14, 14] / 255 > data.MEAN
    for altered, sees_bright in (lambda x: x, bright), (lambda x: -x, ~bright):
        right = torch.where(sees_bright, 0, 1) == held_out.labels
        share = patterns.accuracy(Bright(), 9_990, altered)
        assert share == pytest.approx(right.float().mean().item(), abs=1e-6)


# Shapes of networks


@pytest.mark.parametrize("name", ["constant", "inverted", "isotropic"])
def test_the_shapes_cost_as_much_as_the_pyramid(name):
    pyramid, other = (
        macs(patterns.shaped(patterns.SHAPES[n])) for n in ("pyramid", name)
    )
    assert other == pytest.approx(pyramid, rel=0.03)


def test_costs_of_the_pyramid_by_hand():
    stem = 28 * 28 * 9 * 16
    stages = 196 * 9 * 512 + 49 * 9 * (512 + 1024) + 9 * 9 * (2048 + 4096)
    assert macs(patterns.shaped((16, 32, 64))) == stem + stages + 640


def test_the_wider_constant_network_has_the_parameters_of_the_pyramid():
    pyramid, wide = (
        parameters(patterns.shaped(patterns.SHAPES[name]))
        for name in ("pyramid", "constant, wider")
    )
    assert wide == pytest.approx(pyramid, rel=0.01)


@pytest.mark.parametrize("name", patterns.SHAPES)
def test_all_shapes_have_seven_convolutions(name):
    net = patterns.shaped(patterns.SHAPES[name])
    assert len(convolutions(net)) == 7
    assert net(batch()).shape == (6, 10)


def test_the_isotropic_network_keeps_maps_of_seven_by_seven():
    net, x, sides = patterns.shaped((29,)), batch(), []
    for layer in net[:7]:
        x = layer(x)
        sides.append(x.shape[2])
    assert sides == [7] * 7


# Halving


@pytest.mark.parametrize("way", patterns.HALVINGS)
def test_every_halving_halves_the_maps_and_doubles_the_channels(way):
    assert patterns.halving(way, 6)(torch.zeros(2, 6, 28, 28)).shape == (2, 12, 14, 14)


def test_what_the_halvings_cost():
    pooled, strided, more, both = (
        macs(patterns.halved(way)) for way in patterns.HALVINGS
    )
    assert pooled == strided < more
    assert both == pytest.approx(strided, rel=0.03)


def test_the_concatenation_keeps_the_maxima_first():
    x = torch.randn(2, 5, 8, 8)
    layer = patterns.halving("pool and strided", 5).eval()
    torch.testing.assert_close(layer(x)[:, :5], nn.functional.max_pool2d(x, 2))
    torch.testing.assert_close(layer(x)[:, 5:], layer.branches[1](x))


# Changed pictures


def test_without_a_change_pictures_stay_as_they_are():
    x = batch()
    torch.testing.assert_close(patterns.Changed(0, 0, 0)(x), x, atol=1e-5, rtol=0)
    changed = patterns.Changed(1, 4, 30)
    assert torch.equal(changed.eval()(x), x)


def test_always_flips_all_pictures():
    x = batch()
    flipped = patterns.Changed(0.5, 0, 0, always=True)(x)
    torch.testing.assert_close(flipped, x.flip(-1), atol=1e-5, rtol=0)


def test_half_of_the_pictures_are_flipped_in_training():
    x = batch(400)
    flipped = patterns.Changed(0.5, 0, 0)(x)
    kept = (flipped - x).abs().amax((1, 2, 3)) < 1e-4
    assert 150 < kept.sum() < 250


def test_shifts_are_whole_pixels_up_to_the_limit_and_black_comes_in():
    x = batch(300)
    shifted = patterns.Changed(0, 2, 0, seed=1)(x)
    found = set()
    for before, after in zip(x[:, 0], shifted[:, 0], strict=True):
        for down in range(-2, 3):
            for right in range(-2, 3):
                moved = torch.full((32, 32), BLACK)
                moved[2 + down : 30 + down, 2 + right : 30 + right] = before
                if torch.allclose(moved[2:30, 2:30], after, atol=1e-4):
                    found.add((down, right))
    assert len(found) == 25


def test_turns_keep_the_middle_and_reach_the_limit():
    x = torch.full((500, 1, 28, 28), BLACK)
    x[:, :, 13:15, 20:26] = 1  # a bar to the right of the centre
    turned = patterns.Changed(0, 0, 30, seed=2)(x) - BLACK
    rows = torch.arange(28.0).view(28, 1) - 13.5
    columns = torch.arange(28.0) - 13.5
    mass = turned.sum((1, 2, 3))
    angles = torch.atan2(
        (turned[:, 0] * rows).sum((1, 2)) / mass,
        (turned[:, 0] * columns).sum((1, 2)) / mass,
    )
    largest = angles.abs().max().item() * 180 / math.pi
    assert 27 < largest < 31
    assert (angles > 0).float().mean() == pytest.approx(0.5, abs=0.1)


def test_flipped_and_turned_is_turned_and_then_flipped():
    both, turned = (
        patterns.Changed(flip, 0, 30, seed=3, always=True)(batch(40)) for flip in (1, 0)
    )
    torch.testing.assert_close(both, turned.flip(-1), atol=1e-4, rtol=0)


def test_the_test_of_a_change_is_the_same_every_time():
    x = batch()
    first, second = (patterns.Changed(0, 4, 30, seed=99, always=True)(x) for _ in "ab")
    assert torch.equal(first, second)


# Shortcuts


@pytest.mark.parametrize("length", [*patterns.LENGTHS, 0])
def test_all_lengths_have_the_same_layers_and_parameters(length):
    net = patterns.skipping(length)
    assert len(convolutions(net)) == 33
    assert parameters(net) == parameters(patterns.skipping(2))
    shortcuts = sum(isinstance(m, patterns.Skip) for m in net.modules())
    assert shortcuts == (32 // length if length else 0)


def test_a_shortcut_adds_what_comes_in():
    block, x = patterns.Skip(4, 2).eval(), torch.rand(2, 4, 7, 7)
    with torch.no_grad():
        torch.testing.assert_close(block(x), (x + block.path(x)).relu())
        block.path[1][1].weight.zero_()
        block.path[1][1].bias.zero_()
    assert torch.equal(block(x), x)


def test_a_dropped_path_is_left_out_for_some_pictures_and_scaled_for_others():
    torch.manual_seed(0)
    block, x = patterns.Skip(4, 1, drop=0.25), torch.rand(200, 4, 7, 7)
    y = block(x)
    out = (y == x).all(3).all(2).all(1)
    assert 30 < out.sum() < 70
    with torch.no_grad():
        path = block.path(x)
    torch.testing.assert_close(y[~out], (x + path / 0.75).relu()[~out])
    block.eval()
    torch.testing.assert_close(block(x), (x + block.path(x)).relu())


# Competition


def test_kernels_are_joined_value_by_value():
    x = torch.randn(2, 3, 9, 9)
    for join, join_of in ("max", lambda v: v.amax(0)), ("mean", lambda v: v.mean(0)):
        layer = patterns.Branches(3, 4, (3, 5, 7), join).eval()
        values = torch.stack([branch(x) for branch in layer.branches])
        torch.testing.assert_close(layer(x), join_of(values))
        assert [m.kernel_size[0] for m in convolutions(layer)] == [3, 5, 7]


def test_a_scale_of_one_is_the_picture_in_a_frame():
    x = batch()
    framed = patterns.scaled(x, 1)
    torch.testing.assert_close(framed[:, :, 6:34, 6:34], x, atol=1e-5, rtol=0)
    framed[:, :, 6:34, 6:34] = BLACK
    assert (framed - BLACK).abs().max() < 1e-5


@pytest.mark.parametrize("scale", patterns.SCALES)
def test_a_scaled_garment_has_the_scale_of_its_sides(scale):
    x = torch.full((1, 1, 28, 28), BLACK)
    x[:, :, 4:24, 9:19] = 1
    bright = patterns.scaled(x, scale)[0, 0] > (1 + BLACK) / 2
    assert bright.any(1).sum() == pytest.approx(20 * scale, abs=1)
    assert bright.any(0).sum() == pytest.approx(10 * scale, abs=1)


def test_winners_are_shares_and_a_branch_that_is_always_larger_wins():
    net = patterns.competing("maxout of 3, 5, 7").to(train.device())
    x = patterns.scaled(batch(), 1).to(train.device())
    shares = patterns.winners(net, x)
    assert len(shares) == 3 and sum(shares) == pytest.approx(1)
    nn.init.constant_(net.compete1[0].branches[2][1].bias, 100)
    assert patterns.winners(net, x) == [0, 0, 1]


# The runs


@pytest.mark.parametrize(
    "job", ["shape", "halvings", "cover", "skips", "harder", "maxout"]
)
def test_a_run_is_the_same_twice(job, monkeypatch):
    few = data.fashion_mnist(100, 50)
    monkeypatch.setattr(data, "fashion_mnist", lambda *_: few)
    job = getattr(patterns, job)
    setting = job.settings[0] | {"images": 60, "epochs": 1}
    first, second = (job(**setting) for _ in range(2))
    assert first == second and len(first["train_loss"]) == 1


def test_few_and_many_pictures_are_seen_equally_often():
    assert len({n * epochs for n, epochs in patterns.FEW_AND_MANY.items()}) == 1
