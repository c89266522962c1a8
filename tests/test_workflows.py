"""What runs on GitHub, as far as it can be tested without GitHub."""

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

import cnnlib
from tools import form
from tools.execute import CELL_TIMEOUT

PATHS = sorted((form.ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in PATHS}
JOBS = {
    f"{name}/{job}": WORKFLOWS[name]["jobs"][job]
    for name in WORKFLOWS
    for job in WORKFLOWS[name]["jobs"]
}
COMMANDS = {
    name: "\n".join(step.get("run", "") for step in job.get("steps", []))
    for name, job in JOBS.items()
}


def read(name):
    return (form.ROOT / name).read_text(encoding="utf-8")


MAKEFILE = read("Makefile")
TARGETS = set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE))


def made(command):
    """The targets that a shell command makes."""
    calls = re.findall(r"\bmake((?: [a-z][a-z-]*\b(?!=))+)", command)
    return {target for call in calls for target in call.split()}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_workflows_pin_actions_by_commit(path):
    used = re.findall(r"uses: ([^.].+)", path.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v[\d.]+", action)


def test_one_version_of_each_action_is_used():
    text = "\n".join(path.read_text() for path in PATHS)
    used = set(re.findall(r"uses: ([^.].+)", text))
    assert len(used) == len({action.partition("@")[0] for action in used})


@pytest.mark.parametrize("name", JOBS)
def test_workflows_call_what_exists(name):
    for target in made(COMMANDS[name]):
        assert target in TARGETS
    for module in re.findall(r"-m (tools\.\w+)", COMMANDS[name]):
        assert (form.ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    for path in re.findall(r"cat ([\w./-]+)", COMMANDS[name]):
        assert (form.ROOT / path).is_file(), path


@pytest.mark.parametrize("name", JOBS)
def test_every_job_ends(name):
    job = JOBS[name]
    if "uses" not in job:
        assert 10 <= job["timeout-minutes"] <= 360  # GitHub's own limit


def test_a_cell_has_the_same_time_when_stored_and_when_compared():
    assert f"--nbval-cell-timeout {CELL_TIMEOUT} " in MAKEFILE


def test_the_site_is_published_after_the_tests_and_the_gate():
    assert WORKFLOWS["pages"]["jobs"]["test"]["uses"].endswith("/workflows/test.yml")
    assert {"test", "build"} <= set(JOBS["pages/deploy"]["needs"])
    steps = [step.get("run", step.get("uses")) for step in JOBS["pages/build"]["steps"]]
    (gate,) = [i for i, step in enumerate(steps) if "tools.release check" in step]
    (upload,) = [i for i, step in enumerate(steps) if "upload-pages-artifact" in step]
    assert gate < upload


@pytest.mark.parametrize(
    ("tag", "code"),
    [(f"v{cnnlib.__version__}", 0), ("v0.0.0", 1), (cnnlib.__version__, 1)],
)
def test_only_the_tag_of_this_version_is_released(tag, code):
    steps = JOBS["release/release"]["steps"]
    (step,) = [step for step in steps if "__version__" in step.get("run", "")]
    env = os.environ | {"GITHUB_REF_NAME": tag}
    command = ["bash", "-e", "-c", step["run"]]
    done = subprocess.run(command, cwd=form.ROOT, env=env, stderr=subprocess.PIPE)
    assert done.returncode == code
    assert (b"the tag " + tag.encode() in done.stderr) == bool(code)


def test_every_chapter_meets_the_versions_of_colab():
    matrix = JOBS["weekly/colab-chapter"]["strategy"]["matrix"]
    assert sorted(matrix["chapter"]) == form.stems()


@cache
def modules(path):
    """Names of the modules that a file imports at its top, those of `from a import b`
    as a.b."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def packages(path, seen):
    """Names of the packages of others that a file imports, itself or through ours."""
    for name in modules(path):
        ours = [
            form.ROOT / f"{'/'.join(name.split('.')[:length])}{end}"
            for length in (1, 2, 3)
            for end in (".py", "/__init__.py")
        ]
        for file in set(filter(Path.is_file, ours)) - seen:
            seen.add(file)
            yield from packages(file, seen)
        if not (form.ROOT / name.partition(".")[0]).is_dir():
            yield name.partition(".")[0]


def test_the_tests_for_colab_need_what_colab_has_and_pytest():
    shown = ["make", "--dry-run", "--always-make", "colab"]
    done = subprocess.run(shown, cwd=form.ROOT, check=True, capture_output=True)
    left_out = set(re.findall(r"--ignore tests/(\w+\.py)", done.stdout.decode()))
    installed = re.findall(r"^([\w-]+)==", read(".github/colab.txt"), re.MULTILINE)
    renamed = {"PyYAML": "yaml", "pillow": "PIL", "ipython": "IPython"}
    known = {renamed.get(name, name) for name in installed} | sys.stdlib_module_names
    files = {path.name: path for path in (form.ROOT / "tests").glob("*.py")}
    assert left_out <= files.keys()
    for name in files.keys() - left_out:
        assert set(packages(files[name], set())) <= known, name
        assert 'extension("' not in files[name].read_text(), name  # wants docutils


def test_the_machine_in_the_cloud_makes_what_exists():
    text = read(".devcontainer/devcontainer.json")
    machine = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert made(machine["updateContentCommand"]) == {"install", "book"} <= TARGETS
    python = re.search(r"python:(\d+\.\d+)", machine["image"])[1]
    assert python in JOBS["test/test"]["strategy"]["matrix"]["python"]


def report(tmp_path, results, number=""):
    """What the last job of the weekly run says to GitHub after jobs with such results;
    `number`: that of the issue that is open already."""
    gh = tmp_path / "gh"
    gh.write_text(
        '#!/bin/sh\ntest "$2" = list && echo "$NUMBER" && exit\n'
        'printf "%s\\n" "$@" >said\n'
    )
    gh.chmod(0o755)
    (step,) = JOBS["weekly/report"]["steps"]
    needs = {job: {"result": result, "outputs": {}} for job, result in results.items()}
    env = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NEEDS": json.dumps(needs),
        "NUMBER": number,
        "RUN": "https://example.org/run/1",
    }
    command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    said = tmp_path / "said"
    return said.read_text().splitlines() if said.exists() else None


def test_a_failed_weekly_run_opens_one_issue(tmp_path):
    results = dict.fromkeys(JOBS["weekly/report"]["needs"], "success")
    assert set(results) == set(WORKFLOWS["weekly"]["jobs"]) - {"report"}
    assert report(tmp_path, results | {"gpu": "skipped"}) is None
    # a job that ran out of time counts as cancelled
    results |= {"newest": "failure", "mutation": "cancelled"}
    body = "These jobs did not pass: mutation, newest. Their logs: https://example.org/run/1"
    title = "The weekly run failed"
    said = ["issue", "create", "--title", title, "--body", body]
    assert report(tmp_path, results) == said
    assert report(tmp_path, results, "7") == ["issue", "comment", "7", "--body", body]
