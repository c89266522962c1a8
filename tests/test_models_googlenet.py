"""GoogLeNet against Table 1 of its paper, by hand, and by learning something."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import costs
from cnnlib.models.googlenet import (
    TABLE_1,
    Inception,
    googlenet,
    training_loss,
)

SHAPE = (3, 224, 224)


@pytest.fixture(scope="module")
def table():
    with torch.device("meta"):
        net = googlenet()
    return {row.name: row for row in costs.table(net, SHAPE)}


def weights(module):
    return sum(p.numel() for name, p in module.named_parameters() if "weight" in name)


def test_stage_shapes_are_the_output_sizes_of_table_1(table):
    assert {name: row.output_shape for name, row in table.items()} == {
        "conv1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "conv2": (192, 56, 56),
        "pool2": (192, 28, 28),
        "inception3a": (256, 28, 28),
        "inception3b": (480, 28, 28),
        "pool3": (480, 14, 14),
        "inception4a": (512, 14, 14),
        "inception4b": (512, 14, 14),
        "inception4c": (512, 14, 14),
        "inception4d": (528, 14, 14),
        "inception4e": (832, 14, 14),
        "pool4": (832, 7, 7),
        "inception5a": (832, 7, 7),
        "inception5b": (1024, 7, 7),
        "head": (1000,),
        "auxiliary": (),
    }


# in_channels, weights recomputed from the widths of Table 1, and the paper's own count
# of them in units of 1024 where the two agree (4c and 5a contradict their widths).
# fmt: off
AUDIT = {
    "3a": (192, 163_328, 159), "3b": (256, 388_096, 380), "4a": (480, 375_552, 364),
    "4b": (512, 448_512, 437), "4c": (512, 509_440, None), "4d": (512, 604_672, 580),
    "4e": (528, 867_328, 840), "5a": (832, 1_042_432, None),
    "5b": (832, 1_442_816, 1388),
}
# fmt: on


@pytest.mark.parametrize("name", AUDIT)
def test_every_block_has_the_weights_of_its_row(name):
    in_channels, expected, paper = AUDIT[name]
    block = Inception(in_channels, *TABLE_1[name])
    assert weights(block) == expected
    if paper:
        assert expected / 1024 == pytest.approx(paper, rel=0.02)


def test_block_3a_by_hand(table):
    with torch.device("meta"):
        block = Inception(192, 64, 96, 128, 16, 32, 32)
    by_hand = (
        192 * 64  # 1x1
        + 192 * 96 + 9 * 96 * 128  # 1x1 to 96, 3x3 to 128
        + 192 * 16 + 25 * 16 * 32  # 1x1 to 16, 5x5 to 32
        + 192 * 32  # max-pool, 1x1
    )  # fmt: skip
    assert weights(block) == by_hand == 163_328
    assert table["inception3a"].macs == 28 * 28 * by_hand
    biases = 64 + 96 + 128 + 16 + 32 + 32
    assert table["inception3a"].parameters == by_hand + biases


def test_branches_look_at_1_3_5_and_3_pixels_and_the_last_takes_the_largest():
    # one bright pixel in the middle of 7x7 and filters of ones: a branch is lit up
    # where its window holds the pixel, and as brightly
    block = Inception(1, 1, 1, 1, 1, 1, 1)
    for parameter in block.parameters():
        nn.init.constant_(parameter, float(parameter.ndim == 4))
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = 1
    y = block(x)[0]
    assert [(maps > 0).sum().item() for maps in y] == [1, 9, 25, 9]
    assert ((y == 0) | (y == 1)).all()


def test_branches_end_in_relu():
    torch.manual_seed(0)
    y = Inception(4, 2, 3, 5, 2, 7, 3)(torch.randn(2, 4, 6, 6))
    assert y.shape == (2, 2 + 5 + 7 + 3, 6, 6)
    assert (y >= 0).all() and (y == 0).any()


def test_parameters_at_inference_and_with_the_heads():
    with torch.device("meta"):
        net = googlenet()
    counts = {
        name: sum(p.numel() for p in head.parameters())
        for name, head in net.auxiliary.items()
    }
    assert counts == {
        "inception4a": 512 * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000,
        "inception4d": 528 * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000,
    }
    total = sum(p.numel() for p in net.parameters())
    assert total == 13_378_280
    assert total - sum(counts.values()) == 6_998_552


def test_trunk_has_the_macs_of_the_audited_table(table):
    # the paper's 1.5 G counts 34.0 M for its separable first layer, ours takes 118.0 M
    assert sum(row.macs for row in table.values()) == 1_582_671_872
    assert table["conv1"].macs == 112 * 112 * 64 * 7 * 7 * 3
    assert table["conv2"].macs == 56 * 56 * (64 * 64 + 9 * 64 * 192)


def test_normalisation_is_that_of_caffes_replica():
    # x / (1 + 1e-4 / 5 * sum over five neighbouring channels of x^2) ^ 0.75
    net = googlenet()
    for norm in (net.pool1[1], net.conv2[2]):
        x = 100 * torch.rand(1, 7, 2, 2)
        around = F.pad(x, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).square().sum(-1)
        torch.testing.assert_close(norm(x), x / (1 + 1e-4 / 5 * around) ** 0.75)


def test_training_loss_weighs_both_heads_with_three_tenths():
    labels = torch.tensor([0, 2])
    main, first, second = torch.randn(3, 2, 4).unbind()
    parts = [F.cross_entropy(logits, labels) for logits in (main, first, second)]
    expected = parts[0] + 0.3 * parts[1] + 0.3 * parts[2]
    torch.testing.assert_close(training_loss((main, first, second), labels), expected)


def test_in_training_heads_read_4a_and_4d_and_gradients_are_finite():
    torch.manual_seed(0)
    net = googlenet(1, 10)
    written, read = {}, {}
    for name, head in net.auxiliary.items():
        stage = net.get_submodule(name)
        stage.register_forward_hook(
            lambda _, x, y, name=name: written.update({name: y})
        )
        head.register_forward_pre_hook(
            lambda _, x, name=name: read.update({name: x[0]})
        )
    outputs = net(torch.randn(2, 1, 224, 224))
    assert [tuple(logits.shape) for logits in outputs] == [(2, 10)] * 3
    assert list(read) == ["inception4a", "inception4d"]
    assert all(read[name] is written[name] for name in read)
    training_loss(outputs, torch.tensor([1, 7])).backward()
    for parameter in net.parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


def test_pooling_and_dropout_are_those_of_the_paper():
    net = googlenet(1, 10)
    pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d)]
    assert sorted((pool.kernel_size, pool.stride) for pool in pools) == (
        [(3, 1)] * 9 + [(3, 2)] * 4
    )
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.4, 0.7, 0.7]


def test_heads_average_windows_of_five_at_a_distance_of_three():
    x = torch.randn(1, 512, 14, 14)
    y = googlenet(3, 2).auxiliary["inception4a"][0](x)
    assert y.shape == (1, 512, 4, 4)
    torch.testing.assert_close(y[0, 7, 1, 3], x[0, 7, 3:8, 9:14].mean())
