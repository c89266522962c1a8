"""What only a GPU can show, within nine minutes: `make on-gpu`.

One row of the benchmarks and the training command in bfloat16, with nothing beside
them; then the unit tests that name a device and the chapters, compared as by `make
test`, as many at a time as there are cores. Each part has its seconds. The result, with
the name of the card, goes to benchmarks/results/. Nothing here needs a network.

usage: python -m tools.on_gpu            where torch sees a GPU
       python -m tools.on_gpu --pretend  a rehearsal with three chapters; stores nothing
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LIMIT = 540  # seconds for all parts together
CHAPTERS = ("padding-stride", "lenet", "batch-norm")
PRETENDED = ["-m", "tests.pretend_gpu"]
ROW = """
import json
from benchmarks import measure, networks
network = networks.NETWORKS["resnet18"]
rates = {"d2l": measure.their_rate(network), "ours": measure.our_rate(network)}
print(json.dumps({"network": "resnet18", "images_per_second": rates}))
"""


def parts(pretend, folder):
    """Pairs (name, arguments of Python) of what is run; `folder` keeps checkpoints."""
    yield "benchmark row", ["-c", pretended(ROW) if pretend else ROW]
    command = [*PRETENDED, "cnnlib.train"] if pretend else ["-m", "cnnlib.train"]
    sizes = ["--images", "10000", "--tests", "2000", "--epochs", "2"]
    yield (
        "training command",
        [*command, "resnet_cifar20", *sizes, "--checkpoints", folder],
    )
    # Other versions than the locked ones may warn of what is to come.
    pytest = ["-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider"]
    pytest += ["-n", str(min(os.cpu_count(), 12))]
    yield "what CUDA refuses", [*pytest, "tests/test_pretend_gpu.py"]
    every = ["-m", "weekly or not weekly"]  # a card needs no minutes for the large ones
    yield "unit tests", [*pytest, *every, "tests/test_on_gpu.py"]
    nbval = ["--dist", "loadfile", "--nbval", "--nbval-current-env"]
    nbval += ["--nbval-cell-timeout", str(LIMIT)]
    nbval += ["--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
    nbval += [f"--junitxml={folder}/chapters.xml"]
    names = [f"chapters/{name}.ipynb" for name in CHAPTERS] if pretend else ["chapters"]
    yield "chapters", [*pytest, *nbval, *names]


def pretended(code):
    inside = f"with pretend_gpu():\n    exec({code!r}, {{}})"
    return f"from tests.pretend_gpu import pretend_gpu\n{inside}"


def by_chapter(report):
    """{chapter: its cells, those that failed, seconds} of a report of pytest."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase") if report.is_file() else ():
        name = case.get("classname").removesuffix(".ipynb").rpartition(".")[2]
        row = found.setdefault(name, {"cells": 0, "failed": [], "seconds": 0.0})
        row["cells"] += 1
        row["seconds"] = round(row["seconds"] + float(case.get("time")), 1)
        if case.find("failure") is not None or case.find("error") is not None:
            row["failed"].append(case.get("name"))
    return found


def measure(name, arguments, env, seconds):
    """Run one part; what it said last, whether it passed, and its seconds."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=max(seconds, 1),
        )
        passed, said = done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as late:
        passed, said = False, f"{late.stdout or ''}\nstopped: no time was left"
    took = round(time.monotonic() - start, 1)
    if not passed:
        print(said, file=sys.stderr)
    last = said.strip().splitlines()[-1:]
    print(f"{name}: {'passed' if passed else 'FAILED'} in {took} s. {' '.join(last)}")
    return {"part": name, "passed": passed, "seconds": took, "said": " ".join(last)}


def card(pretend):
    """Name of the GPU that torch sees; ends the program where there is none."""
    if pretend:
        return "Pretended GPU"
    if not torch.cuda.is_available():
        sys.exit(
            "on_gpu: torch sees no CUDA GPU here; run it on a machine that has one, or "
            "rehearse it with --pretend."
        )
    return torch.cuda.get_device_name()


def facts(name):
    """Where and when a result was measured."""
    git = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    return {
        "card": name,
        "torch": torch.__version__,
        "python": sys.version.partition(" ")[0],
        "date": datetime.date.today().isoformat(),
        "commit": done.stdout.strip(),
    }


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.on_gpu", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--pretend", action="store_true", help="rehearse; store nothing"
    )
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="seconds for all (%(default)s)"
    )
    options = parser.parse_args()
    name = card(options.pretend)
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = {
        **os.environ,
        "CNNLIB_PRECISION": "bfloat16",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    if options.pretend:
        env["PYTHONSTARTUP"] = str(ROOT / "tests" / "pretend_gpu_kernel.py")
    end = time.monotonic() + options.limit
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(part, arguments, env, end - time.monotonic())
            for part, arguments in parts(options.pretend, folder)
        ]
        chapters = by_chapter(Path(folder, "chapters.xml"))
    result = {**facts(name), "parts": rows, "chapters": chapters}
    if not options.pretend:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        path = RESULTS / f"gpu-{slug}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(path)
    return 0 if all(row["passed"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
