"""The layers and pictures that the experiments on channels compare."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import data
from cnnlib.experiments import channels


def test_windows_with_one_table_everywhere_are_a_convolution():
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 3, 12, 12), torch.randn(5, 3, 5, 5)
    table = torch.arange(kernel.numel()).view(5, 75, 1).expand(5, 75, 16)
    layer = channels.Windows(table, 5, stride=2)
    layer.weight.data = kernel.flatten()
    torch.testing.assert_close(layer(x), F.conv2d(x, kernel, stride=2))


def test_a_locally_connected_value_hangs_on_the_weights_of_its_own_window():
    torch.manual_seed(0)
    layer = channels.layer("local", 2, 4, 12)
    x = torch.randn(1, 2, 12, 12, requires_grad=True)
    layer(x)[0, 3, 1, 2].backward()
    assert x.grad.nonzero()[:, 2:].unique(dim=0).tolist() == [
        [row, column] for row in range(2, 7) for column in range(4, 9)
    ]
    others = layer.weight.grad.view(4, 50, 16).nonzero()
    assert {(map, place) for map, _, place in others.tolist()} == {(3, 6)}
    assert len(others) == 50


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("dense", [784 * 8 * 144, 8 * 144 * 16 * 16]),
        ("local", [25 * 8 * 144, 8 * 25 * 16 * 16]),
        ("tied at random", [25 * 8, 8 * 25 * 16]),
        ("convolution", [25 * 8, 8 * 25 * 16]),
        ("wide convolution", [25 * 32, 32 * 25 * 64]),
    ],
)
def test_the_five_kinds_have_the_weights_of_their_formula(kind, weights):
    torch.manual_seed(0)
    net = channels.classifier(kind)
    found = [sum(p.numel() for p in net[i].parameters()) for i in (0, 2)]
    assert found == weights
    x = net[:4](torch.zeros(1, 1, 28, 28))
    assert x.shape[2:] == (4, 4)


@pytest.mark.parametrize("kind", ["convolution", "wide convolution", "local"])
def test_the_maximum_of_a_map_leaves_the_dense_layer_one_value_for_each(kind):
    torch.manual_seed(0)
    net = channels.classifier(kind, "maximum")
    maps = net[:4](torch.randn(3, 1, 28, 28))
    torch.testing.assert_close(net[4:6](maps), maps.amax((2, 3)))
    assert net[6].weight.shape == (10, maps.shape[1])


def test_all_kinds_begin_with_values_of_the_same_size():
    torch.manual_seed(0)
    x = torch.randn(64, 1, 28, 28)
    for kind in channels.KINDS:
        spread = channels.classifier(kind)[0](x).std().item()
        assert spread == pytest.approx(2**0.5, rel=0.3)


def test_pictures_anywhere_are_whole_and_half_as_large():
    torch.manual_seed(0)
    images = torch.randint(256, (40, 1, 28, 28), dtype=torch.uint8)
    moved = channels.anywhere(data.Images(images, torch.arange(40)), seed=3)
    small = F.avg_pool2d(images.float(), 2).round()
    assert torch.equal(moved.images.sum((1, 2, 3)), small.sum((1, 2, 3)).long())
    corners = set()
    for picture, wanted in zip(moved.images, small, strict=True):
        rows, columns = (picture[0].sum(d).nonzero().flatten() for d in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        corners.add((top, left))
        assert torch.equal(picture[:, top : top + 14, left : left + 14], wanted.byte())
    assert len(corners) > 30


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("full", 16 * 9 * 32 + 32 + 32 * 9 * 64 + 64),
        ("separable", 16 * 9 + 16 + 16 * 32 + 32 + 32 * 9 + 32 + 32 * 64 + 64),
        ("depthwise", 9 * 32 + 32 + 9 * 64 + 64),
        ("1x1", 16 * 32 + 32 + 32 * 64 + 64),
    ],
)
def test_the_blocks_have_the_parameters_of_their_formula(kind, parameters):
    net = channels.small_network(kind)
    assert sum(p.numel() for i in (2, 5) for p in net[i].parameters()) == parameters
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_only_with_a_relu_between_are_the_halves_of_a_block_no_linear_map():
    x, y = torch.randn(2, 4, 16, 6, 6)
    for kind in channels.BLOCKS:
        torch.manual_seed(0)
        block = channels.block(kind, 16, 32)
        zero = block(torch.zeros_like(x))
        sums = [block(x + y) + zero, block(x) + block(y)]  # biases count once
        linear = torch.allclose(*sums, atol=1e-5)
        assert linear == (kind != "ReLU between"), kind
