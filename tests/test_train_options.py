"""The options of python -m cnnlib.train by themselves: nothing is trained here."""

import os
import shutil
import sys

import pytest
import torch

from cnnlib import models
from cnnlib.train import options


@pytest.fixture
def parse(monkeypatch):
    """Parse a command line; LeNet's, unless a network is named."""

    def call(*line, description=""):
        monkeypatch.setattr(sys, "argv", ["train", *(line or ["lenet"])])
        return options.parse(description)

    return call


def test_the_help_describes_the_command_its_networks_and_its_options(
    parse, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        parse("--help", description="Trains.\n\n  an example   as it is")
    said = capsys.readouterr().out
    assert said.startswith("usage: cnnlib.train [-h] ")
    assert said.partition("\n\n")[2].startswith("Trains.\n\n  an example   as it is\n")
    said = " ".join(said.split())
    assert f"NETWORK one of {', '.join(models.names())} options" in said
    for part in (
        "--data FOLDER pictures in FOLDER/train/CLASS and FOLDER/val/CLASS (Fashion-",
        "--schedule {one-cycle,cosine,constant} (one-cycle)",
        "--weights torchvision|FILE to begin with: torchvision (ImageNet's, fetched), ",
        "--freeze STAGES how many stages keep those weights, from the first on (0)",
        "--workers WORKERS processes that decode a folder's pictures (up to 4, one ",
        "--checkpoints FOLDER where the run is kept (runs/NETWORK)",
    ):
        assert part in said


def test_the_run_is_kept_in_a_folder_of_the_network_or_in_one_of_choice(parse):
    assert str(parse("vgg11").checkpoints) == os.path.join("runs", "vgg11")
    assert str(parse("vgg11", "--checkpoints", "here").checkpoints) == "here"


def test_optimisers_are_adam_with_decay_and_sgd_with_momentum():
    weight = [torch.nn.Parameter(torch.ones(2))]
    assert type(options.OPTIMIZERS["adamw"](weight)) is torch.optim.AdamW
    momentum = options.OPTIMIZERS["momentum"](weight, lr=1)
    assert momentum.defaults["momentum"] == 0.9


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    allowed = {0: {2, 3, 5}}  # 0 is the process that asks
    monkeypatch.setattr(os, "sched_getaffinity", allowed.get, raising=False)
    assert options._cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert options._cores() == 7


def test_a_process_is_alone_unless_torchrun_says_otherwise(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert options._processes() == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert options._processes() == 3


def test_the_least_of_everything_is_allowed(parse):
    chosen = parse()
    for name, least in options.LEAST.items():
        setattr(chosen, name, least)
    chosen.lr = 1e-9
    options.check(chosen, 1)
    for name, least in options.LEAST.items():
        setattr(chosen, name, least - 1)
        with pytest.raises(ValueError, match=f"^--{name.replace('_', '-')} -?[01]: "):
            options.check(chosen, 1)
        setattr(chosen, name, least)


def test_only_trained_weights_can_be_kept(parse):
    options.check(parse("lenet", "--freeze=2", "--weights=torchvision"), 1)
    with pytest.raises(ValueError, match="--freeze 2 keeps trained layers: name some"):
        options.check(parse("lenet", "--freeze=2"), 1)


@pytest.mark.parametrize("rate", ["0", "-1", "inf", "nan"])
def test_a_learning_rate_is_finite_and_above_0(parse, rate):
    with pytest.raises(ValueError, match="choose a number above 0"):
        options.check(parse("lenet", f"--lr={rate}"), 1)


def test_a_batch_that_cannot_be_shared_is_refused(parse):
    chosen = parse("lenet", "--batch-size", "33")
    options.check(chosen, 3)
    with pytest.raises(ValueError, match="33 cannot be shared by 2 processes"):
        options.check(chosen, 2)


def test_workers_are_no_more_than_the_cores_of_all_processes(parse, monkeypatch):
    for cores, processes, workers in [(2, 1, 2), (64, 1, 4), (8, 4, 2), (2, 4, 0)]:
        monkeypatch.setattr(options, "_cores", lambda cores=cores: cores)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        chosen = parse()
        assert chosen.workers == workers
        options.check(chosen, processes)
    chosen.workers = 3
    with pytest.raises(ValueError, match="--workers 3: choose at most 2, the number"):
        options.check(chosen, 1)


@pytest.fixture
def room(monkeypatch, tmp_path):
    """Let shared memory have so many bytes."""
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(options, "SHARED_MEMORY", tmp_path)
    usage = type(shutil.disk_usage(tmp_path))

    def give(free):
        places = {tmp_path: usage(0, 0, free)}
        monkeypatch.setattr(shutil, "disk_usage", places.__getitem__)

    return give


def test_shared_memory_holds_two_batches_of_each_worker_and_two_of_the_loop(room):
    # 3 workers, 2 x 3 + 2 batches of 10 pictures, 3 x 100 x 100 bytes each: 2.4 MB
    room(2_000_000)  # counted in whole MB
    options.check_shared_memory(3, 10, 100, total=1000)
    room(1_999_999)
    with pytest.raises(ValueError, match=r"--workers 3 needs 2 MB .* has 1 MB free"):
        options.check_shared_memory(3, 10, 100, total=1000)
    options.check_shared_memory(3, 10, 100, total=50)  # pictures, 1.5 MB
    options.check_shared_memory(0, 10, 100, total=1000)


def test_every_process_of_a_machine_needs_its_own(room, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    room(3_999_999)
    with pytest.raises(ValueError, match=r"needs 4 MB .* has 3 MB free"):
        options.check_shared_memory(3, 10, 100, total=1000)


def test_where_there_is_no_shared_memory_nothing_is_asked(room, monkeypatch, tmp_path):
    room(0)
    monkeypatch.setattr(options, "SHARED_MEMORY", tmp_path / "nowhere")
    options.check_shared_memory(3, 10, 100, total=1000)
