"""tools/on_gpu.py: what it stores, and that a part that fails is not lost."""

import itertools
import json
import re
import subprocess
import sys

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from tools import on_gpu


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """A function that runs the tool with these parts on a card of this name; returns
    its exit code and what it stored."""
    monkeypatch.setattr(on_gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["on_gpu"])
    monkeypatch.setattr(on_gpu, "card", lambda pretend: "NVIDIA H0 80GB")

    def run(**parts):
        listed = [(name, ["-c", code]) for name, code in parts.items()]
        monkeypatch.setattr(on_gpu, "parts", lambda pretend, folder: listed)
        code = on_gpu.main()
        path = tmp_path / "gpu-nvidia-h0-80gb.json"
        return code, json.loads(path.read_text())

    return run


def test_every_part_is_stored_with_its_seconds_and_the_card(stored, capsys):
    code, result = stored(
        one="print('a\\n12 passed')", two="import time; time.sleep(1)"
    )
    assert code == 0
    assert result["card"] == "NVIDIA H0 80GB" and result["torch"] and result["commit"]
    one, two = result["parts"]
    assert (one["part"], one["passed"], one["said"]) == ("one", True, "12 passed")
    assert 1 <= two["seconds"] < 60
    assert "two: passed in" in capsys.readouterr().out


def test_chapters_are_counted_by_their_cells(tmp_path):
    report = tmp_path / "chapters.xml"
    assert on_gpu.by_chapter(report) == {}
    for name, sources in {"vgg": ("1", "1 / 0"), "nin": ("2",)}.items():
        cells = [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    options = [f"--junitxml={report}", "--nbval-lax", "--nbval-current-env"]
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider"]
    subprocess.run([*command, str(tmp_path)], capture_output=True)
    found = on_gpu.by_chapter(report)
    assert {name: (row["cells"], row["failed"]) for name, row in found.items()} == {
        "vgg": (2, ["Cell 1"]),
        "nin": (1, []),
    }


def test_a_part_that_fails_does_not_hide_the_next(stored, capsys):
    code, result = stored(one="print('why'); raise SystemExit(3)", two="print('fine')")
    assert code == 1
    assert [row["passed"] for row in result["parts"]] == [False, True]
    assert "why" in capsys.readouterr().err


def test_no_part_runs_longer_than_the_time_that_is_left(stored, monkeypatch):
    monkeypatch.setattr(on_gpu, "LIMIT", 2)
    code, result = stored(one="import time; time.sleep(60)", two="print('late')")
    assert code == 1 and result["parts"][0]["seconds"] < 30
    assert result["parts"][0]["said"] == "stopped: no time was left"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU is here")
def test_without_a_gpu_it_says_so_in_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["on_gpu"])
    with pytest.raises(SystemExit, match=r"sees no CUDA GPU here; .* --pretend\.$"):
        on_gpu.main()


@pytest.mark.parametrize("pretend", [False, True])
def test_all_that_it_runs_is_there(pretend):
    parts = dict(on_gpu.parts(pretend, "kept"))
    names = [a for a in itertools.chain(*parts.values()) if re.match(r"\w+/\w", a)]
    assert len([name for name in names if name.endswith(".ipynb")]) == 3 * pretend
    assert names and all((on_gpu.ROOT / name).is_file() for name in names)
    assert ("chapters" in parts["chapters"]) != pretend
    assert ("tests.pretend_gpu" in parts["training command"]) == pretend
    for name, arguments in parts.items():
        if arguments[0] == "-c":
            compile(arguments[1], name, "exec")
