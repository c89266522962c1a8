"""The list of changes that no test notices: complete, up to date, with reasons."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from tools import mutation

LISTED = yaml.safe_load(mutation.SURVIVORS.read_text(encoding="utf-8"))
# A small project: what its tests do not notice is known.
PROJECT = {
    "pyproject.toml": """\
[tool.mutmut]
source_paths = ["small"]
""",
    "small.py": """\
class Base:
    def __init__(self, start):
        self.start = start


class Counter(Base):
    def __init__(self, start=3):
        super().__init__(start)

    @staticmethod
    def twice(n):
        return 2 * n

    def left(self):
        n = self.start
        while n:
            n -= 1
            yield n


def never_called():
    return 1


def built():
    return [5]


def double(n):
    return 2 * n
""",
    "test_small.py": """\
from functools import cache

import small
from small import Counter, double

built = cache(lambda: small.built())

def test_a_list_is_built():
    assert built()

def test_it_is_the_right_one_though_another_test_has_built_it():
    assert built() == [5]

def test_double():
    assert double(2) == 4

def test_counter():
    assert Counter.twice(4) == 8 and list(Counter().left()) == [2, 1, 0]
""",
    "survivors.yml": """\
small.py:
- {in: double, old: return 2 * n, new: return 2 / n, reason: noticed by now}
- {in: Counter.left, old: n -= 1, new: n += 1, reason: it never ends}
""",
}
RUN = """
import pathlib, sys
from tools import mutation
mutation.ROOT = pathlib.Path.cwd()
mutation.SURVIVORS = mutation.ROOT / "survivors.yml"
mutation.TESTS = {"small.py": ["test_small.py"]}
sys.exit(mutation.main(*sys.argv[1:]))
"""


def test_the_modules_and_their_tests_exist():
    for file, tests in mutation.TESTS.items():
        paths = [name for name in tests if name.endswith(".py")]
        assert all((mutation.ROOT / path).is_file() for path in [file, *paths]), file


def test_every_module_of_the_networks_and_of_training_is_tried():
    for folder in ("models", "train"):
        files = (mutation.ROOT / "cnnlib" / folder).glob("*.py")
        names = {str(path.relative_to(mutation.ROOT)) for path in files}
        assert names <= set(mutation.TESTS)


@pytest.mark.parametrize("file", LISTED)
def test_survivors_have_reasons_and_stand_in_the_code(file):
    lines = (mutation.ROOT / file).read_text(encoding="utf-8").splitlines()
    code = {line.strip() for line in lines}
    for entry in LISTED[file]:
        assert {*entry} == {"in", "old", "new", "reason"} and entry["reason"], entry
        assert entry["old"] != entry["new"]
        assert {line.strip() for line in entry["old"].splitlines()} <= code, entry


@pytest.fixture
def run(tmp_path):
    """Run the tool on the small project with further options."""
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def call(*options):
        return subprocess.run(
            [sys.executable, "-c", RUN, *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{mutation.ROOT}{os.pathsep}{tmp_path}"},
            capture_output=True,
            text=True,
        )

    return call


@pytest.mark.weekly
def test_what_the_tests_of_a_small_project_do_not_notice_is_found(run):
    done = run()
    assert done.returncode == 1, done.stderr
    first, *reports = done.stdout.split("\n# small.py: ")
    assert re.fullmatch(r"small\.py: 13 changes, 1 survivors, \d+ s\n", first)
    unlisted, gone = reports
    assert unlisted.startswith("1 survivors unlisted")
    assert yaml.safe_load(unlisted.partition("\n")[2]) == [
        {"in": "never_called", "old": "return 1", "new": "return 2"}
    ]
    assert gone.startswith("1 survivors listed, but noticed")
    (entry,) = yaml.safe_load(gone.partition("\n")[2])
    assert entry["in"] == "double"


def test_a_part_of_a_file_can_be_tried(run):
    done = run("small", "Counter.twice")
    assert re.match(r"small\.py: 2 changes, 0 survivors", done.stdout), done.stderr
    assert done.returncode == 0


def test_survivors_and_list_are_compared_both_ways():
    a, b, c, d = ({"in": "f", "old": "x", "new": new} for new in "abcd")
    listed = [entry | {"reason": "equal"} for entry in (b, c, d)]
    assert mutation.difference([a, b], [d], listed) == ([a], [listed[1]])


def test_what_an_error_says_is_not_changed():
    project = (mutation.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    patterns = tomllib.loads(project)["tool"]["mutmut"]["do_not_mutate_patterns"]
    lines = ["    raise ValueError(", "sys.exit('')", 'add("--lr", default=1)']
    for pattern, line in zip(patterns, lines, strict=True):
        assert re.search(pattern, line)


@pytest.mark.parametrize(
    ("old", "new", "tried"),
    [
        ("zip(a, b, strict=True)", "zip(a, b, strict=None)", False),
        ("zip(a, b, strict=True)", "zip(a, b, )", False),
        ("zip(a, b, strict=True)", "zip(a, strict=True)", True),
        ("f(bias=False)", "f(bias=None)", False),
        ("right = False", "right = None", False),
        ("right = False", "right = True", True),
        ("is_false = 1", "is_false = None", True),
    ],
)
def test_what_makes_no_difference_is_not_tried(old, new, tried):
    assert (mutation.EQUAL.sub("", old) != mutation.EQUAL.sub("", new)) == tried


def test_a_fork_answers_or_is_stopped():
    assert mutation.in_a_fork(lambda: [1, "a"]) == [1, "a"]
    assert mutation.in_a_fork(endless, seconds=0.2) is None
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        mutation.in_a_fork(lambda: 1 / 0)


def endless():
    while True:
        pass


def test_an_unknown_module_is_refused_by_name():
    with pytest.raises(SystemExit, match="nowhere is in none of cnnlib/init"):
        mutation.main("nowhere")
