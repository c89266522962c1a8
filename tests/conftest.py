import contextlib
import importlib.util
import os
import runpy
import subprocess

import pytest
from PIL import Image

from tools.execute import OFFLINE, scratch
from tools.form import ROOT

# Here, and in what the tests start, everything must come with the clone.
runpy.run_path(str(OFFLINE / "sitecustomize.py"))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")])
)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(scratch() / "inductor")
# The workers of pytest -n share the cores, and a GPU does not make the tests long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tracked():
    """Names of the files under version control, as far as they are there."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    names = filter(None, done.stdout.decode().split("\0"))
    return [name for name in names if (ROOT / name).is_file()]


@pytest.fixture
def gpu(monkeypatch):
    """The GPU that torch sees, in the precision it has, else a pretended one."""
    import torch

    from tests.pretend_gpu import fast_precision, pretend_gpu

    monkeypatch.delenv("CNNLIB_PRECISION", raising=False)
    is_there = torch.cuda.is_available()
    if not is_there:
        monkeypatch.setenv("CNNLIB_PRECISION", fast_precision())
    with contextlib.nullcontext() if is_there else pretend_gpu(noise=1e-6):
        yield torch.device("cuda")


@pytest.fixture(scope="session")
def extension():
    """A function that imports one of the site's own Sphinx extensions by its name."""

    def load(name):
        path = ROOT / "book" / "_ext" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"extension_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def pictures(tmp_path):
    """A folder of twelve red and twelve blue pictures to train with, four of each to
    test."""
    root = tmp_path / "pictures"
    for part, count in (("train", 12), ("val", 4)):
        for name, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                picture = Image.new("RGB", (40 + i, 50), colour)
                picture.save(root / part / name / f"{i}.png")
    return root
