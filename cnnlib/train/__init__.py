"""Training as a visible loop: `fit` yields one row per epoch, there is no trainer.

The caller chooses seed, learning rate, optimiser and batches. Convolutions run in
channels-last memory and, where the hardware is fast at it, in bfloat16 under autocast;
`precision` decides that in one place and `hardware` says it in words. The command
`python -m cnnlib.train` trains any network of the book with it, on one device or many.
"""

import ctypes
import math
import os
import platform
import time
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR


class Row(NamedTuple):
    """One epoch: mean training loss, test accuracy in [0, 1], seconds for both."""

    epoch: int
    train_loss: float
    test_accuracy: float
    seconds: float


def fit(
    net,
    train,
    test,
    epochs,
    optimizer,
    loss=F.cross_entropy,
    schedule="one-cycle",
    done=0,
):
    """Train `net` on the batches `train`; yield a `Row` after every epoch.

    `train` and `test` are `data.Batches` on one device, where `net` is moved too.
    `loss(net(x), y)` is a mean over the batch. `schedule` scales the learning rate of
    `optimizer` step by step: "one-cycle" (up to it and down to zero; Smith and Topin,
    https://arxiv.org/abs/1708.07120), "cosine" (from it down to zero) or "constant".
    A run that was interrupted goes on after its `done` epochs, when the caller has
    restored net, optimizer and the random streams.

    Batches that are shared by several processes (`world_size`) are averaged over all.

    Raises FloatingPointError, naming epoch and learning rate, when the loss is no
    longer finite.
    """
    net.to(train.device, memory_format=torch.channels_last)
    steps = len(train)
    scheduler = _scheduler(optimizer, schedule, epochs * steps, done * steps)
    for epoch in range(done + 1, epochs + 1):
        start = time.perf_counter()
        net.train()
        total = torch.zeros((), device=train.device)  # read once, at the epoch's end
        seen = 0
        rate = scheduler.get_last_lr()[0]
        for x, y in train:
            with autocast(train.device):
                batch_loss = loss(net(_nhwc(x)), y)
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            scheduler.step()
            total += batch_loss.detach() * len(y)
            seen += len(y)
        mean = _per_image(total, seen, train.world_size)
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"the training loss became {mean} in epoch {epoch}, which began at "
                f"learning rate {rate:.3g}: lower the learning rate or check the "
                "initialisation."
            )
        accuracy = evaluate(net, test)
        yield Row(epoch, mean, accuracy, time.perf_counter() - start)


@torch.no_grad()
def evaluate(net, batches):
    """Share of the images in `batches` that `net` puts into the right class; each image
    counts once, however many processes share them."""
    if isinstance(net, DistributedDataParallel):
        net = _alike(net)
    net.eval()
    right = torch.zeros((), device=batches.device, dtype=torch.int64)
    seen = 0
    for x, y in batches:
        with autocast(batches.device):
            right += (net(_nhwc(x)).argmax(1) == y).sum()
        seen += len(y)
    return _per_image(right, seen, batches.world_size)


def _alike(shared):
    """The network inside `shared`, with the same buffers in all processes. Alone it
    waits for no other process, so that shares may differ by a batch."""
    for buffer in shared.buffers():
        distributed.broadcast(buffer, 0)
    return shared.module


def _per_image(total, seen, world_size):
    """A sum over `seen` images, and over those of the other processes, per image."""
    both = torch.stack([total, torch.full_like(total, seen)])
    if world_size > 1:
        distributed.all_reduce(both)
    total, seen = both.tolist()
    return total / seen


def autocast(device):
    """Context in which convolutions and dense layers run in `precision(device)`."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


@cache
def precision(device):
    """bfloat16 where it is faster than float32: on CUDA GPUs from Ampere on, and on
    CPUs with AMX or AVX512-BF16 instructions; float32 elsewhere. The environment
    variable CNNLIB_PRECISION ("bfloat16" or "float32") overrules."""
    wanted = os.environ.get("CNNLIB_PRECISION")
    if wanted in ("bfloat16", "float32"):
        return getattr(torch, wanted)
    if wanted is not None:
        raise ValueError(
            f'CNNLIB_PRECISION is "bfloat16" or "float32", not {wanted!r}.'
        )
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and _cpu_is_fast_at_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def _cpu_is_fast_at_bfloat16():
    supported = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in supported)


def device():
    """The accelerator torch sees, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device(
        "cpu"
    )


def hardware():
    """Device, threads and precision in a few words, such as "CPU, 2 threads, bf16"."""
    where = device()
    name = {torch.bfloat16: "bf16", torch.float32: "fp32"}[precision(where)]
    if where.type == "cuda":
        return f"{torch.cuda.get_device_name(where)}, {name}"
    threads = torch.get_num_threads()
    return f"{where.type.upper()}, {threads} thread{'s' * (threads > 1)}, {name}"


def reuse_memory():
    """Let this process keep the memory that tensors free, for the next ones.

    By default glibc gives large blocks back, and Linux clears every page before it
    hands it out again: at 224 pixels that can take half of the time. Elsewhere, and on
    GPUs, which have their own store, this changes nothing. Constants of malloc.h:
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_MAX, 0)


def _nhwc(x):
    return x.contiguous(memory_format=torch.channels_last)


def _scheduler(optimizer, schedule, steps, done):
    """The schedule over `steps` steps, of which `done` are behind us."""
    last = done - 1
    if schedule == "one-cycle":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(
            optimizer, peaks, steps, cycle_momentum=False, last_epoch=last
        )
    if schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps, last_epoch=last)
    if schedule == "constant":
        return LambdaLR(optimizer, lambda step: 1.0, last_epoch=last)
    raise ValueError(
        f'schedule is "one-cycle", "cosine" or "constant", not {schedule!r}.'
    )
