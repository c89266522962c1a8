"""Train a network of the book on Fashion-MNIST or on a folder of pictures.

  python -m cnnlib.train resnet_cifar20
  torchrun --nproc-per-node=2 -m cnnlib.train resnet_cifar20

The second line trains on two devices, or on more hosts with torchrun's own options.
A run that was interrupted goes on behind its last whole epoch when the same command is
given again.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cnnlib import data, init, models, train
from cnnlib.folder import image_folder
from cnnlib.train import checkpoints

INITS = {"he": init.he, "glorot": init.glorot, "lecun": init.lecun}
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
}


def parse():
    parser = argparse.ArgumentParser(
        prog="cnnlib.train",
        description=__doc__,
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
    add("--seed", type=int, default=0, help="of weights, order and dropout (0)")
    add("--workers", type=int, default=4, help="that decode a folder's pictures (4)")
    where = "where the run is kept (runs/NETWORK)"
    add("--checkpoints", type=Path, metavar="FOLDER", help=where)
    options = parser.parse_args()
    options.checkpoints = options.checkpoints or Path("runs") / options.network
    return options


def main():
    options = parse()
    train.reuse_memory()
    rank = int(os.environ.get("RANK", 0))  # torchrun sets both
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    try:
        if world_size > 1:
            _join()
        return run(options, rank, world_size)
    except (ValueError, FloatingPointError, data.DataError) as problem:
        sys.exit(f"cnnlib.train: {str(problem).strip().splitlines()[-1]}")
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _join():
    """Meet the other processes that torchrun started."""
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group()


def run(options, rank, world_size):
    """Train from the last checkpoint, if there is one, to the end of the last epoch;
    returns the network."""
    training, held_out, classes = _batches(options, rank, world_size)
    network = models.find(options.network)
    torch.manual_seed(options.seed)
    net = models.build(options.network, **classes).apply(INITS[options.init])
    net.to(training.device, memory_format=torch.channels_last)
    optimizer = OPTIMIZERS[options.optimizer](
        net.parameters(), lr=options.lr, weight_decay=options.weight_decay
    )
    settings = {name: str(value) for name, value in vars(options).items()}
    for name in ("checkpoints", "workers"):  # change nothing
        del settings[name]
    rows = _resume(options.checkpoints, settings, net, optimizer, world_size)
    if rank == 0:
        count = sum(p.numel() for p in net.parameters())
        print(
            f"{options.network}: {count:,} parameters, {world_size} x "
            f"{train.hardware()}, checkpoints in {options.checkpoints}"
        )
    shared = DistributedDataParallel(net) if world_size > 1 else net
    with Progress(training, options.epochs, len(rows), shown=rank == 0) as batches:
        _seed(options.seed, len(rows), rank, training)
        for row in train.fit(
            shared,
            batches,
            held_out,
            options.epochs,
            optimizer,
            network.loss,
            options.schedule,
            len(rows),
        ):
            rows.append(list(row))
            _seed(options.seed, row.epoch, rank, training)
            if rank == 0:
                state = {"settings": settings, "rows": rows, "net": net.state_dict()}
                state["optimizer"] = optimizer.state_dict()
                checkpoints.save(options.checkpoints, row.epoch, state)
                batches.say(row)
    return net


def _batches(options, rank, world_size):
    """Training and test batches of this process, and the channels and classes that the
    network needs for them."""
    if options.batch_size % world_size:
        raise ValueError(
            f"--batch-size {options.batch_size} cannot be shared by {world_size} "
            "processes: choose a multiple."
        )
    size = models.find(options.network).input_shape[1]
    common = {
        "batch_size": options.batch_size // world_size,
        "device": train.device(),
        "rank": rank,
        "world_size": world_size,
    }
    if options.data:
        training, held_out = image_folder(
            options.data, size, workers=options.workers, **common
        )
        classes = {"in_channels": 3, "num_classes": len(training.classes)}
        return training, held_out, classes
    pictures = data.fashion_mnist(options.images, options.tests)
    augment = {"flip": True, "crop": size // 14} if options.augment else {}
    training = data.Batches(pictures[0], shuffle=True, size=size, **augment, **common)
    held_out = data.Batches(pictures[1], size=size, **common)
    return training, held_out, {"in_channels": 1, "num_classes": 10}


def _resume(folder, settings, net, optimizer, world_size):
    """Bring net and optimiser to the state of the last checkpoint; its rows."""
    found = [checkpoints.latest(folder)]
    if world_size > 1:  # the folder may be on the first host alone
        distributed.broadcast_object_list(found)
    (state,) = found
    if state is None:
        return []
    if changed := [k for k, v in settings.items() if state["settings"].get(k) != v]:
        old, new = state["settings"].get(changed[0]), settings[changed[0]]
        raise ValueError(
            f"{folder} keeps a run with {changed[0]} = {old}, not {new}: name another "
            "folder with --checkpoints, or delete this one."
        )
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return state["rows"]


def _seed(seed, epoch, rank, training):
    """Give every epoch random streams of its own, so that a run that goes on needs no
    stored ones: the order of the images is the same in all processes, dropout not."""
    order, dropout = np.random.SeedSequence([seed, epoch]).spawn(2)
    training.generator.manual_seed(int(order.generate_state(1)[0]))
    torch.manual_seed(int(dropout.generate_state(rank + 1)[rank]))


class Progress:
    """The batches of a run with a bar over all its epochs: images, rate, time left."""

    def __init__(self, batches, epochs, done, shown):
        self._batches = batches
        images = batches.count * batches.world_size
        # None: where stderr is no terminal there is no bar
        self.bar = tqdm(
            total=epochs * images,
            initial=done * images,
            unit=" images",
            unit_scale=True,
            disable=None if shown else True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.bar.close()

    def __getattr__(self, name):
        return getattr(self._batches, name)

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        for x, y in self._batches:
            yield x, y
            self.bar.update(len(y) * self.world_size)

    def say(self, row):
        """A line above the bar."""
        self.bar.write(
            f"epoch {row.epoch}: loss {row.train_loss:.4f}, test accuracy "
            f"{row.test_accuracy:.4f}, {row.seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
