"""Execute chapters and store their outputs; the settings are those of the tests."""

import asyncio
import atexit
import datetime
import math
import os
import shutil
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import DEVNULL

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell

from tools.form import (
    BookError,
    compose,
    dumps,
    masked,
    normalise,
    notebook_path,
    stamp,
    write,
)

CELL_TIMEOUT = 1800  # seconds, for a CPU without bfloat16 and with other work
OFFLINE = Path(__file__).parent / "offline"
PROBE = """\
from importlib.metadata import version
from cnnlib.train import hardware
print(hardware(), version("torch").partition("+")[0], sep="\\n", end="")"""


def kernel_env():
    """The environment of a kernel that runs a chapter. One thread and fixed seeds make
    results repeatable. The C library keeps memory that it would else return and fetch
    again in each step. A chapter must not need what only this machine has
    (tools/offline)."""
    path = filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")])
    fixed = {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**31),
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(path),
        "TORCHINDUCTOR_CACHE_DIR": str(scratch() / "inductor"),
        "TQDM_DISABLE": "1",
    }
    env = {**os.environ, **fixed}
    # ipykernel would not capture what C++ code prints under pytest
    env.pop("PYTEST_CURRENT_TEST", None)
    return env


@cache
def scratch():
    """A folder for what kernels leave behind; it goes when this process ends. It is no
    TemporaryDirectory, which a forked child would take along when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="cnn-"))
    atexit.register(shutil.rmtree, folder)
    return folder


def sockets():
    """Options of a kernel manager that make it talk over files: two kernels that start
    at once can pick the same TCP port, and one of them dies."""
    return {"transport": "ipc", "ip": str(scratch() / uuid.uuid4().hex[:8])}


def new_client(notebook):
    """A client that executes the notebook in a kernel of its own."""
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, record_timing=False, coalesce_streams=True
    )
    client.km = client.kernel_manager_class(**sockets())
    return client


def execute(root, stems, jobs):
    """Execute the chapters, `jobs` at a time; each that succeeds is written at once.
    Returns the names of those that failed."""
    return asyncio.run(_execute_all(root, stems, jobs))


async def _execute_all(root, stems, jobs):
    slots, running = asyncio.Semaphore(jobs), {}
    clock = asyncio.create_task(_show_progress(running))

    async def one(stem):
        async with slots:
            try:
                await _execute_one(root, stem, running)
            except BookError as error:
                _say(f"{stem}: FAILED. {error}")
                return stem
            finally:
                running.pop(stem, None)

    try:
        return [stem for stem in await asyncio.gather(*map(one, stems)) if stem]
    finally:
        clock.cancel()


async def _execute_one(root, stem, running):
    start = time.monotonic()
    notebook, path = compose(root, stem), notebook_path(root, stem)
    path.parent.mkdir(exist_ok=True)
    device, torch = await _run_cells(notebook, stem, path.parent, running)
    facts = {
        "executed": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device,
        "torch": torch,
        "seconds": math.ceil(time.monotonic() - start),
    }
    stamp(notebook, facts)
    old = path.read_text(encoding="utf-8") if path.exists() else None
    text = dumps(normalise(notebook))
    write(path, text)
    news = "changed" if old is None or masked(old) != masked(text) else "same outputs"
    _say(f"{stem}: {len(notebook.cells)} cells in {facts['seconds']} s, {news}")


async def _run_cells(notebook, stem, folder, running):
    """Run all cells in a fresh kernel, then ask it for the hardware it used."""
    client = new_client(notebook)
    manager = client.km
    try:
        await client.async_start_new_kernel(
            cwd=str(folder), env=kernel_env(), stdout=DEVNULL, stderr=DEVNULL
        )
        await client.async_start_new_kernel_client()
        start = time.monotonic()
        count = len(notebook.cells)
        notebook.cells.append(new_code_cell(PROBE))
        for i, cell in enumerate(notebook.cells):
            running[stem] = f"{stem}: cell {min(i + 1, count)}/{count}", start
            await _run_cell(client, cell, i)
        return notebook.cells.pop().outputs[0].text.splitlines()
    finally:
        if client.kc:
            client.kc.stop_channels()
        await manager.shutdown_kernel(now=True)


async def _run_cell(client, cell, i):
    try:
        await client.async_execute_cell(cell, i)
    except DeadKernelError:
        if asyncio.current_task().cancelling():  # nbclient's name for Ctrl-C
            raise asyncio.CancelledError from None
        raise BookError(f"The kernel died in cell {i}:\n{cell.source}") from None
    except (CellExecutionError, CellTimeoutError) as error:
        raise BookError(f"Cell {i} failed:\n{error}") from None
    for output in cell.get("outputs", []):
        if output.get("name") == "stderr":
            raise BookError(f"Cell {i} wrote to stderr:\n{output.text}{cell.source}")


async def _show_progress(running):
    """On a terminal one live line; elsewhere a line every ten seconds."""
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(1 if sys.stdout.isatty() else 10)
            now = time.monotonic()
            lines = [f"{text}, {now - start:.0f} s" for text, start in running.values()]
            if lines:
                _say("  ".join(lines), end="" if sys.stdout.isatty() else "\n")


def _say(text, end="\n"):
    print("\r\x1b[K" * sys.stdout.isatty() + text, end=end, flush=True)
