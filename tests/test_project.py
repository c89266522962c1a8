"""Facts about the project that several files state: they must not drift apart."""

import re
import subprocess
import tokenize
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

import cnnlib
from tools import form

PROJECT = tomllib.loads((form.ROOT / "pyproject.toml").read_text())
PINS = {
    requirement.name.lower(): requirement
    for line in (form.ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}
PYTHONS = ["3.11", "3.12", "3.13"]


def read(name):
    return (form.ROOT / name).read_text(encoding="utf-8")


def test_the_repository_address_stands_in_config_alone(tracked):
    address = yaml.safe_load(read("_config.yml"))["repository"]["url"]
    path = address.partition("//")[2].partition("/")[2]  # owner/name
    holders = [
        name
        for name in tracked
        if not name.startswith(f"{form.NOTEBOOKS}/")  # generated from _config.yml
        and path.encode() in (form.ROOT / name).read_bytes()
    ]
    assert holders == ["_config.yml"]


def test_the_version_stands_in_cnnlib_alone():
    assert re.fullmatch(r"\d+\.\d+\.\d+", cnnlib.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"]
    dynamic = PROJECT["tool"]["setuptools"]["dynamic"]
    assert dynamic["version"] == {"attr": "cnnlib.__version__"}


@pytest.mark.parametrize("dependency", PROJECT["project"]["dependencies"])
def test_requirements_pin_what_the_package_needs(dependency):
    needed = Requirement(dependency)
    pinned = PINS[needed.name.lower()]
    (pin,) = pinned.specifier
    assert pin.operator == "=="
    assert needed.specifier.contains(pin.version)


def test_every_requirement_is_pinned():
    for requirement in PINS.values():
        assert [pin.operator for pin in requirement.specifier] == ["=="], requirement


def test_pre_commit_uses_the_pinned_ruff():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    (revision,) = {hook["rev"] for hook in hooks if "ruff" in hook["repo"]}
    assert str(PINS["ruff"].specifier) == f"=={revision.removeprefix('v')}"


def test_all_say_which_pythons_are_supported():
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert " | ".join(PYTHONS) in read("tools/install.sh")
    matrix = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]
    assert matrix["strategy"]["matrix"]["python"] == PYTHONS


def test_help_lists_every_target_with_one_line():
    targets = re.findall(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)
    shown = subprocess.run(
        ["make"], cwd=form.ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert re.findall(r"^  make (\S+) +\S.+$", shown, re.MULTILINE) == targets
    assert all(len(line) <= 88 for line in shown.splitlines())


def test_every_chapter_of_the_contents_has_text_and_notebook():
    parts = yaml.safe_load(read("_toc.yml"))["parts"]
    files = [chapter["file"] for part in parts for chapter in part["chapters"]]
    folder = f"{form.NOTEBOOKS}/"
    stems = [file.removeprefix(folder) for file in files if file.startswith(folder)]
    assert sorted(stems) == form.stems()
    assert sorted(stems) == form.stems(folder=form.NOTEBOOKS, suffix=".ipynb")


def install(tmp_path, script):
    """tools/install.sh with a pretended Python, in an empty folder."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    (tmp_path / "requirements.txt").write_text("")
    return subprocess.run(
        [form.ROOT / "tools/install.sh", python],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_installing_names_a_python_that_is_too_old(tmp_path):
    done = install(tmp_path, "echo 3.10")
    assert done.returncode == 1
    assert "is Python 3.10, the book needs 3.11, 3.12 or 3.13" in done.stderr
    assert "make book PYTHON=python3.12" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_installing_says_how_to_get_venv(tmp_path):
    done = install(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac; echo 3.12')
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("pip", "finished"), [("exit 1", False), ("exit 0", True)], ids=["stopped", "done"]
)
def test_only_a_finished_installation_is_marked_as_such(tmp_path, pip, finished):
    # the pretended Python makes an environment whose pip does as told
    script = f'#!/bin/sh\\ncase "$*" in *install*) {pip};; esac\\n'
    make = (
        f"mkdir -p .venv/bin; printf '{script}' > .venv/bin/python; "
        "chmod +x .venv/bin/python"
    )
    done = install(tmp_path, f'case "$*" in *venv*clear*) {make};; *) echo 3.12;; esac')
    assert (done.returncode == 0) == finished
    assert (tmp_path / ".venv/installed").exists() == finished


LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT),
    *(tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER),
}


def lines_of_code(path):
    """How many lines hold anything but comments and docstrings."""
    lines, before = set(), tokenize.ENCODING
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            docstring = token.type == tokenize.STRING and before in LAYOUT
            if token.type not in LAYOUT and not docstring:
                lines.update(range(token.start[0], token.end[0] + 1))
            before = token.type
    return len(lines)


def test_lines_of_code_are_counted_without_words_about_it(tmp_path):
    path = tmp_path / "example.py"
    path.write_text('"""Doc\nstring."""\n\n\ndef f():\n    """It."""\n    # so\n')
    assert lines_of_code(path) == 1
    path.write_text('x = """a\nb"""  # two\n')
    assert lines_of_code(path) == 2


def test_networks_and_core_can_be_read_in_an_evening():
    """About 1,500 lines: neither experiments, live figures, ledger nor command."""
    package = form.ROOT / "cnnlib"
    beside = ("experiments/*", "figures/*", "claims.py", "train/__main__.py")
    extra = {path for pattern in beside for path in package.glob(pattern)}
    assert sum(map(lines_of_code, set(package.rglob("*.py")) - extra)) < 1_600


def test_every_deliberate_break_still_has_its_place():
    for mutant in yaml.safe_load(read("tests/mutants.yml")):
        assert mutant["old"] in read(mutant["file"]), mutant
        assert mutant["old"] != mutant["new"]
        for path in mutant["tests"]:
            if path.startswith("tests/"):
                assert (form.ROOT / path).is_file(), mutant
