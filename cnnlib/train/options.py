"""The options of `python -m cnnlib.train`, and what is refused before it begins."""

import argparse
import math
import os
import shutil
from functools import partial
from pathlib import Path

import torch

from cnnlib import init, models

INITS = {"he": init.he, "glorot": init.glorot, "lecun": init.lecun}
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
}
LEAST = {
    "images": 1,
    "tests": 1,
    "epochs": 1,
    "batch_size": 1,
    "weight_decay": 0,
    "seed": 0,
    "workers": 0,
}
SHARED_MEMORY = Path("/dev/shm")  # where Linux has it; other systems need no such room


def parse(description):
    parser = argparse.ArgumentParser(
        prog="cnnlib.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("network", metavar="NETWORK", help=f"one of {', '.join(models.names())}")
    where = "pictures in FOLDER/train/CLASS and FOLDER/val/CLASS (Fashion-MNIST)"
    add("--data", type=Path, metavar="FOLDER", help=where)
    add("--images", type=int, default=60_000, help="of Fashion-MNIST, to train (60000)")
    add("--tests", type=int, default=10_000, help="of Fashion-MNIST, to test (10000)")
    add("--augment", action="store_true", help="flip and shift Fashion-MNIST's images")
    add("--epochs", type=int, default=10, help="passes over the training set (10)")
    add("--batch-size", type=int, default=128, help="on all devices together (128)")
    add("--optimizer", choices=OPTIMIZERS, default="adamw", help="(adamw)")
    add("--lr", type=float, default=1e-3, help="largest learning rate (0.001)")
    add("--weight-decay", type=float, default=1e-2, help="(0.01)")
    schedules = ("one-cycle", "cosine", "constant")
    add("--schedule", choices=schedules, default="one-cycle", help="(one-cycle)")
    add("--init", choices=INITS, default="he", help="of the weights (he)")
    what = "to begin with: torchvision (ImageNet's, fetched), or a file or run"
    add("--weights", metavar="torchvision|FILE", help=what)
    what = "how many stages keep those weights, from the first on (0)"
    add("--freeze", type=int, metavar="STAGES", help=what)
    add("--seed", type=int, default=0, help="of weights, order and dropout (0)")
    what = "processes that decode a folder's pictures (up to 4, one for each core)"
    add("--workers", type=int, default=min(4, _cores() // _processes()), help=what)
    where = "where the run is kept (runs/NETWORK)"
    add("--checkpoints", type=Path, metavar="FOLDER", help=where)
    options = parser.parse_args()
    options.checkpoints = options.checkpoints or Path("runs") / options.network
    return options


def _cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _processes():
    """Processes that torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def check(options, world_size):
    """Refuse what cannot be trained, by ValueError, before anything is read."""
    for name, least in LEAST.items():
        if not getattr(options, name) >= least:
            raise ValueError(
                f"--{name.replace('_', '-')} {getattr(options, name)}: choose {least} "
                "or more."
            )
    if options.freeze and not options.weights:
        raise ValueError(
            f"--freeze {options.freeze} keeps trained layers: name some with --weights."
        )
    if not 0 < options.lr < math.inf:
        raise ValueError(f"--lr {options.lr}: choose a number above 0.")
    if options.batch_size % world_size:
        raise ValueError(
            f"--batch-size {options.batch_size} cannot be shared by {world_size} "
            "processes: choose a multiple."
        )
    if options.workers > _cores():
        raise ValueError(
            f"--workers {options.workers}: choose at most {_cores()}, the number of "
            "cores; the results are the same."
        )


def check_shared_memory(workers, batch_size, size, total):
    """Workers hand their batches over in shared memory, and are killed where there is
    no room, so ValueError refuses it: each has two under way, the loop two in hand, and
    there are no more than `total` pictures."""
    if not workers or not SHARED_MEMORY.is_dir():
        return
    pictures = _processes() * min(batch_size * (2 * workers + 2), total)
    needed = pictures * 3 * size**2 // 10**6
    free = shutil.disk_usage(SHARED_MEMORY).free // 10**6
    if needed > free:
        raise ValueError(
            f"--workers {workers} needs {needed} MB of shared memory for batches "
            f"of {batch_size}, and {SHARED_MEMORY} has {free} MB free: choose fewer "
            "--workers (0 need none), a smaller --batch-size, or give it more room "
            "(docker run --shm-size)."
        )
