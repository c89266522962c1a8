"""Let mutmut make every small change it knows, and account for those no test notices.

tests/mutants.yml holds the breaks that somebody thought of; these are the others: each
number, operator, argument, text and assignment inside a function of the modules below.
A change that the tests of its module do not notice, a survivor, must stand in
tests/survivors.yml with the reason why none has to, and nothing else may stand there.

Only functions are changed, not tables at the top of a file, decorated functions, nor
what an error says (pyproject.toml). The tests are collected once; each change is then
made in a fork of that process, and tried with the tests that call the function, the
quickest first, until one fails. One that never ends is noticed as well; where it is
listed, the machine may only have been busy, so its reason stands.
usage: python -m tools.mutation [WORD [NAME]]   only modules whose file contains WORD,
                                                and functions whose name contains NAME
"""

import contextlib
import difflib
import gc
import importlib
import inspect
import json
import os
import re
import signal
import sys
import tempfile
import textwrap
import time
import traceback
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SURVIVORS = ROOT / "tests" / "survivors.yml"
# The tests that must notice, as options of pytest, for each module; without those that
# train long or start other processes.
TESTS = {
    "cnnlib/init.py": ["tests/test_init.py"],
    "cnnlib/gradients.py": ["tests/test_gradients.py"],
    "cnnlib/data.py": ["tests/test_data.py"],
    "cnnlib/claims.py": ["tests/test_claims.py", "tests/test_exercises.py"],
    "cnnlib/costs.py": ["tests/test_costs.py"],
    "cnnlib/fields.py": ["tests/test_fields.py"],
    "cnnlib/train/__init__.py": [
        *("tests/test_train.py", "-k", "not (two_processes or reused)"),
    ],
    "cnnlib/train/__main__.py": [
        *("tests/test_train_parts.py", "tests/test_train_command.py"),
        *("tests/test_weights.py", "-k"),
        "not (two_processes or was_killed or a_worker)",
    ],
    "cnnlib/train/checkpoints.py": [
        *("tests/test_train_checkpoints.py", "tests/test_train_command.py", "-k"),
        "(checkpoint or full_disk or torch_cannot) and not network",
    ],
    "cnnlib/train/options.py": ["tests/test_train_options.py"],
    "cnnlib/models/__init__.py": ["tests/test_models.py", "-k", "not small_batch"],
    "cnnlib/models/inputs.py": [
        *("tests/test_models.py", "tests/test_models_unet.py", "-k"),
        "not small_batch",
    ],
    "cnnlib/models/tables.py": ["tests/test_models_vgg.py"],
    "cnnlib/models/unet.py": ["tests/test_models_unet.py"],
    "cnnlib/models/googlenet_torchvision.py": [
        *("tests/test_weights.py", "tests/test_models.py", "-k"),
        "googlenet and not small_batch",
    ],
    **{
        f"cnnlib/models/{name}.py": [
            *("tests/test_models_after.py", "tests/test_models_activations.py"),
            *("tests/test_models.py", "-k", "not small_batch"),
        ]
        for name in ("bottlenecks", "mobile", "convnext")
    },
    **{
        f"cnnlib/models/{name}.py": [
            *(f"tests/test_models_{name}.py", "tests/test_models_activations.py"),
            *("tests/test_models.py", "-k", f"{word} and not small_batch"),
        ]
        for name, word in [
            *((x, x) for x in ("lenet", "alexnet", "nin", "vgg", "googlenet")),
            *(("resnet", "(resnet or plain)"), ("resnet_cifar", "cifar")),
            *((x, x) for x in ("densenet", "notes", "small")),
        ]
    },
}
# What differs in these alone is not tried: the check of `zip` is for mistakes of ours,
# and None is as false as False.
EQUAL = re.compile(r"\bstrict=\w+|(?<==)(?:False|None)\b|(?<== )(?:False|None)\b")
QUIET = ["-q", "-s", "--no-header", "--tb=native", "-p", "no:cacheprovider"]


class Change(NamedTuple):
    """A change of a function, or of a method of a class: source before and after."""

    owner: str | None
    name: str
    old: str
    new: str

    def find(self, module):
        """The function itself, also where it is a static or a class method, or where a
        base class has wrapped it."""
        place = getattr(module, self.owner) if self.owner else module
        found = vars(place)[self.name]
        return inspect.unwrap(getattr(found, "__func__", found))

    def make(self, module):
        """Let the function do what the source says, wherever it is known by now."""
        source = self.new
        if self.owner:  # `super` and private names ask for the class
            source = f"class {self.owner}:\n{textwrap.indent(source, '    ')}"
        names = dict(vars(module))
        exec(compile(source, module.__file__, "exec", dont_inherit=True), names)
        function, new = self.find(module), self.find(_Names(names))
        function.__code__ = new.__code__
        function.__defaults__ = new.__defaults__
        function.__kwdefaults__ = new.__kwdefaults__

    def entry(self):
        """The change as tests/survivors.yml lists it: function, old and new lines."""
        texts = self.old.splitlines(), self.new.splitlines()
        _, _, *lines = difflib.unified_diff(*texts, n=0, lineterm="")
        old, new = (
            textwrap.dedent("\n".join(x[1:] for x in lines if x[0] == sign))
            for sign in "-+"
        )
        where = f"{self.owner}.{self.name}" if self.owner else self.name
        return {"in": where, "old": old, "new": new}


class _Names:
    """A dictionary of names as a module has it."""

    def __init__(self, names):
        vars(self).update(names)


def changes(file):
    """Every `Change` that mutmut knows for a file."""
    import libcst
    from mutmut.mutation.file_mutation import create_mutations  # only wanted here

    code = (ROOT / file).read_text(encoding="utf-8")
    module, mutations, *_ = create_mutations(file, code)
    owners = {
        method: statement.name.value
        for statement in module.body
        if isinstance(statement, libcst.ClassDef)
        for method in statement.body.body
    }
    source = libcst.Module([]).code_for_node
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if isinstance(function, libcst.FunctionDef):
            new = function.deep_replace(mutation.original_node, mutation.mutated_node)
            old, new = (
                source(x.with_changes(leading_lines=())) for x in (function, new)
            )
            if EQUAL.sub("", old) != EQUAL.sub("", new):
                yield Change(owners.get(function), function.name.value, old, new)


def in_a_fork(function, seconds=None):
    """What `function` returns in a fork of this process; None if that was killed, as it
    is after `seconds` of computing, or ten times as long of anything."""
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if not child:
            try:
                if seconds:
                    signal.setitimer(signal.ITIMER_PROF, seconds)
                    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
                said = [function(), None]
            except BaseException:
                said = [None, traceback.format_exc()]
            answer.write(json.dumps(said).encode())
            answer.flush()
            os._exit(0)
        os.waitpid(child, 0)
        answer.seek(0)
        said, problem = json.loads(answer.read() or b"[null, null]")
    if problem:
        sys.exit(problem)
    return said


class Trials:
    """A plug-in for pytest: instead of the tests that it collects, `survivors` runs."""

    def __init__(self, file, tried):
        self.tried, self.survivors, self.late, self.failed = tried, [], [], False
        name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.module = importlib.import_module(name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed:  # a file that cannot be imported
            raise session.Interrupted("the tests cannot be collected")
        session.config.pluginmanager.unregister(name="terminalreporter")
        session.config._tmp_path_factory.getbasetemp()  # one for all
        seen = [self.seen(test) for test in session.items]
        gc.collect()
        gc.freeze()  # the forks share what they do not touch
        quickest = sorted((seconds, n) for n, (seconds, _) in enumerate(seen))
        in_a_fork(partial(self.demand, [session.items[n] for _, n in quickest]))
        for change in self.tried:
            place = str(change.find(self.module).__code__)
            calls = [(s, n) for n, (s, called) in enumerate(seen) if place in called]
            tests = [session.items[n] for _, n in sorted(calls)]
            limit = 5 + 5 * sum(seconds for seconds, _ in calls)
            survives = in_a_fork(partial(self.survives, change, tests), limit)
            if survives is None:
                self.late.append(change.entry())
            elif survives:
                self.survivors.append(change.entry())
        return True

    def pytest_runtest_logreport(self, report):
        self.failed |= report.failed

    def run(self, test, following):
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)

    def seen(self, test):
        """Seconds of a test, and what it calls in the module. What it imports late is
        imported here, or each fork would do it again."""
        seconds, called, late = in_a_fork(partial(self.observe, test))
        for name in late:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        return seconds, called

    def observe(self, test):
        """`seen`, and the packages that were imported late. In a process of its own: a
        test that is content with what another has built calls nothing."""
        hush()
        before = {*sys.modules}
        places = {change.find(self.module).__code__ for change in self.tried}
        called = set()

        def note(frame, event, _):
            if frame.f_code in places:
                called.add(frame.f_code)

        start = time.process_time()
        sys.setprofile(note)
        self.run(test, None)
        sys.setprofile(None)
        if self.failed:
            raise AssertionError(f"{test.nodeid} fails before anything is changed")
        seconds = time.process_time() - start
        late = [name for name in sys.modules if name not in before]
        return seconds, [str(place) for place in called], late

    def demand(self, tests):
        """Without a change, the tests pass in another order, too: one that needs what
        another leaves behind would notice every change."""
        hush()
        for test in tests:
            self.run(test, None)
            if self.failed:
                raise AssertionError(f"{test.nodeid} fails after quicker tests")

    def survives(self, change, tests):
        """Whether no test fails with a change."""
        hush()
        change.make(self.module)
        for test in tests:
            self.run(test, None)
            if self.failed:
                return False
        return True


def hush():
    """Let this process print nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def survivors(file, tried):
    """The changes of a file that no test notices, as the list has them; and those that
    ran out of time."""
    trials = Trials(file, tried)
    status = pytest.main([*QUIET, *TESTS[file]], plugins=[trials])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {status!r}")
    return trials.survivors, trials.late


def difference(found, late, listed):
    """Survivors that are not listed, and listed ones that a test noticed."""

    def key(entry):
        return entry["in"], entry["old"], entry["new"]

    known = {key(entry) for entry in listed}
    noticed = known - {key(entry) for entry in found + late}
    return (
        [entry for entry in found if key(entry) not in known],
        [entry for entry in listed if key(entry) in noticed],
    )


def differs(file, name):
    """Try the changes of a module; print how the survivors differ from those listed."""
    start = time.monotonic()
    tried = [change for change in changes(file) if name in change.entry()["in"]]
    # by itself, so that nothing is left in this process
    found, late = in_a_fork(partial(survivors, file, tried))
    took = f"{time.monotonic() - start:.0f} s"
    print(f"{file}: {len(tried)} changes, {len(found)} survivors, {took}", flush=True)
    ledger = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")).get(file, [])
    listed = [entry for entry in ledger if name in entry["in"]]
    more, gone = difference(found, late, listed)
    for what, entries in (("unlisted", more), ("listed, but noticed", gone)):
        if entries:
            print(f"\n# {file}: {len(entries)} survivors {what}")
            print(yaml.safe_dump(entries, sort_keys=False, width=88), flush=True)
    return bool(more or gone)


def main(word="", name=""):
    files = [file for file in TESTS if word in file]
    if not files:
        sys.exit(f"{word} is in none of {', '.join(TESTS)}.")
    os.chdir(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return max([differs(file, name) for file in files])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
