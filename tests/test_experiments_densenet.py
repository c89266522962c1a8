"""The networks that DenseNet is compared with, and what is measured of each."""

import pytest
import torch
from torch import nn

from cnnlib import costs, data, train
from cnnlib.experiments.densenet import KINDS, against_resnet, build, judged

IMAGE = (1, 28, 28)


def layers(net):
    """Convolutions and dense layers, without those on a shortcut."""
    return [
        module
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]


def test_the_rivals_have_the_macs_of_the_densenet():
    dense, residual, bottlenecks = (costs.table(build(kind), IMAGE) for kind in KINDS)
    assert (dense.parameters, dense.macs) == (127_012, 8_416_032)
    assert 1 < residual.macs / dense.macs < 1.025
    assert 0.985 < bottlenecks.macs / dense.macs < 1


def test_all_have_twenty_layers_but_the_one_with_bottlenecks():
    assert [len(layers(build(kind))) for kind in KINDS] == [20, 20, 28]


def test_the_residual_network_has_the_map_sizes_of_the_densenet():
    shapes = [row.output_shape for row in costs.table(build(KINDS[1]), IMAGE)]
    assert shapes == [(16, 14, 14), (16, 14, 14), (32, 7, 7), (64, 4, 4), (10,)]


def test_the_dense_layers_are_plain_or_bottlenecks_of_growth_twelve():
    for kind, sizes in (KINDS[0], [3]), (KINDS[2], [1, 3]):
        for block in (1, 2, 3):
            for layer in build(kind).get_submodule(f"block{block}"):
                convs = layers(layer)
                assert [conv.kernel_size[0] for conv in convs] == sizes
                assert convs[-1].out_channels == 12


def test_a_network_is_judged_in_eval_mode_over_all_pictures():
    torch.manual_seed(0)
    net = build(KINDS[1])
    training, _ = data.fashion_mnist(50, 1)
    batches = data.Batches(training, 50)
    loss, accuracy = judged(net, batches)
    assert not net.training
    assert accuracy == train.evaluate(net, batches)
    assert judged(net, data.Batches(training, 20))[0] == pytest.approx(loss, rel=1e-2)
    x, y = next(iter(batches))
    with torch.no_grad(), train.autocast(x.device):
        logits = net(x).float()
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, y).item(), 1e-2)


def test_a_run_reports_every_epoch_and_the_end():
    row = against_resnet(
        kind=KINDS[1], rate=0.003, seed=0, images=256, tests=64, epochs=2
    )
    assert len(row["epochs"]) == 2
    assert row["test_accuracy"] == row["epochs"][-1]  # fewer than 1,000 pictures
    assert row["train_loss"] > 0 and row["test_loss"] > 0 and row["cpu_seconds"] > 0
    assert 0 <= row["train_accuracy"] <= 1
