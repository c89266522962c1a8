"""A chapter opened in Colab: an empty folder, a clone address, and nothing else.

It runs beside the chapters in `make test`, not with the unit tests: it executes the
chapter that was quickest when last executed, from top to bottom.
"""

import os
import shutil
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell

import cnnlib
from tools import form
from tools.execute import OFFLINE, kernel_env, new_client


@pytest.fixture
def published(tracked, tmp_path):
    """A repository with the tracked files as they are now, tagged as a release."""
    folder = tmp_path / "published"
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(form.ROOT / name, folder / name)
    anyone = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for arguments in (
        ["init", "-q"],
        ["add", "--all"],
        ["commit", "-q", "-m", "release"],
        ["tag", f"v{cnnlib.__version__}"],
    ):
        subprocess.run(["git", *anyone, *arguments], cwd=folder, check=True)
    return folder


def quickest():
    notebooks = [
        nbformat.read(path, as_version=4)
        for path in (form.ROOT / form.NOTEBOOKS).glob("*.ipynb")
    ]
    return min(notebooks, key=lambda notebook: notebook.metadata.cnnlib.seconds)


def test_a_chapter_fetches_the_package_and_runs_top_to_bottom(published, tmp_path):
    empty = tmp_path / "colab"
    empty.mkdir()
    env = kernel_env() | {"CNNLIB_REPO": published.as_uri()}
    env["PYTHONPATH"] = str(OFFLINE)
    notebook = quickest()
    where = new_code_cell("import cnnlib; print(cnnlib.__file__, end='')")
    notebook.cells.append(where)

    new_client(notebook).execute(cwd=str(empty), env=env, stderr=subprocess.DEVNULL)

    fetched = empty / f"cnn-notes-v{cnnlib.__version__}/cnnlib/__init__.py"
    assert where.outputs[0].text == os.fspath(fetched)
    for cell in notebook.cells:
        assert all(out.get("name") != "stderr" for out in cell.get("outputs", []))
