"""The library, the experiments, the command and a chapter where torch sees a GPU: one
that is there, else a pretended one, so that every machine can run them."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from nbformat.v4 import new_code_cell, new_output

from cnnlib import costs, data, experiments, gradients, init, models, train
from cnnlib.experiments import early_exit, exits, transfer
from cnnlib.folder import image_folder
from cnnlib.models.resnet_cifar import resnet_cifar
from cnnlib.train import checkpoints
from tests.pretend_gpu import fast_precision
from tests.test_models import DEEPER, SMALLEST

ROOT = Path(__file__).parents[1]
ZERO = torch.device("cuda", 0)
PRETENDED = not torch.cuda.is_available()
HEAVY = {"alexnet", "alexnet_one_tower", "alexnet_notes", "vgg11_notes"}
HEAVY |= {"vgg11", "vgg13", "vgg16", "vgg19"}  # 46 to 144 million parameters
HEAVY |= {"resnet101", "resnet152", "wide_resnet50", "preact_cifar110"}
HEAVY |= {"densenet161", "densenet169", "densenet201"}  # others of the family are tried
# What an experiment is run with: the smallest sizes that it takes.
SIZES = {
    "images": 100,
    "tests": 50,
    "epochs": 1,
    "quick_tests": 20,
    "pool": 200,
    "shown": 200,
    "points": 2,
    "fresh": 10,
    "samples": 1,
    "passes": 100,
    "marks": (0.1,),
    "updates": 2,
}
# Two to ten seconds a run: `make test-slow`, but for one of the largest.
SLOW = ("googlenet", "why-residual", "channels-anywhere")
SLOW += ("transfer", "detection", "style", "seeing", "pooling", "patterns-maxout")
SLOW += ("patterns-cover", "patterns-skips", "exits-early", "batch-norm-noise")
ALL_THE_SAME = ("googlenet-heads", "He")
PATHS = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
ENV = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(PATHS)}
PRECISION = fast_precision() if PRETENDED else "bfloat16"
WORD = {"bfloat16": "bf16", "float32": "fp32"}[PRECISION]
ENV["CNNLIB_PRECISION"] = PRECISION


def pixels(name):
    """The smallest picture that the network takes, or 32 pixels for deeper ones."""
    _, height, _ = models.find(name).input_shape
    if name in DEEPER and not name.startswith("vgg"):
        return min(height, 32)
    return SMALLEST.get(name, height)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.weekly if name in HEAVY else ())
        for name in models.names()
    ],
)
def test_a_network_learns_on_the_gpu_with_its_loss(gpu, name):
    net = models.build(name).to(gpu)
    channels, size = models.find(name).input_shape[0], pixels(name)
    x = torch.randn(2, channels, size, size, device=gpu)
    y = torch.tensor([1, 2], device=gpu)
    with train.autocast(gpu):
        loss = models.find(name).loss(net(x), y)
    loss.backward()
    assert loss.device == ZERO and loss.isfinite()
    assert all(p.grad.device == ZERO for p in net.parameters())


def test_costs_are_the_same_for_a_network_on_the_gpu(gpu):
    net = models.build("resnet_small")
    expected = costs.table(net, (1, 28, 28))
    assert costs.table(net.to(gpu), (1, 28, 28)) == expected
    assert next(net.parameters()).device == ZERO


def test_batches_are_made_on_the_gpu_and_are_those_of_the_cpu(gpu):
    pictures, _ = data.fashion_mnist(50)
    options = {"shuffle": True, "flip": True, "crop": 2, "size": 32, "seed": 3}
    ours, theirs = (
        list(data.Batches(pictures, 20, device=device, **options))
        for device in (gpu, "cpu")
    )
    for (x, y), (expected, labels) in zip(ours, theirs, strict=True):
        assert x.device == y.device == ZERO
        torch.testing.assert_close(x.cpu(), expected)
        assert torch.equal(y.cpu(), labels)


def test_a_folder_of_pictures_is_learnt_on_the_gpu(gpu, pictures):
    torch.manual_seed(0)
    training, test = image_folder(pictures, 28, batch_size=8, device=gpu)
    x, y = next(iter(test))
    assert x.device == y.device == ZERO
    net = models.build("alexnet_small", in_channels=3, num_classes=2).apply(init.he)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    *_, row = train.fit(net, training, test, 4, optimizer)
    assert row.test_accuracy == 1


def test_fit_learns_on_the_gpu(gpu, monkeypatch):
    monkeypatch.setenv("CNNLIB_PRECISION", "bfloat16")
    train.precision.cache_clear()
    torch.manual_seed(0)
    training, test = data.fashion_mnist(300, 100)
    net = models.build("lenet").apply(init.glorot)
    batches = data.Batches(training, 30, shuffle=True, device=gpu)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    held_out = data.Batches(test, device=gpu)
    outputs = set()
    net.c1.register_forward_hook(lambda _, inputs, y: outputs.add((y.device, y.dtype)))
    first, *_, last = train.fit(net, batches, held_out, 6, optimizer)
    assert outputs == {(ZERO, torch.bfloat16)}
    assert last.train_loss < 0.8 * first.train_loss
    assert last.test_accuracy > 0.3
    assert all(tensor.device == ZERO for tensor in net.state_dict().values())


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_fused_optimisers_step_on_the_gpu(gpu, optimizer):
    pictures, _ = data.fashion_mnist(8)
    net = models.build("resnet_small")
    before = [p.detach().clone() for p in net.parameters()]
    batches = data.Batches(pictures, device=gpu)
    steps = optimizer(net.parameters(), lr=0.1, fused=True)
    list(train.fit(net, batches, batches, 1, steps, schedule="constant"))
    for old, new in zip(before, net.parameters(), strict=True):
        assert not torch.equal(old, new.cpu())


def test_gradients_are_measured_on_the_gpu(gpu):
    torch.manual_seed(0)
    stack = gradients.dense_stack(3, 8, norm=gradients.Standardise).to(gpu)
    x = torch.randn(5, 8, device=gpu)
    found = gradients.input_gradients(stack, x)
    assert found.device == ZERO and found.shape == x.shape
    assert -1 <= gradients.mean_cosine(found) <= 1
    assert -1 <= gradients.autocorrelation(found[0], 1) <= 1
    net = resnet_cifar(8).to(gpu)
    blocks = [m for m in net.modules() if hasattr(m, "shortcut")]
    with gradients.one_path(blocks, {0}):
        loss = F.cross_entropy(net(torch.randn(2, 3, 8, 8, device=gpu)), y_of(gpu))
        loss.backward()
    assert all(p.grad.device == ZERO for p in net.stem.parameters())


def y_of(device):
    return torch.tensor([0, 1], device=device)


def runs():
    """Of every experiment one setting for each value of the first of its keys; of most
    `make test` runs the first one, and `make test-slow` the others."""
    for name in experiments.names():
        by_value = {}
        for setting in experiments.find(name).settings:
            by_value.setdefault(next(iter(setting.values())), setting)
        for place, (value, setting) in enumerate(by_value.items()):
            usual = place == 0 and not name.startswith(SLOW)
            usual |= (name, value) == ALL_THE_SAME
            marks = () if usual else pytest.mark.weekly
            yield pytest.param(name, setting, id=f"{name}-{value}", marks=marks)


@pytest.mark.parametrize(("name", "setting"), list(runs()))
def test_an_experiment_runs_on_the_gpu(gpu, name, setting, monkeypatch, tmp_path):
    for module in (experiments.depth, experiments.looks_linear):
        monkeypatch.setattr(module, "RUNS", tmp_path)
    job = experiments.find(name)
    known = set(inspect.signature(job.run).parameters)
    if "size" in known:  # what it is trained with
        known |= {"images", "tests", "epochs"}
    if name == "why-residual-inside" or name.startswith("looks-linear"):
        known.remove("tests")  # they measure networks, or compare their losses
    sizes = {key: value for key, value in SIZES.items() if key in known}
    if name == "why-residual-lesions":
        sizes["pictures"] = (0, 1)
    if name.startswith("looks-linear"):
        sizes["depth"] = 8
    if name in ("transfer-law", "transfer-source"):
        sizes["sizes"] = (5,)
        monkeypatch.setattr(transfer, "cats", partial(transfer.cats, most=5))
    if name == "transfer-line":
        sizes |= {"most": 5, "steps": 2}
    if name == "seeing-steps":
        sizes["climbed"] = (0, 2)
    if name.startswith("exits"):
        for part in ("TRAINING", "VALIDATION", "TESTS"):
            monkeypatch.setattr(exits, part, 16)
        monkeypatch.setattr(early_exit, "learn", partial(early_exit.learn, steps=2))
        sizes |= {"steps": 2} if "steps" in setting else {}
    if name == "style-textures":
        sizes |= {"steps": 2, "images": 100, "tests": 50, "epochs": 1}
    count = 1_010 if name == "exits-early" else 50  # 1,000 choose the threshold
    few, digits = data.fashion_mnist(200, count), data.digits(100, 50)
    monkeypatch.setattr(data, "digits", lambda *_: digits)

    def fashion_mnist(train=200, test=count):
        return cut(few, train, test)

    monkeypatch.setattr(data, "fashion_mnist", fashion_mnist)
    assert json.dumps(job(**{**setting, **sizes}))  # numbers, and no tensor


def cut(parts, *sizes):
    """The first pictures of both parts, fewer where an experiment's sizes are fixed."""
    return tuple(
        data.Images(*(values[:size] for values in part))
        for part, size in zip(parts, sizes, strict=True)
    )


def run_command(*options, **variables):
    """Python with these arguments and environment variables; what it prints."""
    done = subprocess.run(
        [sys.executable, *options],
        env=ENV | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMAND = [
    *(["-m", "tests.pretend_gpu"] if PRETENDED else ["-m"]),
    *("cnnlib.train", "nin_small", "--augment"),
    *("--images", "256", "--tests", "64", "--batch-size", "64"),
]


@pytest.mark.weekly
def test_the_command_trains_on_the_gpu_and_goes_on_where_it_was(tmp_path):
    kept = ["--checkpoints", str(tmp_path), "--schedule", "constant"]
    said = run_command(*COMMAND, *kept, "--epochs", "1")
    assert re.search(rf"1 x [^,]+, {WORD}", said) and "epoch 1: loss" in said
    assert "CPU" not in said
    state = checkpoints.latest(tmp_path)
    assert all(tensor.device.type == "cpu" for tensor in state["net"].values())
    path = checkpoints.save(
        tmp_path, 1, {**state, "settings": {**state["settings"], "epochs": "2"}}
    )
    assert path.is_file()
    said = run_command(*COMMAND, *kept, "--epochs", "2")
    assert "epoch 2: loss" in said and "epoch 1: loss" not in said


@pytest.mark.weekly
@pytest.mark.skipif(torch.cuda.device_count() == 1, reason="one GPU")
def test_two_processes_train_on_two_gpus(tmp_path):
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2"]
    address = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    address += ["--log-dir", str(tmp_path / "logs")]
    kept = ["--checkpoints", str(tmp_path), "--epochs", "1"]
    said = run_command(*launch, *address, *COMMAND, *kept)
    assert f", {WORD}" in said and "epoch 1: loss" in said
    net = checkpoints.latest(tmp_path)["net"]
    assert all(tensor.isfinite().all() for tensor in net.values())


@pytest.mark.weekly
@pytest.mark.skipif(not PRETENDED, reason="tools/on_gpu.py runs whole ones")
def test_a_chapter_runs_on_the_gpu_until_it_has_trained_and_prints_the_same(tmp_path):
    source = "from cnnlib import train\nprint(train.hardware())"
    asked = new_code_cell(source, execution_count=1)
    answer = f"Pretended GPU, {WORD}\n"
    asked.outputs = [new_output("stream", name="stdout", text=answer)]
    chapter = nbformat.read(ROOT / "chapters" / "lenet.ipynb", as_version=4)
    trains = next(i for i, c in enumerate(chapter.cells) if "train.fit(" in c.source)
    chapter.cells = [asked, *chapter.cells[: trains + 1]]
    nbformat.write(chapter, tmp_path / "begun.ipynb")
    shutil.copy(ROOT / "chapters" / "conftest.py", tmp_path)
    run_command(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval"),
        *("--nbval-current-env", "--nbval-cell-timeout", "600"),
        *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
        str(tmp_path / "begun.ipynb"),
        PYTHONSTARTUP=str(ROOT / "tests" / "pretend_gpu_kernel.py"),
    )
