"""ResNet against Table 1 of its paper, torchvision, d2l, and by hand."""

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs
from cnnlib.models.resnet import (
    DEPTHS,
    Residual,
    basic,
    bottleneck,
    plain,
    projection,
    resnet,
    three_layers,
    two_layers,
)


def meta_table(builder, *args, shape=(3, 224, 224)):
    with torch.device("meta"):
        return costs.table(builder(*args), shape)


def numel(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameters_and_macs_equal_torchvisions(depth):
    (meta,) = [
        weights.meta
        for weights in torchvision.models.get_model_weights(f"resnet{depth}")
        if weights.name == "IMAGENET1K_V1"
    ]
    table = meta_table(resnet, depth)
    assert table.parameters == meta["num_params"]
    assert round(table.macs / 1e9, 3) == meta["_ops"]


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_515_688), (34, 21_623_848)])
def test_plain_networks_are_residual_ones_less_three_projections(depth, parameters):
    # 1x1 convolutions from 64 to 128, 128 to 256 and 256 to 512, each with 2 values of
    # batch normalisation per channel
    projections = 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)
    table = meta_table(plain, depth)
    assert table.parameters == parameters
    assert table.parameters + projections == meta_table(resnet, depth).parameters
    macs = 64 * 128 * 28**2 + 128 * 256 * 14**2 + 256 * 512 * 7**2
    assert table.macs + macs == meta_table(resnet, depth).macs


def test_depth_is_the_number_of_layers_with_weights_on_the_longest_way():
    for depth, rows in DEPTHS.items():
        layers = 2 if depth < 50 else 3
        assert layers * sum(blocks for blocks, _ in rows) + 2 == depth


@pytest.mark.parametrize(("depth", "wider"), [(34, 1), (50, 4)])
def test_stage_shapes_are_the_output_sizes_of_table_1(depth, wider):
    assert [row.output_shape for row in meta_table(resnet, depth)] == [
        (64, 56, 56),
        (64 * wider, 56, 56),
        (128 * wider, 28, 28),
        (256 * wider, 14, 14),
        (512 * wider, 7, 7),
        (1000,),
    ]


def test_basic_block_with_stride_by_hand():
    block = basic(64, 128, 2)
    path = 9 * 64 * 128 + 9 * 128 * 128 + 4 * 128
    shortcut = 64 * 128 + 2 * 128
    assert [numel(child) for child in block.children()] == [path, shortcut]
    assert block(torch.randn(1, 64, 6, 8)).shape == (1, 128, 3, 4)


def test_bottleneck_with_stride_by_hand():
    with torch.device("meta"):
        block = bottleneck(256, 512, 2)
    path = 256 * 128 + 9 * 128 * 128 + 128 * 512 + 2 * (128 + 128 + 512)
    shortcut = 256 * 512 + 2 * 512
    assert [numel(child) for child in block.children()] == [path, shortcut]
    # on 56x56: the first 1x1 works at full size, the 3x3 and what follows at 28x28
    rows = costs.table(nn.Sequential(block), (256, 56, 56))
    full, half = 56 * 56, 28 * 28
    macs = full * 256 * 128 + half * (9 * 128 * 128 + 128 * 512 + 256 * 512)
    assert rows.macs == macs


def kinds(module):
    return [type(m) for m in module.modules() if not list(m.children())]


@pytest.mark.parametrize(("layers", "convs"), [(two_layers, 2), (three_layers, 3)])
def test_paths_end_in_normalisation_and_have_relu_between_convolutions(layers, convs):
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds(layers(8, 16, 1)) == (unit * convs)[:-1]


def test_a_plain_network_is_convolution_normalisation_and_relu_throughout():
    with torch.device("meta"):
        stages = list(plain(18).children())[1:-1]
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [kinds(stage) for stage in stages] == [unit * 4] * 4


def test_a_block_whose_path_gives_zero_is_relu():
    block = basic(4, 4, 1)
    nn.init.zeros_(block.path[-1][1].weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x.relu())
    assert isinstance(projection(4, 4, 1), nn.Identity)
    assert not isinstance(projection(4, 4, 2), nn.Identity)


def randomise_normalisation(net):
    """As after training: statistics and affine parameters that are not 0 and 1."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)


@pytest.mark.parametrize("depth", [18, 50])
def test_outputs_equal_torchvisions_with_its_parameters(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=10).eval()
    randomise_normalisation(theirs)
    with torch.device("meta"):
        ours = resnet(depth, num_classes=10).eval()
    state = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(state), assign=True)
    x = torch.randn(2, 3, 64, 65)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_unknown_depths_are_refused_with_the_depths_there_are():
    with pytest.raises(ValueError, match=r"no resnet\(20\): choose from 18, 34, 50"):
        resnet(20)
    with pytest.raises(ValueError, match=r"no plain\(50\): choose from 18, 34\."):
        plain(50)


def test_a_residual_block_adds_before_its_last_relu():
    block = Residual(nn.Conv2d(1, 1, 1), nn.Identity())
    nn.init.constant_(block.path.weight, -2.0)
    nn.init.zeros_(block.path.bias)
    x = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)
    assert block(x).flatten().tolist() == [0, 1]  # relu(-2 + 1), relu(2 - 1)
