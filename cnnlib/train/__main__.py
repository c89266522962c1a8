"""Train a network of the book on Fashion-MNIST or on a folder of pictures.

  python -m cnnlib.train resnet_cifar20
  torchrun --nproc-per-node=2 -m cnnlib.train resnet_cifar20
  python -m cnnlib.train resnet18 --data pictures/ --weights torchvision --freeze 5

The second line trains on two devices, or on more hosts with torchrun's own options. The
third begins with torchvision's weights and trains the last stage alone.
A run that was interrupted goes on after its last whole epoch when the same command is
given again.
"""

import os
import sys

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cnnlib import data, folder, models, train, weights
from cnnlib.train import checkpoints
from cnnlib.train.options import (
    INITS,
    OPTIMIZERS,
    check,
    check_shared_memory,
    parse,
)

# What PyTorch says where another process has ended: what that means
LOST = {
    "DataLoader worker": "a process that decodes pictures was killed, probably for "
    "want of memory: choose fewer --workers or a smaller --batch-size.",
    "by peer": "another process of this run has ended; its own message says why.",
}


def main():
    options = parse(__doc__)
    train.reuse_memory()
    rank = int(os.environ.get("RANK", 0))  # torchrun sets both
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    try:
        if world_size > 1:
            _join()
        return run(options, rank, world_size)
    except (ValueError, FloatingPointError, OSError) as problem:
        sys.exit(f"cnnlib.train: {str(problem).strip().splitlines()[-1]}")
    except RuntimeError as problem:
        for said, meant in LOST.items():
            if said in str(problem):
                sys.exit(f"cnnlib.train: {meant}")
        raise
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
    check(options, world_size)
    network = models.find(options.network)
    given = None
    if options.weights:
        given = weights.read(options.weights, options.network)
    training, held_out, model = _batches(options, given, rank, world_size)
    torch.manual_seed(options.seed)
    shape = {name: model[name] for name in ("in_channels", "num_classes")}
    net = models.build(options.network, **shape).apply(INITS[options.init])
    loaded = given and weights.load(net, given, model["classes"], options.weights)
    weights.freeze(net, options.freeze or 0)
    net.to(training.device, memory_format=torch.channels_last)
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = OPTIMIZERS[options.optimizer](
        trained, lr=options.lr, weight_decay=options.weight_decay
    )
    settings = {name: str(value) for name, value in vars(options).items()}
    for name in ("checkpoints", "workers"):  # change nothing
        del settings[name]
    saved = {"settings": settings, "model": model}
    rows = _resume(options.checkpoints, saved, net, optimizer, rank, world_size)
    if rank == 0:
        count = sum(p.numel() for p in net.parameters())
        if options.data:
            print(_found(options.data, training, held_out))
        if loaded:
            print(loaded)
        frozen = count - sum(p.numel() for p in trained)
        print(
            f"{options.network}: {count:,} parameters"
            f"{f' ({frozen:,} frozen)' * bool(frozen)}, {world_size} x "
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
                state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
                state |= saved | {"rows": rows}
                checkpoints.save(options.checkpoints, row.epoch, state)
                batches.say(row)
    return net


def _batches(options, given, rank, world_size):
    """Training and test batches of this process, and the model for them: what is needed
    to build the network again and to give it a picture. Weights that are `given` want
    the mean and deviation that they were trained with."""
    size = models.find(options.network).input_shape[1]
    common = {
        "batch_size": options.batch_size // world_size,
        "device": train.device(),
        "rank": rank,
        "world_size": world_size,
    }
    if options.data:
        mean, std = (given.mean, given.std) if given else (folder.MEAN, folder.STD)
        training, held_out = folder.image_folder(
            options.data,
            size,
            workers=options.workers,
            mean=mean,
            std=std,
            **common,
        )
        check_shared_memory(
            options.workers, common["batch_size"], size, len(training.share)
        )
        names = training.classes
    else:
        mean, std = (given.mean, given.std) if given else ([data.MEAN], [data.STD])
        if len(mean) != 1:
            raise ValueError(
                f"--weights {options.weights} are for pictures in colour, and "
                "Fashion-MNIST has none: name a folder of pictures with --data."
            )
        common |= {"mean": mean[0], "std": std[0]}
        pictures = data.fashion_mnist(options.images, options.tests)
        augment = {"flip": True, "crop": size // 14} if options.augment else {}
        training = data.Batches(
            pictures[0], shuffle=True, size=size, **augment, **common
        )
        held_out = data.Batches(pictures[1], size=size, **common)
        names = data.CLASSES
    model = {
        "network": options.network,
        "in_channels": len(mean),
        "num_classes": len(names),
        "classes": list(names),
        "size": size,
        "mean": list(mean),
        "std": list(std),
        "whole": not options.data,  # not the middle of a picture
    }
    return training, held_out, model


def _found(root, training, held_out):
    """How many pictures of which classes there are, and what was left out."""
    parts = []
    for purpose, batches in (("train", training), ("test", held_out)):
        counts = [f"{name} {count:,}" for name, count in batches.counts.items()]
        more = f" and {len(counts) - 5:,} classes more" * (len(counts) > 5)
        total = sum(batches.counts.values())
        parts.append(f"{total:,} to {purpose} ({', '.join(counts[:5])}{more})")
    others = (training.others + held_out.others).most_common()
    left = ", ".join(f"{count:,} with {ending}" for ending, count in others)
    return f"{root}: {', '.join(parts)}" + f"; left out: {left}" * bool(left)


def _resume(where, saved, net, optimizer, rank, world_size):
    """Bring net and optimiser to the state of the last checkpoint; its rows."""
    state = _last(where) if rank == 0 else None
    if world_size > 1:  # the folder may be on the first host alone
        found = [state]
        distributed.broadcast_object_list(found)
        (state,) = found
    if isinstance(state, OSError):
        raise state
    if state is None:
        return []
    if changed := _change(state, saved):
        raise ValueError(
            f"{where} keeps a run with {changed}: name another folder with "
            "--checkpoints, or delete this one."
        )
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return state["rows"]


def _last(where):
    """The last checkpoint in the folder `where`, None without one, or the OSError that
    stands in the way of more."""
    try:
        checkpoints.prepare(where)
    except OSError as problem:
        return problem
    return checkpoints.latest(where)


def _change(state, saved):
    """In what the run of `state` differs from this one, in words, or None."""
    then, now = state["settings"], saved["settings"]
    for name in now:
        before = str(then.get(name))  # None where the option is newer than the run
        if before != now[name]:
            return f"{name} = {before}, not {now[name]}"
    then = {*state.get("model", {}).get("classes", [])}  # older ones have no model
    now = {*saved["model"]["classes"]}
    if then != now:
        gone, new = (
            ", ".join(sorted(names)[:3]) or "none" for names in (then - now, now - then)
        )
        return f"other classes (gone: {gone}; new: {new})"
    return None


def _seed(seed, epoch, rank, training):
    """Give every epoch random streams of its own, so that a run that goes on needs no
    stored ones: that of the images is the same in all processes, dropout's is not."""
    order, dropout = np.random.SeedSequence([seed, epoch]).spawn(2)
    training.generator.manual_seed(int(order.generate_state(1)[0]))
    torch.manual_seed(int(dropout.generate_state(rank + 1)[rank]))


class Progress:
    """The batches of a run with a bar over all its epochs: images, rate, time left."""

    def __init__(self, batches, epochs, done, shown):
        self._batches = batches
        images = batches.share.used
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
