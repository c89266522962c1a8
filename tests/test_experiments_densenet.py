"""The residual networks that DenseNet is compared with."""

import pytest
from torch import nn

from cnnlib import costs
from cnnlib.experiments.densenet import KINDS, against_resnet, build

IMAGE = (1, 28, 28)


def test_the_rivals_have_the_parameters_or_the_macs_of_the_densenet():
    dense, parameters, macs = (costs.table(build(kind), IMAGE) for kind in KINDS)
    assert (dense.parameters, dense.macs) == (102_346, 8_310_348)
    assert parameters.parameters == pytest.approx(dense.parameters, rel=0.05)
    assert macs.macs == pytest.approx(dense.macs, rel=0.05)


@pytest.mark.parametrize(("kind", "width"), [(KINDS[1], 10), (KINDS[2], 16)])
def test_the_rivals_have_twenty_layers_and_the_map_sizes_of_the_densenet(kind, width):
    net = build(kind)
    sizes = [m.kernel_size[0] for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert sizes.count(3) + 1 == 20  # and two 1x1 projections, which do not count
    shapes = [row.output_shape for row in costs.table(net, IMAGE)]
    assert shapes == [
        *[(width, 14, 14), (width, 14, 14), (2 * width, 7, 7), (4 * width, 4, 4)],
        (10,),
    ]


def test_a_run_reports_every_epoch_and_the_end():
    row = against_resnet(
        kind=KINDS[1], rate=0.003, seed=0, images=256, tests=64, epochs=2
    )
    assert len(row["train_loss"]) == len(row["test_accuracy"]) == 2
    assert row["final"] == row["test_accuracy"][-1]  # fewer than 2,000 images
    assert row["train_loss"][1] < row["train_loss"][0] and row["cpu_seconds"] > 0
