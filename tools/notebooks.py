"""Chapters from text to executed notebook, and the checks that both agree.

usage: python -m tools.notebooks COMMAND [STEM ...]

execute   run the texts of book/chapters and store notebooks with outputs in chapters/
lint      look for defects in the stored notebooks
agree     compare the stored notebooks with the texts, cell by cell
text      bring edits made in a notebook back into its text
format    format the code cells of the texts with ruff
refresh   renew what the tools add to the text, after address or version changed

Without STEM all chapters are meant, except for text, which wants one.
"""

import argparse
import difflib
import itertools
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import nbformat
from nbformat.v4 import new_notebook

from tools import form
from tools.execute import execute
from tools.form import BookError
from tools.lint import lint


def agree(root, stem):
    """Where the stored notebook is not what its text says, a paragraph each."""
    stored, wanted = form.read_notebook(root, stem), form.compose(root, stem)
    form.stamp(wanted, stored.metadata.get("cnnlib", {}))
    pairs = itertools.zip_longest(stored.cells, wanted.cells)
    for i, (have, want) in enumerate(pairs):
        have, want = _comparable(have), _comparable(want)
        if have != want:
            lines = difflib.unified_diff(have, want, "notebook", "text", lineterm="")
            yield f"cell {i} differs:\n  " + "\n  ".join(lines)


def _comparable(cell):
    """Type, metadata and source of a cell as lines."""
    if cell is None:
        return ["(no such cell)"]
    metadata = json.dumps(cell.metadata, sort_keys=True)
    return [f"{cell.cell_type} {metadata}", *cell.source.splitlines()]


def bring_back(root, stem):
    """Write the text of a chapter anew from its notebook."""
    path = form.text_path(root, stem)
    form.write(path, form.text_of(form.authored(form.read_notebook(root, stem))))
    print(f"{path} holds the notebook's cells; make chapter CHAPTER={stem} runs them")


def tidy(root, stem):
    """Format the code cells of a text as ruff formats a notebook."""
    notebook = new_notebook(cells=form.read_text(root, stem))
    command = [sys.executable, "-m", "ruff", "format", "-q", "--stdin-filename"]
    done = subprocess.run(
        [*command, f"{stem}.ipynb"],
        input=form.dumps(notebook),
        capture_output=True,
        text=True,
        cwd=root,
    )
    if done.returncode:
        raise BookError(f"{stem}: ruff cannot format it: {done.stderr.strip()}")
    cells = nbformat.reads(done.stdout, as_version=4).cells
    form.write(form.text_path(root, stem), form.text_of(cells))


def refresh(root, stem):
    """Renew what the tools add to the text: the set-up cell, which is silent, what
    reading and running takes, and the metadata of cells. The outputs stay, so the cells
    must be those of the text."""
    stored, fresh = form.read_notebook(root, stem), form.compose(root, stem)
    if form.text_of(form.authored(stored)) != form.text_of(form.authored(fresh)):
        raise BookError(f"{stem} is not its text: make chapter CHAPTER={stem}.")
    for cell, executed in zip(_code(fresh), _code(stored), strict=True):
        cell.outputs = executed.outputs
        cell.execution_count = executed.execution_count
    form.stamp(fresh, stored.metadata.cnnlib)
    form.write(form.notebook_path(root, stem), form.dumps(form.normalise(fresh)))


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def checked(check, root, stems):
    """Print all findings of a check over the chapters; true if there are none."""
    count = 0
    for stem in stems:
        try:
            findings = list(check(root, stem))
        except BookError as error:
            findings = [str(error)]
        count += len(findings)
        for finding in findings:
            print(f"{stem}: {finding}")
    print(f"{check.__name__}: {count} findings in {', '.join(stems)}")
    return not count


def each(action, root, stems):
    for stem in stems:
        action(root, stem)
    return True


COMMANDS = {
    "lint": partial(checked, lint),
    "agree": partial(checked, agree),
    "text": partial(each, bring_back),
    "format": partial(each, tidy),
    "refresh": partial(each, refresh),
}


def run(command, root, stems, jobs):
    """Run a command over the chapters; true if all went well."""
    known = sorted({*form.stems(root), *form.stems(root, form.NOTEBOOKS, ".ipynb")})
    if unknown := sorted({*stems} - {*known}):
        raise BookError(f"there is no chapter {unknown[0]}; there are {known}.")
    if command == "text" and not stems:
        raise BookError("text wants the name of a chapter, as in: text lenet.")
    if command == "execute":
        return not execute(root, stems or form.stems(root), jobs)
    return COMMANDS[command](root, stems or known)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["execute", *COMMANDS])
    parser.add_argument("stems", metavar="STEM", nargs="*")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="side by side")
    parser.add_argument("--root", type=Path, default=form.ROOT, help="of the book")
    given = parser.parse_args(arguments)
    try:
        return 0 if run(given.command, given.root, given.stems, given.jobs) else 1
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: unfinished chapters were not written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
