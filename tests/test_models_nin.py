"""Network in Network against its author's files, and by hand."""

import torch
from torch import nn

from cnnlib import costs
from cnnlib.models.nin import mlpconv, nin, nin_cifar
from cnnlib.models.small import nin_small


def kinds(net):
    return [type(m) for m in net.modules() if not list(m.children())]


def test_cifar_network_by_hand():
    table = costs.table(nin_cifar(), (3, 32, 32))
    layers = [
        *[(25 * 3, 192, 32), (192, 160, 32), (160, 96, 32)],
        *[(25 * 96, 192, 16), (192, 192, 16), (192, 192, 16)],
        *[(9 * 192, 192, 8), (192, 192, 8), (192, 10, 8)],
    ]
    assert table.parameters == sum((n + 1) * out for n, out, _ in layers) == 966_986
    assert table.macs == sum(n * out * side**2 for n, out, side in layers)
    shapes = {row.name: row.output_shape for row in table}
    assert shapes["pool1"] == (96, 16, 16) and shapes["pool2"] == (192, 8, 8)
    assert shapes["block3"] == (10, 8, 8) and shapes["head"] == (10,)


def test_imagenet_network_has_the_size_of_its_authors_file():
    with torch.device("meta"):
        table = costs.table(nin(), (3, 224, 224))
    blocks = [
        (121 * 3 + 1) * 96 + 2 * 97 * 96,
        (25 * 96 + 1) * 256 + 2 * 257 * 256,
        (9 * 256 + 1) * 384 + 2 * 385 * 384,
        (9 * 384 + 1) * 1024 + 1025 * 1024 + 1025 * 1000,
    ]
    assert [row.parameters for row in table if row.parameters] == blocks
    assert round(4 * table.parameters / 2**20) == 29  # MB of the published weights
    assert [row.output_shape for row in table] == [
        *[(96, 54, 54), (96, 27, 27), (256, 27, 27), (256, 13, 13)],
        *[(384, 13, 13), (384, 6, 6), (384, 6, 6), (1000, 6, 6), (1000,)],
    ]


def test_mlpconv_is_a_dense_network_applied_to_every_window():
    torch.manual_seed(0)
    block = mlpconv(3, (6, 5, 4), 3, padding=1)
    assert kinds(block) == [nn.Conv2d, nn.ReLU] * 3
    x = torch.randn(1, 3, 7, 7)
    values = x[0, :, 2:5, 3:6].flatten()
    for conv in block[::2]:
        values = (conv.weight.flatten(1) @ values + conv.bias).relu()
    torch.testing.assert_close(block(x)[0, :, 3, 4], values)


def test_order_of_the_layers():
    block = [nn.Conv2d, nn.ReLU] * 3
    end = [nn.AdaptiveAvgPool2d, nn.Flatten]
    pool, average, dropout = nn.MaxPool2d, nn.AvgPool2d, nn.Dropout
    assert kinds(nin_cifar()) == [
        *[*block, pool, dropout],
        *[*block, average, dropout],
        *[*block, *end],
    ]
    with torch.device("meta"):
        net = nin()
    assert net.block1[0].padding == (0, 0)  # one pixel would change no shape
    assert kinds(net) == 3 * [*block, pool] + [dropout, *block, *end]
    for m in [*net.modules(), *nin_cifar().modules()]:
        assert not isinstance(m, nn.Dropout) or m.p == 0.5


def test_logits_are_the_means_of_the_class_maps():
    net, x = nin_small().eval(), torch.randn(2, 1, 28, 28)
    maps = nn.Sequential(*list(net.children())[:-1])(x)
    assert maps.shape == (2, 10, 6, 6)
    torch.testing.assert_close(net(x), maps.mean((2, 3)))
