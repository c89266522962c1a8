"""DenseNet against the tables of its paper, torchvision, and by hand."""

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs
from cnnlib.models.densenet import (
    DEPTHS,
    bottleneck_layer,
    dense_stages,
    densenet,
    densenet_bc_cifar,
    densenet_cifar,
    plain_layer,
    transition,
)


def meta_table(builder, *args, shape=(3, 224, 224)):
    with torch.device("meta"):
        return costs.table(builder(*args), shape)


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameters_and_macs_equal_torchvisions(depth):
    (weights,) = torchvision.models.get_model_weights(f"densenet{depth}")
    table = meta_table(densenet, depth)
    assert table.parameters == weights.meta["num_params"]
    assert round(table.macs / 1e9, 3) == weights.meta["_ops"]


@pytest.mark.parametrize(
    ("builder", "depth", "growth", "parameters", "macs"),
    [
        (densenet_cifar, 40, 12, 1_019_722, 264.8),
        (densenet_cifar, 100, 24, 27_249_082, 6889),
        (densenet_bc_cifar, 100, 12, 769_162, 287.9),
        (densenet_bc_cifar, 190, 40, 25_624_430, 9301.9),
    ],
)
def test_cifar_networks_have_the_papers_parameters(
    builder, depth, growth, parameters, macs
):
    # Table 2 rounds them to 1.0, 27.2, 0.8 and 25.6 million
    table = meta_table(builder, depth, growth, shape=(3, 32, 32))
    assert table.parameters == parameters
    assert table.macs / 1e6 == pytest.approx(macs, rel=5e-4)


def test_the_papers_networks_are_built_unless_others_are_asked_for():
    for builder, parameters in (
        (densenet_cifar, 1_019_722),
        (densenet_bc_cifar, 769_162),
    ):
        assert meta_table(builder, shape=(3, 32, 32)).parameters == parameters
    # the smallest: a layer in each block
    assert [len(block) for block in densenet_cifar(7, 4)[1:-1:2]] == [1, 1, 1]


def test_depth_is_the_number_of_layers_with_weights():
    for depth, (_, _, blocks) in DEPTHS.items():
        assert 2 * sum(blocks) + 1 + 3 + 1 == depth
    for builder, depth in [(densenet_cifar, 22), (densenet_bc_cifar, 22)]:
        layers = [
            m
            for m in builder(depth, 4).modules()
            if isinstance(m, nn.Conv2d | nn.Linear)
        ]
        assert len(layers) == depth


def test_stage_shapes_are_the_output_sizes_of_table_1():
    assert [row.output_shape for row in meta_table(densenet, 121)] == [
        *[(64, 56, 56), (64 + 6 * 32, 56, 56), (128, 28, 28)],
        *[(128 + 12 * 32, 28, 28), (256, 14, 14), (256 + 24 * 32, 14, 14)],
        *[(512, 7, 7), (512 + 16 * 32, 7, 7), (1000,)],
    ]


def numel(module):
    return sum(p.numel() for p in module.parameters())


def test_layers_and_transition_by_hand():
    # batch normalisation has two values per channel of its input, convolutions no bias
    assert numel(plain_layer(30, 12)) == 2 * 30 + 9 * 30 * 12
    bottleneck = 2 * 30 + 30 * 48 + 2 * 48 + 9 * 48 * 12
    assert numel(bottleneck_layer(30, 12)) == bottleneck
    assert numel(transition(30, 15)) == 2 * 30 + 30 * 15
    x = torch.randn(2, 30, 6, 9)
    assert bottleneck_layer(30, 12)(x).shape == (2, 42, 6, 9)
    assert transition(30, 15)(x).shape == (2, 15, 3, 4)


@pytest.mark.parametrize(
    ("compression", "kept"),
    # section 3 has the floor of compression times channels: 3.5, 5.6 and 7
    [(0.5, 3), (0.8, 5), (1, 7)],
)
def test_a_transition_keeps_no_fraction_of_a_channel(compression, kept):
    stages, channels = dense_stages(plain_layer, (1, 1), 4, 3, compression)
    x = torch.randn(1, 7, 4, 4)  # 4 channels of the stem and 3 of the first layer
    assert stages["transition1"](x).shape == (1, kept, 2, 2)
    assert channels == kept + 3


@pytest.mark.parametrize(("layer", "convs"), [(plain_layer, 1), (bottleneck_layer, 2)])
def test_a_layer_hands_on_its_input_and_normalises_before_it_convolves(layer, convs):
    dense, x = layer(6, 4), torch.randn(2, 6, 5, 5)
    assert torch.equal(dense(x)[:, :6], x)
    kinds = [type(m) for m in dense.modules() if not list(m.children())]
    assert kinds == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d] * convs


def test_a_transition_averages():
    net, x = transition(4, 2).eval(), torch.randn(1, 4, 6, 6)
    before = net[0](x)
    means = before.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(net(x), means)


def test_outputs_equal_torchvisions_with_its_parameters():
    torch.manual_seed(0)
    theirs = torchvision.models.densenet121(num_classes=10).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)
    with torch.device("meta"):
        ours = densenet(121, num_classes=10).eval()
    state = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(state), assign=True)
    x = torch.randn(2, 3, 64, 65)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_depths_that_do_not_exist_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"no densenet\(120\): choose from 121, 161,"):
        densenet(120)
    with pytest.raises(ValueError, match=r"^depth 41 is not 4 plus a multiple of 3, "):
        densenet_cifar(41)
    with pytest.raises(ValueError, match=r"^depth 43 is not 4 plus a multiple of 6, "):
        densenet_bc_cifar(43)
    with pytest.raises(ValueError, match="depth 4 is not"):
        densenet_cifar(4)
