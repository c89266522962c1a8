"""AlexNet against the numbers of its paper, and by hand."""

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs
from cnnlib.models.alexnet import alexnet, dense_layers, response_norm

SHAPE = (3, 227, 227)


def meta_table(towers):
    with torch.device("meta"):
        return costs.table(alexnet(towers), SHAPE)


def test_every_layer_of_two_towers_by_hand():
    # a filter of the second, fourth and fifth layer sees 48, 192 and 192 channels
    rows = {row.name: (row.parameters, row.macs) for row in meta_table(2)}
    weights = {
        "conv1": (96, 11 * 11 * 3, 55 * 55),
        "conv2": (256, 5 * 5 * 48, 27 * 27),
        "conv3": (384, 3 * 3 * 256, 13 * 13),
        "conv4": (384, 3 * 3 * 192, 13 * 13),
        "conv5": (256, 3 * 3 * 192, 13 * 13),
        "fc6": (4096, 256 * 6 * 6, 1),
        "fc7": (4096, 4096, 1),
        "fc8": (1000, 4096, 1),
    }
    for name, (filters, size, positions) in weights.items():
        assert rows[name] == (filters * (size + 1), filters * size * positions)


@pytest.mark.parametrize(
    ("towers", "parameters", "macs"),
    [(2, 60_965_224, 724_406_816), (1, 62_378_344, 1_135_256_096)],
)
def test_totals(towers, parameters, macs):
    table = meta_table(towers)
    assert (table.parameters, table.macs) == (parameters, macs)


def test_shapes_and_the_neurons_that_the_paper_counts():
    shapes = {row.name: row.output_shape for row in meta_table(2)}
    assert shapes["conv1"] == (96, 55, 55) and shapes["pool1"] == (96, 27, 27)
    assert shapes["conv2"] == (256, 27, 27) and shapes["pool2"] == (256, 13, 13)
    assert shapes["conv3"] == shapes["conv4"] == (384, 13, 13)
    assert shapes["conv5"] == (256, 13, 13) and shapes["pool5"] == (256, 6, 6)
    # "650,000 neurons", abstract
    neurons = [row.activations for row in meta_table(2) if row.parameters]
    assert sum(neurons) == 659_272
    fields = {row.name: row.receptive_field for row in meta_table(2)}
    assert fields["pool5"] == (195, 195)


def test_a_tower_does_not_see_the_other_ones_channels():
    conv2 = alexnet(2, num_classes=1).conv2[0]
    x = torch.randn(1, 96, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv2(x)[:, :128].sum(), x)
    seen = gradient.abs().sum((0, 2, 3)) > 0
    assert seen.tolist() == [True] * 48 + [False] * 48


def test_normalisation_is_the_formula_of_section_3_3():
    x = 50 * torch.rand(1, 9, 1, 1)
    y = response_norm()(x)
    for i in range(9):
        around = x[0, max(0, i - 2) : i + 3].square().sum()
        expected = x[0, i] / (2 + 1e-4 * around) ** 0.75
        torch.testing.assert_close(y[0, i], expected)


def test_normalisation_stands_behind_relu_and_before_pooling_twice():
    net = alexnet(num_classes=1)
    kinds = [type(m) for m in net.modules() if not list(m.children())]
    first = [nn.Conv2d, nn.ReLU, nn.LocalResponseNorm, nn.MaxPool2d]
    assert kinds[:8] == 2 * first
    assert kinds[8:] == [
        *[nn.Conv2d, nn.ReLU] * 3,
        *[nn.MaxPool2d, nn.Flatten],
        *[nn.Linear, nn.ReLU, nn.Dropout] * 2,
        nn.Linear,
    ]
    pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]


def test_dense_layers_are_those_of_torchvisions_alexnet():
    theirs = torchvision.models.AlexNet(num_classes=10).classifier.eval()
    with torch.device("meta"):
        ours = nn.Sequential(dense_layers(256 * 6 * 6, 4096, 10)).eval()
    parameters = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(parameters), assign=True)
    x = torch.randn(2, 256, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x.flatten(1)), rtol=1e-5, atol=1e-5)


def test_gradients_are_finite():
    net = alexnet(2, num_classes=10)
    net(torch.randn(2, *SHAPE)).logsumexp(1).sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
