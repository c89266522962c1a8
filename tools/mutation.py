"""Let mutmut make every small change it knows, and account for those no test notices.

tests/mutants.yml holds the breaks that somebody thought of; these are the others: each
number, operator, argument, text and assignment inside a function of the modules below.
A change that the tests of its module do not notice, a survivor, must stand in
tests/survivors.yml with the reason why none has to, and nothing else may stand there.

Only functions are changed, not tables at the top of a file, decorated functions, nor
what an error says. Results are kept in _build/mutation: an interrupted run goes on
where it stopped, and a further one tries the survivors again; `make clean` forgets.
usage: python -m tools.mutation [WORD]   only modules whose file contains WORD
"""

import json
import os
import re
import subprocess
import sys
import textwrap
from contextlib import chdir
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
WORK = ROOT / "_build" / "mutation"
SURVIVORS = ROOT / "tests" / "survivors.yml"
# The tests that must notice, as options of pytest, for each module; without those that
# train long or start other processes.
TESTS = {
    "cnnlib/init.py": ["tests/test_init.py"],
    "cnnlib/gradients.py": ["tests/test_gradients.py"],
    "cnnlib/data.py": ["tests/test_data.py"],
    "cnnlib/claims.py": ["tests/test_claims.py"],
    "cnnlib/costs.py": ["tests/test_costs.py"],
    "cnnlib/fields.py": ["tests/test_fields.py"],
    "cnnlib/train/__init__.py": [
        *("tests/test_train.py", "-k", "not (two_processes or reused)"),
    ],
    "cnnlib/train/__main__.py": [
        *("tests/test_train_command.py", "-k"),
        "not (two_processes or was_killed or a_worker)",
    ],
    "cnnlib/train/checkpoints.py": [
        *("tests/test_train_command.py", "-k"),
        "(checkpoint or full_disk or torch_cannot) and not network",
    ],
    "cnnlib/train/options.py": [
        *("tests/test_train_command.py", "-k"),
        "bad_input or cannot_be_shared or no_more or shared_memory",
    ],
    "cnnlib/models/__init__.py": ["tests/test_models.py", "-k", "not small_batch"],
    "cnnlib/models/inputs.py": ["tests/test_models.py", "-k", "not small_batch"],
    "cnnlib/models/tables.py": ["tests/test_models_vgg.py"],
    **{
        f"cnnlib/models/{name}.py": [
            f"tests/test_models_{name}.py",
            "tests/test_models.py",
            *("-k", f"{name} and not small_batch"),
        ]
        for name in (
            *("lenet", "alexnet", "nin", "vgg", "googlenet", "resnet", "resnet_cifar"),
            *("densenet", "notes", "small"),
        )
    },
}
# What the tests read besides the library.
PARTS = ("tests", "tools", "book", "chapters", "_toc.yml", "_config.yml")
# Expressions that begin in a line with an error, or an option of the command line.
UNCHANGED = [r"^\s*raise ", r"\bsys\.exit\(", r"\badd\(\"-"]


def settings(file):
    """The project's pyproject.toml with mutmut's section for one module."""
    values = {
        "source_paths": ["cnnlib"],
        "only_mutate": [file],
        "do_not_mutate_patterns": UNCHANGED,
        "also_copy": [*PARTS, "cnnlib/claims.yml"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": TESTS[file],
        "timeout_constant": 2.0,
        "process_isolation": "forkserver",  # no test before has filled a cache
        "use_git_change_detection": False,
        "on_dependency_change": "ignore",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return "\n".join([project, "[tool.mutmut]", *lines, ""])


def prepare(file):
    """Folder in which mutmut works on a module; it makes its own copy of the parts."""
    folder = WORK / Path(file).relative_to("cnnlib").with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("cnnlib", *PARTS):
        if not (folder / part).exists():
            (folder / part).symlink_to(ROOT / part)
    (folder / "pyproject.toml").write_text(settings(file), encoding="utf-8")
    return folder


def mutmut(folder, *arguments, quiet=True):
    """Run mutmut's own command; returns what it printed, or ends with it."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(command, cwd=folder, env=env, stdout=output, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:4])} failed in {folder}:\n{done.stdout or ''}")
    return done.stdout


NOT_ALIVE = ("timeout", "segfault", "not checked")


def alive(folder):
    """Names of the mutants that no test noticed, by failing or by never ending."""
    lines = mutmut(folder, "results").splitlines()
    verdicts = dict(line.strip().split(": ") for line in lines)
    return [name for name in verdicts if verdicts[name] not in NOT_ALIVE]


def survivor(name, diff):
    """A mutant as tests/survivors.yml lists it: function, old and new lines."""
    function = re.fullmatch(r".*\.x(?:_|ǁ)(.*)__mutmut_\d+", name)[1].replace("ǁ", ".")
    changed = [x for x in diff.splitlines() if not x.startswith(("---", "+++"))]
    old, new = (
        textwrap.dedent("\n".join(x[1:] for x in changed if x.startswith(sign)))
        for sign in "-+"
    )
    return {"in": function, "old": old, "new": new}


def survivors(folder, file):
    """The mutants of a module that no test noticed, as the list has them."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # no test needs mutmut

    with chdir(folder):
        return [survivor(x, get_diff_for_mutant(x, path=file)) for x in alive(folder)]


def difference(found, listed):
    """Survivors that are not listed, and listed ones that do not survive."""

    def key(entry):
        return entry["in"], entry["old"], entry["new"]

    keys, known = ({key(entry) for entry in entries} for entries in (found, listed))
    return (
        [entry for entry in found if key(entry) not in known],
        [entry for entry in listed if key(entry) not in keys],
    )


def differs(file):
    """Try the changes of a module; print how the survivors differ from those listed."""
    folder = prepare(file)
    before = alive(folder) if (folder / "mutants").exists() else []
    # which test calls which function may have changed
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    mutmut(folder, "run", "--max-children", "1", quiet=False)
    if again := [name for name in alive(folder) if name in before]:
        mutmut(folder, "run", "--max-children", "1", *again, quiet=False)
    ledger = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8"))
    more, gone = difference(survivors(folder, file), ledger.get(file, []))
    for what, entries in (("unlisted", more), ("listed, but noticed", gone)):
        if entries:
            print(f"\n# {file}: {len(entries)} survivors {what}")
            print(yaml.safe_dump(entries, sort_keys=False, width=88))
    return bool(more or gone)


def main(word=""):
    files = [file for file in TESTS if word in file]
    if not files:
        sys.exit(f"{word} is in none of {', '.join(TESTS)}.")
    return max([differs(file) for file in files])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
