"""python -m cnnlib.train: several processes, interrupted runs, folders of pictures."""

import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from PIL import Image

from cnnlib import data, folder, models, train
from cnnlib.train import __main__ as command
from cnnlib.train import checkpoints, options

SMALL = ["lenet", "--images", "512", "--tests", "63", "--batch-size", "64"]
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
    chosen = [*SMALL, "--epochs", "2", "--init", "glorot"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    there = ["--checkpoints", str(tmp_path / "there")]
    address = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    address += ["--log-dir", tmp_path / "logs"]
    subprocess.run(
        [*launch, *address, script, tmp_path, *chosen, *there],
        env=ENV | {"PYTHONPATH": f".{os.pathsep}{os.environ['PYTHONPATH']}"},
        check=True,
        capture_output=True,
    )
    (seen0, net0), (seen1, net1) = (torch.load(tmp_path / f"rank{r}") for r in (0, 1))
    assert len(seen0) == len(seen1) == 2 * 256
    for epoch in (slice(0, 256), slice(256, 512)):
        assert not set(seen0[epoch]) & set(seen1[epoch])
    same(net0, net1, rtol=0, atol=0)
    same(run(*chosen).state_dict(), net0, rtol=1e-4, atol=1e-5)
    alone, shared = (
        checkpoints.latest(tmp_path / name)["rows"] for name in ("here", "there")
    )
    for ours, theirs in zip(alone, shared, strict=True):
        assert ours[1:3] == pytest.approx(theirs[1:3], rel=1e-4)


def test_a_run_that_was_killed_ends_like_one_that_was_not(run, tmp_path):
    options = ["nin_small", *SMALL[1:], "--epochs", "3", "--augment"]  # has dropout
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
    assert not (kept / "epoch-0003.pt").exists()
    same(run(*options, folder="killed").state_dict(), expected, rtol=0, atol=0)


def test_a_finished_run_is_not_run_again(run, tmp_path, capsys):
    net = run(*SMALL, "--epochs", "1").state_dict()
    assert "epoch 1: loss" in capsys.readouterr().out
    same(run(*SMALL, "--epochs", "1").state_dict(), net, rtol=0, atol=0)
    assert "epoch 1: loss" not in capsys.readouterr().out


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    folder = tmp_path / "runs" / "lenet"
    for epoch in (1, 2, 3):
        checkpoints.save(folder, epoch, {"epoch": epoch})
    assert sorted(p.name for p in folder.iterdir()) == [
        "epoch-0002.pt",
        "epoch-0003.pt",
    ]
    assert checkpoints.latest(folder) == {"epoch": 3}
    assert checkpoints.latest(tmp_path / "nothing here") is None


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(state, file):
        file.write(b"half")
        try:
            raise OSError(28, "No space left on device")
        finally:  # as torch does where the disk fills up within a tensor
            raise RuntimeError("unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, 1, {})
    assert not list(tmp_path.iterdir())


def test_what_torch_cannot_write_is_told_in_its_words(tmp_path, monkeypatch):
    def odd(state, file):
        raise RuntimeError("unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", odd)
    with pytest.raises(OSError) as refused:
        checkpoints.save(tmp_path, 1, {})
    assert str(refused.value) == (
        f"{tmp_path}/epoch-0001.pt cannot be written (unexpected pos 704 vs 598): make "
        "room for it, or name another folder with --checkpoints."
    )


def test_the_folder_of_the_checkpoints_is_made_and_tried(tmp_path):
    folder = tmp_path / "runs" / "lenet"
    for _ in range(2):
        checkpoints.prepare(folder)
    assert not list(folder.iterdir())


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="has no /proc")
def test_a_folder_of_checkpoints_that_takes_no_files_is_refused():
    with pytest.raises(OSError, match=r"^/proc cannot be written \("):
        checkpoints.prepare(pathlib.Path("/proc"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no full device")
@pytest.mark.parametrize("size", [9, 10**6])  # noticed at the end, or by torch
def test_a_full_disk_is_named_and_the_checkpoint_before_it_kept(tmp_path, size):
    kept = checkpoints.save(tmp_path, 1, {"w": torch.zeros(9)})
    (tmp_path / "epoch-0002.new").symlink_to("/dev/full")
    message = r"epoch-0002\.pt cannot be written \(No space left on device\): make"
    with pytest.raises(OSError, match=message):
        checkpoints.save(tmp_path, 2, {"w": torch.zeros(size)})
    assert list(tmp_path.iterdir()) == [kept]


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
    (line,) = capsys.readouterr().err.splitlines()
    named, _, reason = line.partition(", passed over: ")
    assert named == f"{path} is no whole checkpoint"
    assert reason and reason != "None"
    assert not (tmp_path / "trapped").exists()


def test_a_folder_of_pictures_is_learnt(run, pictures, tmp_path):
    options = ["--workers", "0", "--batch-size", "8", "--epochs", "4"]
    run("alexnet_small", "--data", pictures, *options)
    rows = checkpoints.latest(tmp_path / "here")["rows"]
    assert rows[-1][2] == 1.0
    assert rows[-1][1] < rows[0][1]


def test_a_run_begins_with_the_pictures_it_found(run, pictures, capsys):
    (pictures / "train" / "red" / "notes.txt").touch()
    for i in range(9):
        for part in ("train", "val"):
            (pictures / part / f"w{i}").mkdir()
            Image.new("RGB", (9, 9)).save(pictures / part / f"w{i}" / "0.png")
    run("nin_small", *folder_options(pictures), "--epochs", "1")
    assert (
        "pictures: 33 to train (blue 12, red 12, w0 1, w1 1, w2 1 and 6 classes more), "
        "17 to test (blue 4, red 4, w0 1, w1 1, w2 1 and 6 classes more); "
        "left out: 1 with .txt\n"
    ) in capsys.readouterr().out


def folder_options(pictures):
    return ["--data", pictures, "--workers", "0", "--batch-size", "8"]


@pytest.mark.parametrize("pictured", [True, False])
def test_a_checkpoint_has_what_its_network_needs(run, pictures, tmp_path, pictured):
    where = folder_options(pictures) if pictured else SMALL[1:]
    net = run("nin_small", *where, "--epochs", "1")
    state = checkpoints.latest(tmp_path / "here")
    model = state["model"]
    shape = {name: model[name] for name in ("in_channels", "num_classes")}
    again = models.build(model["network"], **shape)
    again.load_state_dict(state["net"])
    x = torch.rand(2, model["in_channels"], model["size"], model["size"])
    torch.testing.assert_close(again.eval()(x), net.eval()(x))
    if pictured:
        assert model["classes"] == ["blue", "red"]
        assert (model["mean"], model["std"]) == ([*folder.MEAN], [*folder.STD])
    else:
        assert model["classes"] == [*data.CLASSES]
        assert (model["mean"], model["std"]) == ([data.MEAN], [data.STD])


def renamed(part):
    (part / "red").rename(part / "scarlet")


def added(part):
    (part / "green").mkdir()
    Image.new("RGB", (9, 9)).save(part / "green" / "0.png")


@pytest.mark.parametrize(
    ("change", "difference"),
    [(renamed, "gone: red; new: scarlet"), (added, "gone: none; new: green")],
)
def test_a_run_does_not_go_on_with_other_classes(run, pictures, change, difference):
    options = ["nin_small", *folder_options(pictures), "--epochs", "1"]
    run(*options)
    for part in ("train", "val"):
        change(pictures / part)
    with pytest.raises(SystemExit, match=rf"other classes \({difference}\): name an"):
        run(*options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["lenett"], "no network is called 'lenett': choose from"),
        ([*SMALL, "--images", "70000"], "train=70,000 is not between"),
        ([*SMALL, "--epochs", "1", "--seed", "1"], "seed = 0, not 1: name another"),
        ([*SMALL, "--batch-size", "0"], "--batch-size 0: choose 1 or more"),
        ([*SMALL, "--batch-size", "-2"], "--batch-size -2: choose 1 or more"),
        ([*SMALL, "--epochs", "0"], "--epochs 0: choose 1 or more"),
        ([*SMALL, "--images", "0"], "--images 0: choose 1 or more"),
        ([*SMALL, "--tests", "0"], "--tests 0: choose 1 or more"),
        ([*SMALL, "--seed", "-1"], "--seed -1: choose 0 or more"),
        ([*SMALL, "--weight-decay", "nan"], "--weight-decay nan: choose 0 or more"),
        ([*SMALL, "--lr", "0"], r"--lr 0\.0: choose a number above 0"),
        ([*SMALL, "--lr", "inf"], "--lr inf: choose a number above 0"),
        ([*SMALL, "--workers", "-1"], "--workers -1: choose 0 or more"),
        ([*SMALL, "--workers", "9999"], "--workers 9999: choose at most"),
        (["alexnet_small", "--data", "nowhere"], "nowhere has no folder train"),
    ],
)
def test_bad_input_gets_one_sentence(run, options, message):
    if "seed = 0" in message:
        run(*SMALL, "--epochs", "1")
    with pytest.raises(SystemExit, match=message) as refused:
        run(*options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("place", ["here", "here/deeper"])
def test_an_unusable_checkpoint_folder_is_noticed_before_training(
    run, tmp_path, capsys, place
):
    (tmp_path / "here").touch()
    with pytest.raises(SystemExit, match=rf"{place} cannot be written \(.+\): ") as no:
        run(*SMALL, folder=place)
    assert "\n" not in str(no.value) and "epoch" not in capsys.readouterr().out


def test_a_small_shared_memory_is_noticed_before_workers_are_killed(
    run, pictures, monkeypatch, tmp_path
):
    monkeypatch.setattr(options, "SHARED_MEMORY", tmp_path)
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 2_000_000))
    where = ["--data", pictures, "--workers", "1"]
    with pytest.raises(SystemExit, match=r"--workers 1 needs 3 MB .* has 2 MB free"):
        run("resnet18", *where)


def test_what_goes_wrong_in_a_worker_ends_in_one_line(pictures, tmp_path):
    (pictures / "train" / "red" / "3.png").write_bytes(b"no picture")
    where = [*folder_options(pictures), "--checkpoints", tmp_path / "here"]
    done = subprocess.run(
        [sys.executable, "-m", "cnnlib.train", "nin_small", *where, "--workers", "1"],
        env=ENV,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cnnlib.train: {pictures}/train/red/3.png cannot be read")
    assert line.endswith("; delete or replace it.")


def test_a_worker_that_is_killed_ends_in_one_line(run, pictures):
    done = threading.Event()

    def kill_workers():
        while not done.wait(0.01):
            for worker in multiprocessing.active_children():
                worker.kill()

    thread = threading.Thread(target=kill_workers)
    thread.start()
    try:
        with pytest.raises(SystemExit, match="was killed, probably for want of memory"):
            run("nin_small", *folder_options(pictures), "--workers", "1")
    finally:
        done.set()
        thread.join()
