"""The four ends of a network: what they share, and what their experiment stores."""

import pytest
import torch
from torch import nn

from cnnlib.experiments.nin import ENDS, ends, network


@pytest.mark.parametrize("end", ENDS)
def test_all_ends_read_the_same_maps_and_make_ten_logits(end):
    torch.manual_seed(0)
    net = network(end)
    maps = net[:-1](torch.zeros(2, 1, 28, 28))
    assert maps.shape == (2, 64, 7, 7) and net.end(maps).shape == (2, 10)
    dense = sum(isinstance(m, nn.Linear) for m in net.modules())
    assert dense == {"dense": 3, "dense, dropout": 3, "maps, dense": 1}.get(end, 0)
    dropouts = {m.p for m in net.modules() if isinstance(m, nn.Dropout)} - {0.0}
    assert dropouts == ({0.5} if "dropout" in end else set())


def test_class_maps_are_not_rectified():
    for end in ("maps, dense", "maps, average"):
        assert isinstance(network(end).end[0][-1], nn.Conv2d)


def test_accuracies_are_taken_after_some_epochs_and_the_loss_after_all():
    short = {"images": 40, "tests": 20, "epochs": 4, "every": 2}
    row = ends(end="maps, average", seed=0, **short)
    lengths = {key: len(values) for key, values in row.items()}
    assert lengths == {"train_loss": 4, "train_accuracy": 2, "test_accuracy": 2}
    assert row == ends(end="maps, average", seed=0, **short)
