"""The wheel in an empty folder, without a network: it holds all of cnnlib and works."""

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tools import form, release

BUILD = (
    "from setuptools import build_meta; import sys; build_meta.build_wheel(sys.argv[1])"
)
USE = """
import importlib, pkgutil, sys
from pathlib import Path

import cnnlib
from cnnlib import claims, data, experiments, figures, models

def refuse(event, arguments):
    if event == "socket.connect":
        raise PermissionError(f"connects to {arguments[1]}")

sys.addaudithook(refuse)
for module in pkgutil.walk_packages(cnnlib.__path__, "cnnlib."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
ours = [module for name, module in sys.modules.items() if name.startswith("cnnlib")]
for module in ours:
    assert Path(module.__file__).is_relative_to(sys.argv[1]), module
for name in experiments.names():
    assert experiments.load(name)["rows"]
train, test = data.fashion_mnist(10_000, 2_000)
assert train.images.shape == (10_000, 1, 28, 28) and test.labels.shape == (2_000,)
assert [len(part.labels) for part in data.digits()] == [8_000, 2_000]
assert claims.statements()
two = data.Images(test.images[:2], test.labels[:2])
figures.blocks({"kept": {"plain": ([0] * 512, "00" * 512)}}, 1_000, two)
figures.microscope(models.build("lenet"), two)
figures.bill()
for chapter in sys.modules["cnnlib.figures.quiz"].QUESTIONS:
    figures.quiz(chapter)
print(len(ours), "modules")
"""


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory):
    """The wheel of the tracked files as they are now, built without an environment of
    its own, which would be downloaded."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in tracked:
        if name.startswith("cnnlib/") or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(form.ROOT / name, source / name)
    command = [sys.executable, "-c", BUILD, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = target.iterdir()
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel, tracked):
    with zipfile.ZipFile(wheel) as archive:
        stored = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert stored == {name for name in tracked if name.startswith("cnnlib/")}


@pytest.mark.weekly
def test_the_wheel_works_in_an_empty_folder_without_a_network(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", USE, str(site)],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(site), "HOME": str(empty)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    modules = set(site.glob("cnnlib/**/*.py")) - set(site.glob("**/__main__.py"))
    assert done.stdout == f"{len(modules)} modules\n"


def test_the_metadata_tell_an_index_what_it_shows(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        facts = email.message_from_bytes(archive.read(path))
    assert (facts["Name"], facts["Version"]) == ("cnnlib", release.version())
    assert facts["Requires-Python"] == ">=3.11"
    assert facts["Author"] == release.config()["author"]
    assert f"Source, {release.address()}" in facts.get_all("Project-URL")
    assert {"pillow>=10.1", "numpy>=2"} < set(facts.get_all("Requires-Dist"))
    assert facts["Summary"] and facts["Keywords"] and facts.get_all("Classifier")
    text = facts.get_payload()
    assert text == (form.ROOT / "cnnlib/README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]: (\S+)|\]\(([^)]+)\)", text):
        assert "".join(link).startswith("https://"), link


def test_the_examples_of_the_readme_run():
    text = (form.ROOT / "cnnlib/README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.+?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, {})
