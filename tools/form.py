"""The two forms of a chapter: its text and its notebook.

Authors write book/chapters/<stem>.md, MyST notebook text (jupytext's md:myst) whose
cells carry two options at most, `:tags:` and `:alt:`. The notebook
chapters/<stem>.ipynb is made from it: a set-up cell, the cells of the text and among
them what reading and running takes with a link to Colab, a footer that says when and
where they were executed; it also holds the outputs.
"""

import copy
import hashlib
import itertools
import json
import os
import re
import warnings
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import release

ROOT = Path(__file__).resolve().parents[1]
TEXTS, NOTEBOOKS = "book/chapters", "chapters"
FRONT = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""
SETUP = """\
# @title Set-up: find the package cnnlib, or fetch it (nothing is installed)
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

root = Path("cnn-notes-TAG").absolute()
near = (p for p in (*root.parents, root) if (p / "cnnlib/__init__.py").is_file())
sys.path[:0] = map(str, near)
if not find_spec("cnnlib"):
    repo = os.environ.get("CNNLIB_REPO", "ADDRESS")
    part = f"{root}.part"
    for cut_off in (part, root):
        shutil.rmtree(cut_off, ignore_errors=True)
    clone = ["git", "clone", "-q", "--depth=1", "--branch=TAG", repo, part]
    env = os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(clone, env=env, capture_output=True, text=True)
    if done.returncode:  # say why in one sentence, without a traceback
        why = done.stderr.partition("fatal: ")[2].partition("\\n")[0]
        do = "take a released notebook" if "Remote" in why else "check this address"
        do = "connect to the network" if "unable to access" in why else do
        Stop = type("Stop", (Exception,), {"_render_traceback_": lambda e: [str(e)]})
        raise Stop(f"No cnnlib from {repo} ({why}): {do}, then run this cell again.")
    os.rename(part, root)
    sys.path.insert(0, str(root))"""
EFFORT = (
    "*{minutes} minutes to read, {with_code} with the code, {with_exercises} with the "
    "exercises; ⟨{seconds}⟩ seconds to run.* [Run it in Colab](COLAB)"
)
FOOTER = "*Last executed ⟨{executed}⟩ on ⟨{device}, torch {torch}⟩ in ⟨{seconds} s⟩.*"
REMEDY = (
    "There is no place in a text for raw or empty cells, pictures pasted into "
    "Markdown, control characters, Markdown lines that begin with +++, and code that "
    "begins with : or ---; every fence must be closed, and a quoted ```{code-cell} "
    "needs a fence of four backticks around it."
)
GENERATED = ("setup", "effort", "footer")  # ids of the cells that no author wrote
# What a chapter takes. Words are a usual pace for prose; lines of code, with what they
# print, and exercises are estimates: nobody was timed.
WORDS_PER_MINUTE, LINES_PER_MINUTE, MINUTES_PER_EXERCISE = 200, 15, 10
MEASURED = re.compile(r"⟨[^⟩]*⟩")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")
PROMPTS = {"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # Colab, JupyterLab
SOLUTION = "# @title Solution (open it after your own try)"
CLOSED = FOLDED | {
    "collapsed": True,
    "jupyter": {"source_hidden": True, "outputs_hidden": True},
}
KEPT = "solution_outputs"  # where a stored solution keeps its outputs, out of sight


class BookError(Exception):
    """What is wrong with a chapter, in one sentence that can stand alone."""


def stems(root=ROOT, folder=TEXTS, suffix=".md"):
    """Names of all chapters, in alphabetical order (_toc.yml has the order to read)."""
    return sorted(path.stem for path in (root / folder).glob(f"*{suffix}"))


def text_path(root, stem):
    return root / TEXTS / f"{stem}.md"


def notebook_path(root, stem):
    return root / NOTEBOOKS / f"{stem}.ipynb"


def read_text(root, stem):
    """The cells that an author wrote, with the metadata of the text."""
    path = text_path(root, stem)
    if not path.is_file():
        raise BookError(f"{path} does not exist: run make text CHAPTER={stem}.")
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except BookError as error:
        raise BookError(f"{path}: {error}") from None


def _parsed(text):
    """MyST notebook text -> cells with the metadata of the text."""
    if not text.startswith(FRONT):
        raise BookError(f"the text does not begin with this front matter:\n{FRONT}")
    try:
        with warnings.catch_warnings(action="error", category=UserWarning):
            cells = jupytext.reads(text, fmt="md:myst").cells
    except (
        jupytext.myst.MystMetadataParsingError,
        nbformat.ValidationError,
        yaml.YAMLError,
        UserWarning,
    ) as error:
        raise BookError(f"{error}") from None
    for cell in cells:
        if cell.cell_type == "raw":
            raise BookError(f"a raw cell, which no chapter has:\n{cell.source[:200]}")
        if unknown := cell.metadata.keys() - {"tags", "alt"}:
            raise BookError(
                f"a cell has the option {min(unknown)!r}; "
                f"only tags and alt are known:\n{cell.source[:200]}"
            )
    return cells


def text_of(cells):
    """Cells with the metadata of the text -> MyST notebook text.

    Raises BookError where the text would give other cells back."""
    parts, after_markdown = [FRONT], False
    for cell in cells:
        options = {k: cell.metadata[k] for k in ("tags", "alt") if k in cell.metadata}
        if cell.cell_type == "markdown":
            if options or after_markdown:
                parts.append(f"+++ {json.dumps(options)}\n" if options else "+++\n")
            parts.append(_trimmed(cell.source) + "\n")
        else:
            ticks = max(map(len, re.findall("`+", cell.source)), default=0)
            fence = "`" * max(3, ticks + 1)
            header = "".join(f":{k}: {_inline(v)}\n" for k, v in options.items())
            body = f"{header}\n{cell.source}" if header else cell.source
            parts.append(f"{fence}{{code-cell}}\n{body.rstrip()}\n{fence}\n")
        after_markdown = cell.cell_type == "markdown"
    text = "\n".join(parts)
    _survive(cells, text)
    return text


def _survive(cells, text):
    """Raises BookError, naming the first cell that `text` does not hold as it is."""
    try:
        found = _parsed(text.encode("utf-8", "replace").decode())
    except BookError as error:
        why = str(error).splitlines()[0]
        raise BookError(f"a text cannot hold these cells ({why}). {REMEDY}") from None
    for cell, again in itertools.zip_longest(cells, found):
        if cell is None or again is None or _content(cell) != _content(again):
            cell = cell or again
            raise BookError(
                f"a text cannot hold the {cell.cell_type} cell that begins with "
                f"{_trimmed(cell.source)[:60]!r}. {REMEDY}"
            )


def _content(cell):
    """All that an author put into a cell; blank lines around it mean nothing."""
    pasted = cell.get("attachments", {})
    return cell.cell_type, _trimmed(cell.source), cell.metadata, pasted


def _trimmed(source):
    """The source without blank lines around it."""
    return re.sub(r"\A(?:[ \t]*\n)+", "", source.rstrip())


def _inline(value):
    """A value as YAML on one line: plain where YAML reads it back, else quoted."""
    plain = f"[{', '.join(value)}]" if isinstance(value, list) else value
    try:
        same = yaml.safe_load(f"x: {plain}") == {"x": value}
    except yaml.YAMLError:
        same = False
    return plain if same else json.dumps(value, ensure_ascii=False)


def setup_cell(root=ROOT):
    """The first cell of every notebook, with the address and the tag of the book."""
    source = SETUP.replace("ADDRESS", release.address(root))
    source = source.replace("TAG", release.tag(root))
    metadata = {"tags": ["hide-input", "setup"], **FOLDED}
    return new_code_cell(source, id="setup", metadata=metadata)


def compose(root, stem):
    """The notebook that belongs to a text: no outputs, and what `stamp` fills in still
    between braces."""
    cells = [setup_cell(root), *(_dressed(cell) for cell in read_text(root, stem))]
    effort = EFFORT.replace("COLAB", release.colab(stem, root))
    cells.insert(2, new_markdown_cell(effort, id="effort"))  # below the opening
    cells.append(new_markdown_cell(FOOTER, id="footer"))
    return normalise(new_notebook(cells=cells))


def stamp(notebook, facts):
    """Say when, where and in what time the notebook was executed, for readers below
    the opening and in the footer, for programs in the metadata.

    facts: {executed: date, device: words, torch: version, seconds: int}"""
    filled = facts | times(notebook)
    for cell in notebook.cells:
        if cell.id in ("effort", "footer"):
            cell.source = cell.source.format(**filled)
    notebook.metadata.cnnlib = facts


def times(notebook):
    """Minutes that a chapter takes, rounded up: its text alone, with the code that is
    read along, and with the exercises, too."""
    words = lines = exercises = 0
    for cell in written(notebook):
        if cell.cell_type == "markdown":
            words += len(cell.source.split())
        elif "solution" in cell.metadata.get("tags", []):
            exercises += 1
        else:
            lines += len(cell.source.splitlines())
    read = -(-words // WORDS_PER_MINUTE)
    with_code = -(-(words / WORDS_PER_MINUTE + lines / LINES_PER_MINUTE) // 1)
    return {
        "minutes": read,
        "with_code": int(with_code),
        "with_exercises": int(with_code) + MINUTES_PER_EXERCISE * exercises,
    }


def _dressed(cell):
    """Metadata of the text -> metadata of the notebook, for myst-nb, Jupyter, Colab."""
    tags, alt = cell.metadata.get("tags", []), cell.metadata.get("alt")
    metadata = {"tags": list(tags)} if tags else {}
    if alt:
        metadata["mystnb"] = {"image": {"alt": alt}}
    if cell.cell_type == "code" and "solution" in tags:
        metadata["tags"].append("hide-cell")
        metadata |= CLOSED
        cell.source = f"{SOLUTION}\n{cell.source}"
        metadata.setdefault("mystnb", {}).update(PROMPTS)
    cell.metadata = nbformat.from_dict(metadata)
    return cell


def authored(notebook):
    """The cells of the text, with its metadata again."""
    cells = [nbformat.from_dict(cell) for cell in written(notebook)]
    for cell in cells:
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "hide-cell"]
        options = {"tags": tags, "alt": alt}
        cell.metadata = nbformat.from_dict({k: v for k, v in options.items() if v})
        cell.source = untitled(cell.source)
    return cells


def untitled(source):
    """The source of a solution without the line that stands for it when folded."""
    return source.removeprefix(f"{SOLUTION}\n")


def written(notebook):
    """The cells that stand in the text too."""
    return [cell for cell in notebook.cells if cell.get("id") not in GENERATED]


def normalise(notebook):
    """The same notebook without anything that differs from run to run."""
    facts = notebook.metadata.get("cnnlib", {})
    notebook.metadata = nbformat.from_dict(
        {
            "cnnlib": facts,
            "kernelspec": yaml.safe_load(FRONT.strip("-\n"))["kernelspec"],
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen = set()
    for cell in notebook.cells:
        if cell.get("id") not in GENERATED:
            cell.id = _id(cell, seen)
        known = {"tags", "mystnb", *CLOSED}
        cell.metadata = nbformat.from_dict(
            {key: value for key, value in cell.metadata.items() if key in known}
        )
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            for holder, key in _texts(output):
                holder[key] = ADDRESS.sub("0x0000", holder[key])
    return notebook


def texts(output):
    """Every text of an output, whatever its kind."""
    return [holder[key] for holder, key in _texts(output)]


def _texts(output):
    """(dictionary, key) of every text of an output."""
    holder = output if "text" in output else output.get("data", {})
    return [
        (holder, key)
        for key, text in holder.items()
        if key.startswith("text") and isinstance(text, str)
    ]


def _id(cell, seen):
    """An id that depends on the cell alone, so that a new cell changes no other."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()
    id = next(digest[:n] for n in range(8, 65) if digest[:n] not in seen)
    seen.add(id)
    return id


def read_notebook(root, stem):
    path = notebook_path(root, stem)
    if not path.is_file():
        raise BookError(f"{path} does not exist: run make chapter CHAPTER={stem}.")
    try:
        return loads(path.read_text(encoding="utf-8"))
    except nbformat.reader.NotJSONError:
        raise BookError(f"{path} is not a notebook.") from None


def loads(text):
    """A stored notebook, in which solutions have their outputs again."""
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        if kept := cell.metadata.pop(KEPT, None):
            cell.outputs = kept
    return notebook


def dumps(notebook):
    """A notebook as it is stored. The outputs of solutions stand in their metadata:
    JupyterLab, VS Code and GitHub would show them below the question."""
    stored = copy.deepcopy(notebook)
    for cell in stored.cells:
        if "solution" in cell.metadata.get("tags", []) and cell.get("outputs"):
            cell.metadata[KEPT], cell.outputs = cell.outputs, []
    return nbformat.writes(stored, indent=1).rstrip("\n") + "\n"


def masked(text):
    """A notebook's JSON with every measured value replaced, to compare two runs."""
    notebook = json.loads(MEASURED.sub("⟨measured⟩", text))
    notebook["metadata"]["cnnlib"] = "measured"
    return json.dumps(notebook)


def write(path, text):
    """Replace a file as a whole or, whatever happens, not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BookError(
            f"{path} was not written, what it held is untouched: {error.strerror}."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
