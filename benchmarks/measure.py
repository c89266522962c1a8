"""What is measured of one network: speed in turns, then learning, seed by seed."""

import itertools
import json
import math
import os
import subprocess
import sys
import time
from functools import partial

import torch
import torch.nn.functional as F
from torch.profiler import profile

from benchmarks import networks, peer
from cnnlib import costs, data, init, train
from cnnlib.experiments import Experiment

SEEDS = (0, 1, 2)


class Slices:
    """Batches of which every pass yields the next `1 / parts` of `batches`."""

    def __init__(self, batches, parts):
        self.steps = len(batches) // parts
        self.device, self.world_size = batches.device, 1
        self.endless = itertools.chain.from_iterable(itertools.repeat(batches))

    def __len__(self):
        return self.steps

    def __iter__(self):
        return itertools.islice(self.endless, self.steps)


def ours(network, seed, images=60_000, tests=10_000):
    """Train by our recipe; pairs (seconds since the start, test accuracy)."""
    recipe = network.recipe
    train.reuse_memory()
    torch.manual_seed(seed)
    net = network.build()
    networks.STARTS[recipe.start](net)
    training, test = data.fashion_mnist(images, tests)
    size = None if network.size == 28 else network.size  # as they are stored
    shape = {"size": size, "device": train.device()}
    batches = data.Batches(
        training, recipe.batch_size, shuffle=True, seed=seed, **shape
    )
    optimizer = getattr(torch.optim, recipe.optimizer)(
        net.parameters(), **recipe.options
    )
    rows = train.fit(
        net,
        Slices(batches, recipe.tests),
        data.Batches(test, 250, **shape),
        recipe.passes * recipe.tests,
        optimizer,
        partial(F.cross_entropy, label_smoothing=recipe.smoothing),
    )
    _, _, accuracies, seconds = zip(*rows, strict=True)
    return list(zip(itertools.accumulate(seconds), accuracies, strict=True))


def theirs(network, seed, seconds, epochs=peer.EPOCHS, images=60_000, tests=10_000):
    """Train by d2l's recipe for so many seconds at most; the same pairs."""
    torch.manual_seed(seed)
    trainer = peer.Trainer(epochs, seconds)
    trainer.fit(
        peer.classifier(network), peer.fashion_mnist(network.size, images, tests)
    )
    return trainer.points


def apart(function, network, *arguments):
    """Result of a function of this module, in a process of its own: what one side asks
    of the memory allocator must not help or hurt the other. `network` is a name."""
    task = json.dumps([function.__name__, network, *arguments])
    command = [sys.executable, "-m", "benchmarks.measure"]
    done = subprocess.run(command, input=task, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{function.__name__} of {network} failed, see above.")
    return json.loads(done.stdout.splitlines()[-1])


def speed(name):
    """Pictures per second of one pass over `network.images` training pictures and a
    sixth as many test pictures, with loading and tests: d2l, ours, d2l, ours."""
    sides = {"d2l": their_rate, "ours": our_rate}
    rates = {"d2l": [], "ours": []}
    for side in ("d2l", "ours") * 2:
        rates[side].append(apart(sides[side], name))
    network = networks.NETWORKS[name]
    return {
        "images_per_second": rates,
        "macs": costs.table(network.build(), (1, network.size, network.size)).macs,
        "peaks": peaks(),
        "operators": apart(operators, name),
    }


def their_rate(network):
    run = partial(theirs, network, 0, math.inf, 1)
    return second_rate(run, network.images)


def our_rate(network):
    run = partial(ours, once(network), 0)
    return second_rate(run, network.images)


def our_float32_rate(network):
    """Ours as on a CPU that is not fast at bfloat16; sets the environment."""
    os.environ["CNNLIB_PRECISION"] = "float32"
    return our_rate(network)


def once(network):
    """The network, to be trained for one pass with one test."""
    return network._replace(recipe=network.recipe._replace(passes=1, tests=1))


def second_rate(run, images):
    """Pictures per second of `run`, after a few steps that prepare kernels, memory."""
    run(images=2 * peer.BATCH_SIZE, tests=peer.BATCH_SIZE)
    ((seconds, _),) = run(images=images, tests=images // 6)
    return images / seconds


def operators(network):
    """Where the time of our training goes: the share of each torch operator that takes
    at least a fiftieth, largest first, over sixteen steps and no tests."""
    run, batch = partial(ours, once(network), 0, tests=1), network.recipe.batch_size
    run(images=2 * batch)
    with profile() as profiler:
        run(images=16 * batch)
    where = "cpu" if train.device().type == "cpu" else "device"
    times = {
        event.key: getattr(event, f"self_{where}_time_total")
        for event in profiler.key_averages()
    }
    total = sum(times.values())
    shares = {name: seconds / total for name, seconds in times.items()}
    largest = sorted(shares, key=shares.get, reverse=True)
    return {name: round(shares[name], 3) for name in largest if shares[name] >= 0.02}


def learn(name, seed):
    """Our run and d2l's for the same time. At 28 pixels d2l is given its ten epochs
    for every seed; elsewhere its run is made for the first seed only."""
    result = {"ours": apart(ours, name, seed)}
    if networks.NETWORKS[name].size == 28:
        result["d2l"] = apart(theirs, name, seed, math.inf)
    elif seed == SEEDS[0]:
        result["d2l"] = apart(theirs, name, seed, result["ours"][-1][0])
    return result


def peaks():
    """Multiply-adds per second of a matrix product, 2048 x 2048 x 2048, and of a 3x3
    convolution, 256 to 256 channels of 28x28 maps, batch of 32, by precision."""
    device = train.device()
    found = {}
    for dtype in dict.fromkeys((torch.float32, train.precision(device))):
        like = {"device": device, "dtype": dtype}
        a, b = torch.randn(2, 2048, 2048, **like)
        maps = torch.randn(32, 256, 28, 28, **like)
        kernel = torch.randn(256, 256, 3, 3, **like)
        maps, kernel = (
            t.contiguous(memory_format=torch.channels_last) for t in (maps, kernel)
        )
        work = {
            "matmul": (torch.mm, (a, b), 2048**3),
            "convolution": (
                partial(F.conv2d, padding=1),
                (maps, kernel),
                32 * 28**2 * 256**2 * 9,
            ),
        }
        found[str(dtype).removeprefix("torch.")] = {
            name: macs / fastest(run, args) for name, (run, args, macs) in work.items()
        }
    return found


@torch.no_grad()
def fastest(run, args, times=20):
    """Seconds of the fastest of so many runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run(*args)
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def run(network, recipe, part, seed=None):
    """One row of a network's results: its `part` "speed", or "learn" of a seed. The
    recipe, which `networks` holds, is in the setting to be stored with the result."""
    return speed(network) if part == "speed" else learn(network, seed)


CODE = (
    *(
        Slices,
        ours,
        theirs,
        apart,
        speed,
        their_rate,
        our_rate,
        once,
        second_rate,
        learn,
    ),
    *(operators, peaks, fastest, peer, train.reuse_memory),
    *(networks.he, networks.awake, networks.steep, init.he, init.glorot),
    *(data.Batches, train.fit, train.evaluate),
)


def float32(network, recipe):
    """Pictures per second of d2l and of ours in float32, in turns as in `speed`."""
    sides = {"d2l": their_rate, "ours": our_float32_rate}
    rates = {"d2l": [], "ours": []}
    for side in ("d2l", "ours") * 2:
        rates[side].append(apart(sides[side], network))
    return {"images_per_second": rates}


def float32_job(name):
    """The comparison without bfloat16, with a result of its own."""
    recipe = networks.NETWORKS[name].recipe
    setting = {"network": name, "recipe": recipe._asdict()}
    code = (*code_of(recipe), our_float32_rate)
    return Experiment(f"{name}-float32", float32, [setting], code)


def job(name):
    """The measurements of one network, to be made by `experiments.complete`."""
    recipe = networks.NETWORKS[name].recipe
    fixed = {"network": name, "recipe": recipe._asdict()}
    settings = [{**fixed, "part": "speed"}]
    settings += [{**fixed, "part": "learn", "seed": seed} for seed in SEEDS]
    return Experiment(name, run, settings, code_of(recipe))


def code_of(recipe):
    """`CODE` and, where it is not there, how the recipe starts."""
    start = networks.STARTS[recipe.start]
    return CODE if start in CODE else (*CODE, networks.centred, start)


def trial(network, images, recipe):
    """Accuracy on 2,000 test pictures after one pass over the first `images`."""
    return {"accuracy": apart(attempt, network, images, recipe)}


def attempt(network, images, recipe):
    recipe = networks.Recipe(**{**recipe, "passes": 1, "tests": 1})
    ((_, accuracy),) = ours(network._replace(recipe=recipe), 0, images, 2_000)
    return accuracy


def trial_job(name):
    """The network's recipe and, in turn, what was tried instead."""
    images, changes = networks.TRIALS[name]
    recipe = networks.NETWORKS[name].recipe
    settings = [
        {
            "network": name,
            "images": images,
            "recipe": recipe._replace(**change)._asdict(),
        }
        for change in ({}, *changes)
    ]
    code = (*CODE, attempt, networks.centred, networks.centred_awake)
    return Experiment(f"{name}-trials", trial, settings, code)


def jobs(name):
    """All that is measured of a network, for `experiments.complete`."""
    tried = [trial_job(name)] if name in networks.TRIALS else []
    return [job(name), float32_job(name), *tried]


def main():
    name, network, *arguments = json.loads(sys.stdin.read())
    print(json.dumps(globals()[name](networks.NETWORKS[network], *arguments)))


if __name__ == "__main__":
    main()
