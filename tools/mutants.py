"""Break the networks on purpose and see which test notices.

tests/mutants.yml lists the breaks: in `file` the first `old` becomes `new`, and `tests`
must then fail. Each is tried on a copy of the project; the checkout is never touched.
usage: python -m tools.mutants [WORD]   only breaks whose file contains WORD
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def git(*words):
    command = ("git", "-c", "safe.directory=*", "-C", ROOT, *words)
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else sys.exit(done.stderr)


def copied(folder):
    """Copy what git knows of the project; in the copy, git knows the same."""
    for name in filter(None, git("ls-files", "-z").split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    here = git("rev-parse", "--absolute-git-dir")
    (folder / ".git").write_text(f"gitdir: {here}", encoding="utf-8")


def noticed(folder, mutant):
    """The name of the first test that fails with the break in place, or None."""
    path = folder / mutant["file"]
    whole = path.read_text(encoding="utf-8")
    if mutant["old"] not in whole:
        sys.exit(f"{mutant['file']} no longer holds {mutant['old']!r}.")
    path.write_text(whole.replace(mutant["old"], mutant["new"], 1), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-qx", "--tb=no", *mutant["tests"]]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    path.write_text(whole, encoding="utf-8")
    if done.returncode not in (0, 1):
        sys.exit(f"pytest could not run {mutant['tests']}:\n{done.stdout}")
    found = re.search(r"^(?:FAILED|ERROR) .+?::(.+?)(?: - |$)", done.stdout, re.M)
    return found[1] if found else None


def main(word=""):
    mutants = yaml.safe_load((ROOT / "tests/mutants.yml").read_text(encoding="utf-8"))
    chosen = [mutant for mutant in mutants if word in mutant["file"]]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        for number, mutant in enumerate(chosen, 1):
            test = noticed(Path(folder), mutant)
            survivors += test is None
            name = Path(mutant["file"]).name
            change = f"{mutant['old'][:36]!r} -> {mutant['new'][:36]!r}"
            print(
                f"{number}/{len(chosen)} {name} {change}: {test or 'SURVIVED'}",
                flush=True,
            )
    print(f"{len(chosen)} breaks, {survivors} survived")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
