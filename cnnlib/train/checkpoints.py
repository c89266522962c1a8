"""Checkpoints of a training run: written whole or not at all, the last two kept."""

import os
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path

import torch

KEPT = 2


def prepare(folder):
    """Make `folder` and write in it; OSError says that and why a run cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except OSError as problem:
        raise OSError(_unusable(folder, problem)) from problem


def save(folder, epoch, state):
    """Write `state`, nested dictionaries and lists of tensors and plain values, as the
    checkpoint of `epoch` and remove all but the last two; returns its path.

    Raises OSError where it cannot be written; those before it are kept."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch-{epoch:04}.pt"
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except (OSError, RuntimeError) as problem:  # torch puts its own on that of a disk
        cause = problem if isinstance(problem, OSError) else problem.__context__
        raise OSError(_unusable(path, cause or problem)) from problem
    finally:
        new.unlink(missing_ok=True)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def _unusable(path, problem):
    reason = getattr(problem, "strerror", None) or problem
    return (
        f"{path} cannot be written ({reason}): make room for it, or name another "
        "folder with --checkpoints."
    )


def latest(folder):
    """The state in the newest checkpoint of `folder` that is whole, None without one.

    A file that is damaged, or that would run code when loaded, is named on stderr and
    passed over.
    """
    for path in _newest_first(folder):
        try:
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():  # by its checksum
                    raise zipfile.BadZipFile(f"{damaged} is damaged")
            return torch.load(path, map_location="cpu", weights_only=True)
        except (zipfile.BadZipFile, pickle.UnpicklingError) as problem:
            reason = str(problem).partition("\n")[0]
            print(
                f"{path} is no whole checkpoint, passed over: {reason}", file=sys.stderr
            )
    return None


def read(path):
    """The dictionary in the file `path`, or in the newest checkpoint of that folder.

    Raises OSError where there is none, and ValueError where it is damaged, something
    else, or would run code when loaded.
    """
    if path.is_dir():
        state = latest(path)
        if state is None:
            raise OSError(f"{path} has no whole checkpoint: name the folder of a run.")
        return state
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as problem:
        raise OSError(f"{path} cannot be read ({problem.strerror}).") from problem
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as problem:
        reason = str(problem).partition("\n")[0].partition(". ")[0]
        raise ValueError(
            f"{path} is no file of weights ({reason or 'it is empty'}): it needs "
            "tensors by name, as torch.save(net.state_dict(), path) writes them."
        ) from problem
    return state if isinstance(state, dict) else {"": state}


def _newest_first(folder):
    return sorted(folder.glob("epoch-*.pt"), reverse=True)
