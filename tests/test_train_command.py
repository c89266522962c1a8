"""python -m cnnlib.train: several processes, interrupted runs, folders of pictures."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from cnnlib import models, train
from cnnlib.data import DataError
from cnnlib.folder import image_folder
from cnnlib.train import __main__ as command
from cnnlib.train import checkpoints

SMALL = ["lenet", "--images", "512", "--tests", "64", "--batch-size", "64"]
ENV = os.environ | {"CNNLIB_PRECISION": "float32", "OMP_NUM_THREADS": "1"}
# Runs the command in each process and keeps what that process saw and ended with.
WITNESS = """
import os, sys, torch
from cnnlib.train import __main__ as command
seen, batches = [], command.Progress.__iter__
def witness(self):
    for x, y in batches(self):
        seen.extend(x.double().flatten(1).sum(1).tolist())
        yield x, y
command.Progress.__iter__ = witness
folder = sys.argv.pop(1)
net = command.main()
torch.save([seen, net.state_dict()], f"{folder}/rank{os.environ['RANK']}")
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command in this process, in float32 on one thread; the network."""
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def call(*options, folder="here"):
        kept = ["--checkpoints", str(tmp_path / folder)]
        monkeypatch.setattr(sys, "argv", ["train", *map(str, options), *kept])
        return command.main()

    yield call
    torch.set_num_threads(threads)


def same(ours, theirs, **tolerance):
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, msg=name, **tolerance)


def test_two_processes_share_the_images_and_end_as_one_would(run, tmp_path):
    script = tmp_path / "witness.py"
    script.write_text(WITNESS)
    options = [*SMALL, "--epochs", "2", "--init", "glorot"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    there = ["--checkpoints", str(tmp_path / "there")]
    address = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    subprocess.run(
        [*launch, *address, script, tmp_path, *options, *there],
        env=ENV | {"PYTHONPATH": "."},
        check=True,
        capture_output=True,
    )
    (seen0, net0), (seen1, net1) = (torch.load(tmp_path / f"rank{r}") for r in (0, 1))
    assert len(seen0) == len(seen1) == 2 * 256
    for epoch in (slice(0, 256), slice(256, 512)):
        assert not set(seen0[epoch]) & set(seen1[epoch])
    same(net0, net1, rtol=0, atol=0)
    same(run(*options).state_dict(), net0, rtol=1e-4, atol=1e-5)
    alone, shared = (
        checkpoints.latest(tmp_path / name)["rows"] for name in ("here", "there")
    )
    for ours, theirs in zip(alone, shared, strict=True):
        assert ours[1:3] == pytest.approx(theirs[1:3], rel=1e-4)


def test_a_run_that_was_killed_ends_like_one_that_was_not(run, tmp_path):
    options = ["nin_small", *SMALL[1:], "--epochs", "4", "--augment"]  # has dropout
    expected = run(*options).state_dict()
    kept = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlib.train", *options, "--checkpoints", kept],
        env=ENV,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(kept.glob("epoch-*.pt")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (kept / "epoch-0004.pt").exists()
    same(run(*options, folder="killed").state_dict(), expected, rtol=0, atol=0)


def test_a_finished_run_is_not_run_again(run, tmp_path, capsys):
    net = run(*SMALL, "--epochs", "1").state_dict()
    assert "epoch 1: loss" in capsys.readouterr().out
    same(run(*SMALL, "--epochs", "1").state_dict(), net, rtol=0, atol=0)
    assert "epoch 1: loss" not in capsys.readouterr().out


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    for epoch in (1, 2, 3):
        checkpoints.save(tmp_path, epoch, {"epoch": epoch})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch-0002.pt",
        "epoch-0003.pt",
    ]
    assert checkpoints.latest(tmp_path) == {"epoch": 3}
    assert checkpoints.latest(tmp_path / "nothing here") is None


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, 1, {})
    assert not list(tmp_path.iterdir())


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "trap"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path, monkeypatch, capsys, damage
):
    monkeypatch.chdir(tmp_path)
    for epoch in (1, 2):
        path = checkpoints.save(tmp_path, epoch, {"w": torch.full((99,), float(epoch))})
    whole = path.read_bytes()
    middle = whole.index(torch.tensor(2.0).numpy().tobytes() * 50)
    flipped = whole[:middle] + b"\xff" + whole[middle + 1 :]
    if damage == "trap":
        torch.save(Trap(), path)
    else:
        path.write_bytes(
            {"cut": whole[:middle], "empty": b"", "flipped": flipped}[damage]
        )
    assert checkpoints.latest(tmp_path)["w"][0] == 1
    assert "epoch-0002.pt is no whole checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "trapped").exists()


@pytest.fixture
def pictures(tmp_path):
    """Twelve red and twelve blue pictures to train with, four of each to test."""
    root = tmp_path / "pictures"
    for part, count in (("train", 12), ("val", 4)):
        for name, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                picture = Image.new("RGB", (40 + i, 50), colour)
                picture.save(root / part / name / f"{i}.png")
    return root


def test_a_folder_of_pictures_is_learnt(run, pictures, tmp_path):
    options = ["--workers", "0", "--batch-size", "8", "--epochs", "4", "--lr", "0.01"]
    run("alexnet_small", "--data", pictures, *options)
    rows = checkpoints.latest(tmp_path / "here")["rows"]
    assert rows[-1][2] == 1.0
    assert rows[-1][1] < rows[0][1]


def test_processes_share_a_folder(pictures):
    seen = []
    for rank in (0, 1):
        options = {"batch_size": 5, "rank": rank, "world_size": 2}
        train_set, test_set = image_folder(pictures, 28, **options)
        train_set.generator.manual_seed(0)
        seen += [set(train_set.loader.sampler)]
        x, _ = next(iter(test_set))
        assert x.shape == (4, 3, 28, 28)
        assert (train_set.count, test_set.count, len(train_set)) == (12, 4, 3)
    assert not seen[0] & seen[1]


def test_a_folder_that_does_not_fit_is_refused(pictures):
    (pictures / "train" / "red" / "3.png").write_bytes(b"no picture")
    train_set, _ = image_folder(pictures, 28, batch_size=24)
    with pytest.raises(DataError, match=r"red/3\.png cannot be read as a picture"):
        list(train_set)
    (pictures / "val" / "blue").rename(pictures / "val" / "green")
    with pytest.raises(DataError, match="differ in their classes"):
        image_folder(pictures, 28, batch_size=8)
    with pytest.raises(DataError, match=r"nowhere/train is not a folder of pictures"):
        image_folder(pictures / "nowhere", 28, batch_size=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["lenett"], "no network is called 'lenett': choose from"),
        ([*SMALL, "--images", "70000"], "train=70,000 is not between"),
        ([*SMALL, "--epochs", "1", "--seed", "1"], "seed = 0, not 1: name another"),
    ],
)
def test_bad_input_gets_one_sentence(run, options, message):
    if "--seed" in options:
        run(*SMALL, "--epochs", "1")
    with pytest.raises(SystemExit, match=message) as refused:
        run(*options)
    assert "\n" not in str(refused.value)


def test_a_batch_that_cannot_be_shared_is_refused(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", *SMALL[:-1], "33"])
    with pytest.raises(ValueError, match="33 cannot be shared by 2 processes"):
        command._batches(command.parse(), 0, 2)


def test_networks_of_the_notes_take_grey_pictures_of_ten_classes_only():
    models.build("lenet_notes", in_channels=1, num_classes=10)
    with pytest.raises(ValueError, match="lenet_notes is for grey pictures of ten"):
        models.build("lenet_notes", in_channels=3, num_classes=10)
    head = models.build("resnet_small", in_channels=3, num_classes=7).head
    assert head[-1].out_features == 7
