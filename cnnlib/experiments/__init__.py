"""Long experiments: what needs more seeds, images or epochs than a chapter may take.

An experiment is a function `run(**setting) -> dict of results` with the list of
settings it is run for. `python -m cnnlib.experiments NAME` runs what is missing, one
setting after the other, and writes all rows with their provenance to results/NAME.json
beside this file. A chapter draws those rows and runs the same function once, small, in
view.

A result belongs to the code and the settings it was made with: both go into a
fingerprint that is stored with it, and `load` refuses a result whose fingerprint is no
longer that of the experiment. Comments and docstrings do not count.
"""

import ast
import datetime
import hashlib
import importlib
import inspect
import json
import multiprocessing
import os
import pkgutil
import platform
import re
import subprocess
import textwrap
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from cnnlib import train

RESULTS = Path(__file__).with_name("results")
PROVENANCE = ("commit", "date", "machine", "torch", "seeds", "n")
EXPERIMENTS = {}


class Experiment(NamedTuple):
    """`run(**setting)` for every setting; `depends` lists the functions, classes and
    modules whose code the results hang on besides that of `run` itself."""

    name: str
    run: callable
    settings: list
    depends: tuple

    def __call__(self, **setting):
        return self.run(**setting)


def experiment(name, settings, depends=()):
    """Register the decorated function as the experiment `name`.

    `settings` is a list of dictionaries of keyword arguments, JSON values only; a key
    "seed" is reported as the seeds of the result.
    """

    def register(run):
        EXPERIMENTS[name] = Experiment(name, run, settings, depends)
        return EXPERIMENTS[name]

    return register


def names():
    """Names of all experiments, those of the modules in this folder."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "__main__":
            importlib.import_module(f"{__name__}.{module.name}")
    return sorted(EXPERIMENTS)


def find(name):
    """The experiment called `name`; ValueError lists the names there are."""
    if name not in names():
        raise ValueError(f"no experiment {name!r}: choose from {names()}.")
    return EXPERIMENTS[name]


def load(name, folder=RESULTS):
    """The committed result of experiment `name`: its rows and its provenance.

    Raises ValueError when there is none, or when it was made with other settings or
    code than the experiment has now.
    """
    path = folder / f"{name}.json"
    remedy = f"Run `make experiments ONLY={name}`."
    if not path.is_file():
        raise ValueError(f"experiment {name!r} has no result in {folder}. {remedy}")
    result = json.loads(path.read_text("utf-8"))
    if missing := [key for key in PROVENANCE if not result.get(key)]:
        raise ValueError(f"{path.name} does not say its {missing}. {remedy}")
    if result["fingerprint"] != fingerprint(find(name)):
        raise ValueError(
            f"{path.name} was made with other code or settings than experiment "
            f"{name!r} has now. {remedy}"
        )
    return result


def source(result):
    """Lines on where a result comes from, to stand under its figure."""
    version = re.sub(r"\+\w+", "", result["torch"])
    lines = (
        f"{result['n']} runs, seeds {', '.join(map(str, result['seeds']))}, "
        f"{result['date']}, commit {result['commit']}",
        f"{result['machine']}, torch {version}",
    )
    return "\n".join(textwrap.fill(line, 66) for line in lines)


def complete(job, folder=RESULTS, progress=lambda rows, total: rows, jobs=1):
    """Run the settings of `job` that have no row yet and write its result; the path.

    Rows are kept as they are made, so a run that was killed goes on where it stopped,
    and settings that were added to a finished experiment are run alone; without any it
    is repeated as a whole. Where it was extended, its provenance names both runs.
    `progress` wraps the rows that are to come, as tqdm does. `jobs` processes make
    them; several begin with what is listed last, so that the longest can go there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job.name}.json"
    kept = folder / f"{job.name}.{fingerprint(job, settings=[])}.partial.jsonl"
    lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    old = _result_of_this_code(path, job)
    rows += old.get("rows", [])
    rows = [row for row in rows if row["setting"] in job.settings]
    done = [row["setting"] for row in rows]
    missing = [setting for setting in job.settings if setting not in done]
    with kept.open("a", encoding="utf-8") as file:
        if lines and not lines[-1].endswith("}"):
            file.write("\n")  # the row that was being written when the run was killed
        for row in progress(_made(job, missing, jobs), total=len(missing)):
            file.write(json.dumps(row) + "\n")
            file.flush()
            rows.append(row)
    rows.sort(key=lambda row: job.settings.index(row["setting"]))
    seeds = sorted({s["seed"] for s in job.settings if "seed" in s})
    facts = dict(zip(PROVENANCE, (*_here(), seeds, len(rows)), strict=True))
    for key in PROVENANCE[:4]:
        if old and facts[key] not in old[key].split("; "):
            facts[key] = f"{old[key]}; {facts[key]}"
    result = {"name": job.name, "fingerprint": fingerprint(job), **facts, "rows": rows}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(new, path)
    kept.unlink()
    return path


def _result_of_this_code(path, job):
    """A finished result that `job` extends by settings, not by code, or nothing."""
    if not path.is_file():
        return {}
    result = json.loads(path.read_text("utf-8"))
    settings = [row["setting"] for row in result["rows"]]
    extended = any(setting not in settings for setting in job.settings)
    same = result["fingerprint"] == fingerprint(job, settings)
    return result if extended and same else {}


def _made(job, settings, jobs):
    """The rows of `settings`, as they are made."""
    if jobs == 1:
        yield from (_row(job, setting) for setting in settings)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork could not use a GPU
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with spawn.Pool(jobs, torch.set_num_threads, (threads,)) as pool:
        named = partial(_row_by_name, job.name)
        yield from pool.imap_unordered(named, settings[::-1])


def _row(job, setting):
    return {"setting": setting, **job.run(**setting)}


def _row_by_name(name, setting):
    return _row(find(name), setting)


def fingerprint(job, settings=None):
    """Sixteen hexadecimal digits that change with the settings or the code of `job`;
    `settings` stand for its own."""
    code = [_outline(_parse(thing)) for thing in (job.run, *job.depends)]
    settings = job.settings if settings is None else settings
    text = json.dumps([settings, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parse(thing):
    return ast.parse(textwrap.dedent(inspect.getsource(thing)))


def _outline(node):
    """A syntax tree without docstrings as lists, the same under every Python version
    (newer ones add fields, which are empty for code that older ones can read)."""
    if isinstance(node, list):
        return [_outline(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Constant):
        return repr(node.value)
    fields = [
        [name, _outline(value)]
        for name, value in ast.iter_fields(node)
        if value is not None and value != []
    ]
    return [type(node).__name__, fields]


def _is_docstring(node):
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


def _here():
    """Commit, date, machine and torch version of this run."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    git = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True)
    today = datetime.date.today().isoformat()
    machine = f"{platform.machine()}, {train.hardware()}"
    return git.stdout.strip(), today, machine, torch.__version__
