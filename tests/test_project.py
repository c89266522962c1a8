"""Facts about the project that several files state: they must not drift apart."""

import ast
import itertools
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from urllib.parse import parse_qsl

import pytest
import yaml
from packaging.requirements import Requirement

import cnnlib
from tools import addresses, form, release

PROJECT = tomllib.loads((form.ROOT / "pyproject.toml").read_text())


def requirements(name):
    """The requirements in a file of ours, or in a lock, without those it includes."""
    text = (form.ROOT / name).read_text(encoding="utf-8")
    lines = [line.rstrip(" \\") for line in text.splitlines()]
    return [Requirement(line) for line in lines if re.match(r"\w", line)]


FILES = ["requirements.txt", *(f"requirements/{n}.txt" for n in ("site", "peer", "uv"))]
PINS = {needed.name.lower(): needed for name in FILES for needed in requirements(name)}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def read(name):
    return (form.ROOT / name).read_text(encoding="utf-8")


def test_the_repository_address_stands_in_config_and_generated_places(tracked):
    path = release.address().partition("//")[2].partition("/")[2]  # owner/name
    generated = {f"{file.relative_to(form.ROOT)}" for file in addresses.places()}
    holders = {
        name
        for name in tracked
        if not name.startswith(f"{form.NOTEBOOKS}/")  # generated, too
        and path.encode() in (form.ROOT / name).read_bytes()
    }
    assert holders == {"_config.yml", *generated}
    for name in generated - {"CITATION.cff"}:
        assert path not in addresses.BLOCK.sub("", read(name))


def test_generated_places_hold_what_make_refresh_writes():
    for path, text in addresses.places().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: make refresh"


def test_the_changelog_has_an_entry_for_this_version():
    headings = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    dated = dict(heading.split(" - ") for heading in headings[1:])
    assert release.version() in dated
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dated.values())


def test_the_form_for_issues_has_the_fields_that_links_fill_in(extension):
    form = yaml.safe_load(read(".github/ISSUE_TEMPLATE/statement.yml"))
    context = {"header_buttons": [{"label": "source-issues-button", "url": "blank"}]}
    extension("addresses").set_form(None, "chapters/lenet", None, context, None)
    (button,) = context["header_buttons"]
    address, _, query = button["url"].partition("?")
    assert address == f"{release.address()}/issues/new"
    values = dict(parse_qsl(query))
    assert values.pop("template") == "statement.yml"
    assert values == {"page": "chapters/lenet.html"}
    assert values.keys() <= {part["id"] for part in form["body"]}


def test_a_file_without_the_marks_is_refused(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# Title\n")
    with pytest.raises(form.BookError, match=r"README\.md has 0 pairs of lines"):
        addresses.fill(path, "text")


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


def test_every_package_that_cnnlib_imports_is_declared():
    imported = set()
    for path in (form.ROOT / "cnnlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    notebooks = {"IPython", "matplotlib_inline"}  # asked for where a notebook runs
    foreign = imported - sys.stdlib_module_names - notebooks - {"cnnlib"}
    called = {"PIL": "pillow", "yaml": "PyYAML"}  # where the names differ
    declared = {Requirement(d).name for d in PROJECT["project"]["dependencies"]}
    assert {called.get(name, name) for name in foreign} == declared


def test_every_requirement_is_pinned():
    for requirement in PINS.values():
        assert [pin.operator for pin in requirement.specifier] == ["=="], requirement


@pytest.mark.parametrize(
    ("files", "lock"),
    [
        (FILES[:2], "all"),
        (FILES[1:2], "site"),
        (FILES[2:3], "peer"),
        (FILES[3:], "uv"),
    ],
    ids=["all", "site", "peer", "uv"],
)
def test_the_locks_hold_what_is_required_and_a_hash_for_each(files, lock):
    locked = requirements(f"requirements/{lock}.lock")
    found = {(needed.name.lower(), str(needed.specifier)) for needed in locked}
    for needed in itertools.chain.from_iterable(map(requirements, files)):
        assert (needed.name.lower(), str(needed.specifier)) in found, needed
    text = read(f"requirements/{lock}.lock")
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_site_is_built_with_versions_that_were_tested():
    everything = set(map(str, requirements("requirements/all.lock")))
    site = set(map(str, requirements("requirements/site.lock")))
    assert site < everything
    assert not any(line.startswith(("torch", "nvidia")) for line in site)


def test_pre_commit_uses_the_pinned_ruff():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    (revision,) = {hook["rev"] for hook in hooks if "ruff" in hook["repo"]}
    assert str(PINS["ruff"].specifier) == f"=={revision.removeprefix('v')}"


def test_all_say_which_pythons_are_supported():
    assert PROJECT["project"]["requires-python"] == ">=3.11"
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


def install(tmp_path, script, what="all", **env):
    """tools/install.sh with a pretended Python, in an empty folder."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    if not (tmp_path / "requirements").exists():
        shutil.copytree(form.ROOT / "requirements", tmp_path / "requirements")
        shutil.copy(form.ROOT / "requirements.txt", tmp_path)
    return subprocess.run(
        [form.ROOT / "tools/install.sh", what, python, env.get("index", "")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def pretended(tmp_path, pip):
    """A Python whose environments do as `pip` tells and write down each call."""
    said = tmp_path / "said"
    tool = f'#!/bin/sh\\necho "$@" >> {said}\\n{pip}\\n'
    make = "mkdir -p .venv/bin; " + "; ".join(
        f"printf '{tool}' > .venv/bin/{name}; chmod +x .venv/bin/{name}"
        for name in ("python", "uv")
    )
    return f'case "$*" in *venv*clear*) {make};; *) echo 3.12;; esac'


def test_installing_names_a_python_that_is_too_old(tmp_path):
    done = install(tmp_path, "echo 3.10")
    assert done.returncode == 1
    assert "is Python 3.10, the book needs 3.11, 3.12, 3.13 or 3.14" in done.stderr
    assert "make book PYTHON=python3.12" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_installing_says_how_to_get_venv(tmp_path):
    done = install(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac; echo 3.12')
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_environment_that_is_replaced_is_named(tmp_path):
    (tmp_path / ".venv").mkdir()
    done = install(tmp_path, pretended(tmp_path, "exit 0"))
    assert "Replacing .venv, which is not Python 3.12 with pip." in done.stdout


@pytest.mark.parametrize("what", ["site", "all"])
@pytest.mark.parametrize(
    ("pip", "finished"), [("exit 1", False), ("exit 0", True)], ids=["stopped", "done"]
)
def test_only_a_finished_installation_is_marked_as_such(tmp_path, what, pip, finished):
    done = install(tmp_path, pretended(tmp_path, pip), what)
    assert (done.returncode == 0) == finished
    assert (tmp_path / ".venv/site").exists() == finished
    assert (tmp_path / ".venv/installed").exists() == (finished and what == "all")


def test_with_an_index_for_the_cpu_pytorch_alone_comes_from_there(tmp_path):
    keep = 'for f in "$@"; do case $f in /*) cat $f >> kept;; esac; done'
    address = "https://example.org/cpu"
    done = install(tmp_path, pretended(tmp_path, keep), "all", index=address)
    assert done.returncode == 0, done.stderr
    *_, rest, torch = (tmp_path / "said").read_text().splitlines()
    assert "--require-hashes" in rest and address not in rest
    assert f"--no-deps --default-index {address}" in torch and "torch==" in torch
    kept = (tmp_path / "kept").read_text()
    names = set(re.findall(r"^([\w-]+)==", kept, re.MULTILINE))
    locked = {needed.name for needed in requirements("requirements/all.lock")}
    assert names < locked
    left = {name for name in locked - names if not name.startswith(("nvidia", "cuda"))}
    assert left == {"torch", "torchvision", "triton"}
    assert {"numpy", "sympy"} <= names and "--hash=sha256:" in kept


def test_all_parts_run_and_those_that_fail_are_listed(tmp_path):
    parts = ["one", "exit 3", "two", "echo here", "three", "false"]
    done = subprocess.run(
        [form.ROOT / "tools/parts.sh", *parts], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "here" in done.stdout and "two passed" in done.stdout
    assert done.stderr == "\nFAILED: one, three\n"
    subprocess.run([form.ROOT / "tools/parts.sh", *parts[2:4]], check=True)


LAYOUT = {
    *(tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def lines_of_code(path):
    """How many lines hold anything but comments and docstrings."""
    lines, before = set(), tokenize.ENCODING
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.COMMENT, tokenize.NL):
                continue  # between two strings in brackets, too
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
    path.write_text('# so\n"""Doc."""\nx = (\n    "a"  # two\n    f"{x}"\n)\n')
    assert lines_of_code(path) == 4


def test_networks_and_core_can_be_read_in_an_evening():
    """Less than 2,750 lines, without experiments, trials of exercises, live figures,
    drawings, ledger and command."""
    package = form.ROOT / "cnnlib"
    command = ("train/__main__.py", "train/options.py", "predict.py")
    beside = (
        "experiments/*",
        "exercises/*",
        "figures/*",
        "diagrams/*",
        "claims.py",
        *command,
    )
    extra = {path for pattern in beside for path in package.glob(pattern)}
    assert sum(map(lines_of_code, set(package.rglob("*.py")) - extra)) < 2_750


def test_every_deliberate_break_still_has_its_place():
    for mutant in yaml.safe_load(read("tests/mutants.yml")):
        assert mutant["old"] in read(mutant["file"]), mutant
        assert mutant["old"] != mutant["new"]
        for path in mutant["tests"]:
            if path.startswith("tests/"):
                assert (form.ROOT / path).is_file(), mutant
