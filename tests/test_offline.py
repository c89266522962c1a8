"""Tests and chapters cannot lean on a network or on what a machine has from earlier."""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cnnlib import data
from tools.execute import kernel_env
from tools.form import ROOT


@pytest.mark.parametrize(
    ("attempt", "named"),
    [
        (lambda: urllib.request.urlopen("https://example.org"), "example.org"),
        (lambda: socket.create_connection(("192.0.2.1", 80), 1), "192.0.2.1"),
        (lambda: Path("/usr/share/datasets/x").read_bytes(), "/usr/share/datasets/x"),
        (lambda: (data.CACHE / "x").read_bytes(), str(data.CACHE / "x")),
    ],
    ids=["name", "address", "package", "download"],
)
def test_what_the_clone_does_not_bring_is_refused_by_name(attempt, named):
    with pytest.raises(RuntimeError, match=f"tests and chapters must not .*{named}"):
        attempt()


def test_a_kernel_of_a_chapter_is_guarded_too(tmp_path):
    code = "import socket; socket.create_connection(('example.org', 80))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=kernel_env(),
        capture_output=True,
        text=True,
    )
    assert "must not look up 'example.org'" in done.stderr


def test_this_machine_can_be_talked_to():
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = ("localhost", server.getsockname()[1])
        with socket.create_connection(here), server.accept()[0]:
            pass
    assert Path(__file__).read_text().startswith('"""')


def run_and_find_nothing_left(code, temporary):
    env = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
    assert not list(temporary.iterdir())


def test_a_kernel_leaves_nothing_in_the_temporary_folder(tmp_path):
    code = (
        "from nbformat.v4 import new_code_cell, new_notebook\n"
        "from tools.execute import kernel_env, new_client\n"
        "cells = [new_code_cell('import torch._inductor.runtime.cache_dir_utils as c'),"
        " new_code_cell('c.cache_dir()')]\n"
        "new_client(new_notebook(cells=cells)).execute(env=kernel_env())\n"
    )
    run_and_find_nothing_left(code, tmp_path)


def test_a_child_that_ends_leaves_the_folder_to_its_parent(tmp_path):
    """From Python 3.13 on, a worker of a loader forgets what is done at the end."""
    code = (
        "import atexit, multiprocessing, tools.execute\n"
        "folder = tools.execute.scratch()\n"
        "fork = multiprocessing.get_context('fork')\n"
        "child = fork.Process(target=atexit._clear)\n"
        "child.start()\n"
        "child.join()\n"
        "assert child.exitcode == 0 and folder.is_dir()\n"
    )
    run_and_find_nothing_left(code, tmp_path)
