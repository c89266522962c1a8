"""LeNet-5 against the tables of the 1998 paper, by hand, and by learning something."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlib import costs, data, init, models
from cnnlib.models.lenet import BITMAPS, C3_MAPS, ClassCodes, Subsampling, lenet, lenet5

NAMES = ["lenet5", "lenet", "lenet_notes"]


def shape_of(name):
    return models.NETWORKS[name].input_shape


def test_parameters_of_1998_layer_by_layer():
    rows = costs.table(lenet5(), (1, 32, 32))
    assert {row.name: row.parameters for row in rows} == {
        "c1": 6 * (25 + 1),
        "s2": 6 * 2,
        "c3": 6 * (3 * 25 + 1) + 9 * (4 * 25 + 1) + (6 * 25 + 1),
        "s4": 16 * 2,
        "c5": 120 * (16 * 25 + 1),
        "f6": 84 * (120 + 1),
        "output": 0,
    }
    assert rows.parameters == 60_000


def test_shapes_of_1998():
    shapes = [row.output_shape for row in costs.table(lenet5(), (1, 32, 32))]
    assert shapes == [
        *[(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)],
        *[(120, 1, 1), (84,), (10,)],
    ]


def test_table_1_of_the_paper_by_its_columns():
    # Table I counts: S2 maps 0..5 feed this many C3 maps each, and the sizes per map
    assert [len(seen) for seen in C3_MAPS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(C3_MAPS)) == 16
    fed = [sum(source in seen for seen in C3_MAPS) for source in range(6)]
    assert fed == [10] * 6 and sum(fed) == 60
    # the first six and the next six see neighbours on the ring 0..5, the three of 12 to
    # 14 do not
    ring = [set((start + step) % 6 for step in range(3)) for start in range(6)]
    assert {frozenset(seen) for seen in C3_MAPS[:6]} == set(map(frozenset, ring))
    ring = [set((start + step) % 6 for step in range(4)) for start in range(6)]
    assert {frozenset(seen) for seen in C3_MAPS[6:12]} == set(map(frozenset, ring))


def test_a_c3_map_depends_on_its_own_sources_alone():
    net = lenet5()
    x = torch.randn(1, 6, 14, 14, requires_grad=True)
    for index, seen in enumerate(C3_MAPS):
        (gradient,) = torch.autograd.grad(net.c3(x)[0, index].sum(), x)
        touched = gradient.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
        assert touched == list(seen)


def test_subsampling_is_coefficient_times_sum_plus_bias():
    layer = Subsampling(2)
    layer.coefficient.data = torch.tensor([2.0, 3.0]).view(2, 1, 1)
    layer.bias.data = torch.tensor([0.5, -1.0]).view(2, 1, 1)
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert layer(x).flatten().tolist() == [2 * (0 + 1 + 2 + 3) + 0.5, 3 * 22 - 1]
    assert Subsampling(2)(x).flatten().tolist() == [6 / 4, 22 / 4]  # begins as the mean


def test_scaled_tanh_maps_one_to_one_and_ends_at_its_amplitude():
    activation = lenet5().s2[1]
    x = torch.tensor([-1.0, 1.0, 0.0, 100.0])
    expected = torch.tensor([-1.0, 1.0, 0.0, 1.7159])
    torch.testing.assert_close(activation(x), expected, atol=1e-4, rtol=0)


def test_class_codes_are_84_signs_and_the_nearest_code_wins():
    layer = ClassCodes()
    assert layer.codes.shape == (10, 84) and (layer.codes.abs() == 1).all()
    assert (layer.codes == 1).sum() == BITMAPS.count("#")
    assert len({tuple(code) for code in layer.codes.tolist()}) == 10
    distances = torch.cdist(layer.codes, layer.codes).pow(2)
    torch.testing.assert_close(layer(layer.codes), -distances, atol=1e-3, rtol=0)
    assert layer(layer.codes).argmax(1).tolist() == list(range(10))
    assert not list(layer.parameters())


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("lenet5", 60_000, 117_600 + 60 * 25 * 100 + 48_000 + 10_080),
        ("lenet", 61_706, 117_600 + 240_000 + 48_000 + 10_080 + 840),
        ("lenet_notes", 44_426, 86_400 + 153_600 + 30_720 + 10_080 + 840),
    ],
)
def test_totals_by_hand_and_by_torchs_counter(name, parameters, macs):
    net, shape = models.build(name), shape_of(name)
    table = costs.table(net, shape)
    assert (table.parameters, table.macs) == (parameters, macs)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *shape))
    assert counter.get_total_flops() == 2 * macs


def test_dense_lenet_equals_d2ls():
    d2l = pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    theirs = d2l.LeNet()
    x = torch.randn(4, 1, 28, 28)
    theirs(x)  # makes its lazy layers
    ours = lenet()
    ours.load_state_dict(
        dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True))
    )
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_finite_gradient(name):
    net = models.build(name)
    net(torch.randn(2, *shape_of(name))).logsumexp(1).sum().backward()
    for parameter in net.parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_wrong_images_are_refused_in_one_sentence(name):
    net, (channels, height, width) = models.build(name), shape_of(name)
    for shape in [(2, 3, height, width), (2, channels, height - 1, width)]:
        with pytest.raises(ValueError, match=rf"^{name} needs .*; got \({shape[0]}, "):
            net(torch.zeros(shape))
    with pytest.raises(ValueError, match="got"):
        net(torch.zeros(channels, height, width))


@pytest.mark.parametrize(
    ("name", "scheme", "rate"),
    [("lenet5", init.lecun, 5e-3), ("lenet", init.glorot, 1e-2)],
)
def test_overfits_one_small_batch(name, scheme, rate):
    torch.manual_seed(0)
    net = models.build(name)
    net.apply(scheme)
    images = data.Images(*(part[:16] for part in data.fashion_mnist()[0]))
    x, y = next(iter(data.Batches(images, size=shape_of(name)[1])))
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    assert (net(x).argmax(1) == y).all()


def test_unknown_networks_are_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'lenet6'.*lenet5"):
        models.build("lenet6")
