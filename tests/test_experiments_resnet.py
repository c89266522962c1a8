"""The depth series of ResNet's chapter: what is equal, and which error is meant."""

import pytest
import torch

from cnnlib import costs, data
from cnnlib.experiments.resnet import DEPTH_SETTINGS, KINDS, trained

SHORT = {"images": 256, "tests": 64, "epochs": 2}


@pytest.mark.parametrize("depth", [20, 56])
def test_with_and_without_shortcuts_cost_the_same(depth):
    with torch.device("meta"):
        nets = [build(depth, in_channels=1) for build in KINDS.values()]
    plain, residual = (costs.table(net, (1, 28, 28)) for net in nets)
    assert plain == residual


def test_a_seed_fixes_a_run_and_shortcuts_change_it():
    runs = [trained(kind, 8, seed=1, **SHORT) for kind in ("plain", *["residual"] * 2)]
    assert runs[0]["train_loss"] != runs[1]["train_loss"]
    assert runs[1] == runs[2]


def test_the_training_error_is_that_of_the_training_pictures(monkeypatch):
    training, test = data.fashion_mnist(256, 64)
    test = data.Images(test.images, torch.full_like(test.labels, 3))
    monkeypatch.setattr(data, "fashion_mnist", lambda *sizes: (training, test))
    relabelled = trained("plain", 8, seed=0, **SHORT)
    monkeypatch.undo()
    usual = trained("plain", 8, seed=0, **SHORT)
    assert relabelled["train_error"] == usual["train_error"]
    assert relabelled["test_error"] != usual["test_error"]


def test_every_network_is_run_with_three_seeds():
    for kind, depth in {(s["kind"], s["depth"]) for s in DEPTH_SETTINGS}:
        alike = [s for s in DEPTH_SETTINGS if (s["kind"], s["depth"]) == (kind, depth)]
        assert sorted(s["seed"] for s in alike) == [0, 1, 2]
