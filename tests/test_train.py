"""The training loop: what it yields, what it refuses, how it decides precision."""

import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cnnlib import data, train


def separable(count=256):
    """Images whose class is visible in one pixel."""
    images = torch.randint(100, (count, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[:, 0, 0, 0] = 255 * labels.to(torch.uint8)
    return data.Images(images, labels)


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))


def adam(net, lr=1e-2):
    return torch.optim.Adam(net.parameters(), lr=lr)


def test_fit_yields_a_row_per_epoch_and_learns():
    images, net = separable(), small_net()
    batches = data.Batches(images, 32, shuffle=True)
    rows = list(train.fit(net, batches, data.Batches(images), 5, adam(net)))
    assert [row.epoch for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1].train_loss < rows[0].train_loss / 4
    assert rows[-1].test_accuracy == 1.0
    assert all(0 < row.seconds < 300 for row in rows)


def test_the_loss_is_the_mean_over_images_not_over_batches(monkeypatch):
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)
    images, net = separable(70), small_net()  # batches of 64 and of 6
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    batches = data.Batches(images, 64)
    (row,) = train.fit(net, batches, batches, 1, optimizer, schedule="constant")
    (x, y) = next(iter(data.Batches(images, 70)))
    expected = nn.functional.cross_entropy(net(x), y).item()
    assert row.train_loss == pytest.approx(expected, rel=1e-5)


def test_a_row_is_of_its_own_epoch_and_not_of_the_best_so_far():
    images, net = separable(), small_net()
    batches = data.Batches(images, 256)
    losses, rights = [0.5, 2.0, 1.0], [10, 200, 30]

    def loss(logits, y):
        return 0 * logits.sum() + losses[len(rows)]

    def answer(net, args, logits):
        if not net.training:  # the right class for the first images alone
            right = torch.arange(256) < rights[len(rows)]
            return nn.functional.one_hot(torch.where(right, 0, 1) ^ images.labels, 2)

    net.register_forward_hook(answer)
    rows = []
    for row in train.fit(net, batches, batches, 3, adam(net), loss):
        rows.append(row)
    assert [row.train_loss for row in rows] == losses
    assert [row.test_accuracy for row in rows] == [right / 256 for right in rights]


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(schedule):
    images = separable()

    def run(stop=None):
        torch.manual_seed(0)
        net = small_net()
        batches = data.Batches(images, 32, shuffle=True)
        optimizer = adam(net)
        rows = train.fit(
            net, batches, data.Batches(images), 3, optimizer, schedule=schedule
        )
        for row in rows:
            if row.epoch == stop:
                break
        return net, batches, optimizer, row

    expected, _, _, last = run()
    stopped, batches, optimizer, _ = run(stop=1)
    net = small_net()
    net.load_state_dict(stopped.state_dict())
    resumed = adam(net)
    resumed.load_state_dict(optimizer.state_dict())
    *_, row = train.fit(
        net, batches, data.Batches(images), 3, resumed, schedule=schedule, done=1
    )
    assert row[:3] == last[:3]
    for ours, theirs in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_evaluate_counts_right_answers():
    images = separable(10)
    always_one = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    nn.init.zeros_(always_one[1].weight)
    always_one[1].bias.data = torch.tensor([0.0, 1.0])
    assert train.evaluate(always_one, data.Batches(images, 3)) == 0.5


# In each of two processes: accuracy on few images, the loss of one pass, running means.
SHARED = """
import os, sys, torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from cnnlib import data, train
folder, rank, world_size = sys.argv[1], int(sys.argv[2]), 2
distributed.init_process_group(
    "gloo", f"file://{folder}/meet", rank=rank, world_size=world_size
)
images, labels, net = torch.load(f"{folder}/given", weights_only=False)
share = {"rank": rank, "world_size": world_size}
net = DistributedDataParallel(net)
training = data.Batches((images[:20], labels[:20]), 5, shuffle=True, **share)
still = torch.optim.SGD(net.parameters(), lr=0.0)
found = {}
for count in (1, 2, 7):
    few = data.Batches((images[:count], labels[:count]), 2, **share)
    (row,) = train.fit(net, training, few, 1, still, schedule="constant")
    found[count] = row[1:3]
means = [b.tolist() for b in net.module.buffers()]
torch.save([found, means], f"{folder}/rank{rank}")
distributed.destroy_process_group()
"""


def test_two_processes_count_every_image_once_with_one_network(tmp_path):
    torch.manual_seed(0)
    images, labels = separable(20)
    labels[:7] = torch.tensor([0, 1, 1, 0, 0, 0, 1])
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 2))
    nn.init.zeros_(net[2].weight)
    net[2].bias.data = torch.tensor([1.0, 0.0])  # always class 0
    torch.save((images, labels, net), tmp_path / "given")
    command = [sys.executable, "-c", SHARED, str(tmp_path)]
    others = [subprocess.Popen([*command, str(rank)]) for rank in (0, 1)]
    try:
        assert [other.wait(timeout=300) for other in others] == [0, 0]
    finally:  # one that waits for the other in vain
        for other in others:
            other.kill()
    (found, means), other = (torch.load(tmp_path / f"rank{rank}") for rank in (0, 1))
    assert [found, means] == other
    assert [accuracy for _, accuracy in found.values()] == [
        1,
        0.5,
        pytest.approx(4 / 7),
    ]
    logits = torch.tensor([[1.0, 0.0]]).expand(20, 2)
    expected = nn.functional.cross_entropy(logits, labels).item()
    for loss, _ in found.values():
        assert loss == pytest.approx(expected, rel=0.02)


def test_sums_and_buffers_are_shared_by_several_processes(monkeypatch):
    others, sent = torch.tensor([4.0, 2.0]), []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda both: both.add_(others))
    assert train._per_image(torch.tensor(9.0), 3, 2) == pytest.approx((9 + 4) / (3 + 2))
    assert train._per_image(torch.tensor(9.0), 3, 1) == 9 / 3
    monkeypatch.setattr(torch.distributed, "broadcast", lambda *what: sent.append(what))
    net = nn.BatchNorm1d(3)
    assert train._alike(SimpleNamespace(buffers=net.buffers, module=net)) is net
    for (buffer, rank), own in zip(sent, net.buffers(), strict=True):
        assert buffer is own and rank == 0


def test_training_happens_in_train_mode_and_evaluation_in_eval_mode():
    images, net, modes = separable(64), small_net(), []
    net.register_forward_pre_hook(lambda net, args: modes.append(net.training))
    batches = data.Batches(images, 64)
    list(train.fit(net, batches, batches, 2, adam(net)))
    assert modes == [True, False, True, False]


@pytest.mark.parametrize(
    ("schedule", "shape"),
    [("one-cycle", "rises and falls"), ("cosine", "falls"), ("constant", "stays")],
)
def test_schedules_move_the_learning_rate_as_named(schedule, shape):
    images, net = separable(64), small_net()
    optimizer, rates = adam(net, lr=0.1), []

    def loss(logits, y):
        rates.append(optimizer.param_groups[0]["lr"])
        return nn.functional.cross_entropy(logits, y)

    batches = data.Batches(images, 8)
    list(train.fit(net, batches, batches, 3, optimizer, loss, schedule))
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    if shape == "stays":
        assert min(rates) == 0.1
    else:
        assert rates[peak:] == sorted(rates[peak:], reverse=True) and rates[-1] < 0.01
        assert (peak > 0) == (shape == "rises and falls")


def test_an_unknown_schedule_is_refused_by_name():
    images, net = separable(8), small_net()
    batches = data.Batches(images)
    with pytest.raises(ValueError, match="'linear'"):
        list(train.fit(net, batches, batches, 1, adam(net), schedule="linear"))


def test_a_loss_that_is_not_finite_stops_with_epoch_and_learning_rate():
    images, net = separable(64), small_net()
    batches = data.Batches(images, 8)
    with pytest.raises(FloatingPointError, match=r"epoch 1.*learning rate 1e\+06"):
        optimizer = torch.optim.SGD(net.parameters(), lr=1e6)

        def loss(logits, y):
            return nn.functional.cross_entropy(logits, y) / 0

        list(train.fit(net, batches, batches, 2, optimizer, loss, "constant"))


def test_precision_is_bfloat16_only_where_the_cpu_is_fast_at_it(monkeypatch):
    monkeypatch.delenv("CNNLIB_PRECISION", raising=False)
    cpu = torch.device("cpu")
    for amx, avx, expected in [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ]:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda a=avx: a)
        train.precision.cache_clear()
        assert train.precision(cpu) == expected
        with train.autocast(cpu):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == expected
        assert train.hardware().endswith({True: "bf16", False: "fp32"}[amx or avx])
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name)  # private, and may go
    train.precision.cache_clear()
    assert train.precision(cpu) == torch.float32
    train.precision.cache_clear()


def test_the_environment_overrules_the_precision(monkeypatch):
    for wanted in ("bfloat16", "float32"):
        monkeypatch.setenv("CNNLIB_PRECISION", wanted)
        train.precision.cache_clear()
        assert train.precision(torch.device("cpu")) == getattr(torch, wanted)
    monkeypatch.setenv("CNNLIB_PRECISION", "half")
    train.precision.cache_clear()
    with pytest.raises(ValueError, match='"bfloat16" or "float32", not \'half\''):
        train.precision(torch.device("cpu"))


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("cuda", (7, 5), torch.float32),  # Turing
        ("cuda", (8, 0), torch.bfloat16),  # Ampere
        ("cuda", (9, 0), torch.bfloat16),
        ("mps", None, torch.float32),
    ],
)
def test_precision_of_a_gpu(monkeypatch, kind, capability, expected):
    monkeypatch.delenv("CNNLIB_PRECISION", raising=False)
    device = torch.device(kind)
    monkeypatch.setattr(torch.cuda, "get_device_capability", {device: capability}.get)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    train.precision.cache_clear()
    assert train.precision(device) == expected
    monkeypatch.setattr(torch, "autocast", lambda *which, enabled: (which, enabled))
    enabled = expected == torch.bfloat16
    assert train.autocast(device) == ((kind, expected), enabled)
    train.precision.cache_clear()


def test_the_accelerator_comes_before_the_cpu(monkeypatch):
    for found in (torch.device("cuda"), None):
        known = {True: found, False: torch.device("mps")}
        monkeypatch.setattr(
            torch.accelerator,
            "current_accelerator",
            lambda check_available=False, known=known: known[check_available],
        )
        assert train.device() == (found or torch.device("cpu"))


@pytest.mark.parametrize(
    ("kind", "threads", "words"),
    [
        ("cpu", 1, "CPU, 1 thread, bf16"),
        ("cpu", 2, "CPU, 2 threads, bf16"),
        ("mps", 2, "MPS, 2 threads, bf16"),
        ("cuda", 2, "NVIDIA H100, bf16"),
    ],
)
def test_hardware_is_told_in_a_few_words(monkeypatch, kind, threads, words):
    device = torch.device(kind)
    monkeypatch.setattr(train, "device", lambda: device)
    monkeypatch.setattr(train, "precision", {device: torch.bfloat16}.get)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cuda, "get_device_name", {device: "NVIDIA H100"}.get)
    assert train.hardware() == words


def test_one_cycle_leaves_the_momentum_alone():
    images, net = separable(64), small_net()
    batches, optimizer = data.Batches(images, 16), adam(net)
    for _ in train.fit(net, batches, batches, 3, optimizer):
        assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("libc", "expected"),
    # M_TRIM_THRESHOLD and M_MMAP_MAX in glibc's malloc.h
    [(("glibc", "2.36"), [(-1, 2**31 - 1), (-4, 0)]), (("", ""), [])],
)
def test_the_allocator_of_glibc_alone_is_told_to_keep_memory(
    monkeypatch, libc, expected
):
    told = []
    own = SimpleNamespace(mallopt=lambda *options: told.append(options))
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    monkeypatch.setattr(ctypes, "CDLL", {None: own}.get)
    train.reuse_memory()
    assert told == expected


FAULTS = """
import resource, torch
from cnnlib import train
if {reuse}:
    train.reuse_memory()
for _ in range(20):
    torch.ones(2**22)  # 16 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    a, b = torch.ones(2**24), torch.ones(2**23)  # 64 and 32 MiB, freed each time
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.weekly
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_memory_is_reused_and_not_cleared_again():
    faults = {}
    for reuse in (False, True):
        command = [sys.executable, "-c", FAULTS.format(reuse=reuse)]
        faults[reuse] = int(subprocess.check_output(command))
    assert faults[True] < faults[False] / 5
