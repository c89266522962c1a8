"""Networks trained to the end: what is equal, which error is meant, and a stop."""

import pytest
import torch

from cnnlib import costs, data
from cnnlib.experiments import depth
from cnnlib.experiments.depth import (
    CONTROLS,
    DEPTH_SETTINGS,
    KINDS,
    PRE_ACTIVATION_SETTINGS,
    SERIES,
    curves,
    recipe,
    to_the_end,
)
from cnnlib.train import checkpoints


@pytest.mark.parametrize("layers", [20, 56])
def test_with_and_without_shortcuts_cost_the_same(layers):
    with torch.device("meta"):
        nets = [KINDS[kind](layers, in_channels=1) for kind in SERIES]
    plain, residual = (costs.table(net, (1, 28, 28)) for net in nets)
    assert plain == residual


def few_epochs(kind, seed):
    net, batches, optimizer = recipe(kind, 8, seed, images=256)
    return curves(net, batches, optimizer, epochs=2, tests=64)


def test_a_seed_fixes_a_run_and_shortcuts_change_it():
    runs = [few_epochs(kind, seed=1) for kind in ("plain", *["residual"] * 2)]
    assert runs[0]["train_loss"] != runs[1]["train_loss"]
    assert runs[1] == runs[2]


def test_the_training_error_is_that_of_the_training_pictures(monkeypatch):
    training, test = data.fashion_mnist(256, 64)
    test = data.Images(test.images, torch.full_like(test.labels, 3))
    monkeypatch.setattr(data, "fashion_mnist", lambda *sizes: (training, test))
    relabelled = few_epochs("plain", seed=0)
    monkeypatch.undo()
    usual = few_epochs("plain", seed=0)
    assert relabelled["train_error"] == usual["train_error"]
    assert relabelled["test_error"] != usual["test_error"]


@pytest.mark.parametrize(
    ("kind", "layers"), [("residual", 8), ("stochastic depth", 8), ("VGG", 6)]
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    kind, layers, tmp_path, monkeypatch
):
    """To the last bit, dropout and blocks that are left out at random included."""
    size = {"epochs": 3, "tests": 64}

    def run(folder):
        net, batches, optimizer = recipe(kind, layers, 0, 0.03, images=256)
        return net, curves(net, batches, optimizer, folder=folder, **size)

    net, whole = run(tmp_path / "whole")
    save = checkpoints.save

    def stop(folder, epoch, state):
        save(folder, epoch, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped")
    monkeypatch.undo()
    torch.manual_seed(9)
    resumed, found = run(tmp_path / "stopped")
    assert found == whole
    for name, value in net.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_what_was_trained_to_the_end_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(depth, "RUNS", tmp_path)
    size = {"images": 128, "epochs": 1}
    net, batches, found = to_the_end("plain", 8, 0, **size)
    assert not net.training and len(batches.images) == 128
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    again, _, same = to_the_end("plain", 8, 0, **size)
    assert same == found
    assert torch.equal(again.stem[0][0].weight, net.stem[0][0].weight)
    with pytest.raises(TypeError):
        to_the_end("plain", 8, 1, **size)  # another seed is another run


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        (DEPTH_SETTINGS, SERIES),
        (PRE_ACTIVATION_SETTINGS, ["pre-activation"]),
        (CONTROLS, ["residual"]),
    ],
)
def test_twenty_and_fiftysix_layers_are_run_with_three_seeds(settings, kinds):
    for kind in kinds:
        for layers in (20, 56):
            seeds = [
                s["seed"]
                for s in settings
                if (s["kind"], s["depth"], s["rate"]) == (kind, layers, 0.1)
            ]
            assert sorted(seeds) == [0, 1, 2]
