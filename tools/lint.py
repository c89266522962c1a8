"""What makes a stored chapter untrustworthy or unreadable, found without running it."""

import re

from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from cnnlib.claims import CALL, statements
from tools.comparison import not_finite
from tools.form import (
    GENERATED,
    dumps,
    normalise,
    notebook_path,
    read_notebook,
    untitled,
)

TAGS = {"hide-cell", "hide-input", "measured", "remove-input", "setup", "solution"}
LINES = 15
FACTS = {"executed", "device", "torch", "seconds"}
WIDTH = re.compile(r"figsize=\((\d+(?:\.\d+)?),")
INCHES = 6.4
# nbval's comments switch the comparison off; it cannot follow outputs that change
BANNED = re.compile(r"nbval_|pytest_validate|clear_output|display_id|update_display")
MYST = {"colon_fence", "myst_block_break", "myst_line_comment", "myst_target"}
PARSER = MarkdownIt("commonmark").enable("table")
for plugin in (
    colon_fence_plugin,
    dollarmath_plugin,
    myst_block_plugin,
    myst_role_plugin,
):
    PARSER.use(plugin)


def lint(root, stem):
    """All defects of one stored notebook, a sentence each."""
    notebook = read_notebook(root, stem)
    yield from _form(notebook, notebook_path(root, stem).read_text(encoding="utf-8"))
    count = 0
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            count += 1
            faults = (*_code(cell, count), *_outputs(cell))
        else:
            faults = _markdown(cell.source)
        unknown = set(cell.metadata.get("tags", [])) - TAGS
        for fault in (*faults, *(f"unknown tag {tag!r}" for tag in sorted(unknown))):
            yield f"cell {i}: {fault}"
    yield from _exercises(notebook.cells)
    yield from _held(notebook.cells)


def _form(notebook, text):
    facts = notebook.metadata.get("cnnlib", {})
    if set(facts) != FACTS or not all(facts.values()):
        yield f"the metadata cnnlib needs {sorted(FACTS)}, but it is {dict(facts)}"
    if dumps(normalise(notebook)) != text:
        yield "not as tools.notebooks writes it, so it was edited by hand or by Jupyter"


def _code(cell, count):
    if cell.execution_count is None:
        yield "not executed"
    elif cell.execution_count != count:
        yield f"executed as number {cell.execution_count}, not {count}: out of order"
    length = len(untitled(cell.source).splitlines())
    if length > LINES and cell.id not in GENERATED:
        yield f"{length} lines of code; more than {LINES} are hard to read"
    if found := BANNED.search(cell.source.lower()):
        yield f"{found[0]} hides output from the tests"
    if any(float(width) > INCHES for width in WIDTH.findall(cell.source)):
        yield f"a figure wider than {INCHES} inches, too small on a phone"
    if "fontsize" in cell.source:
        yield "a size of letters, which cnnlib/house.mplstyle sets for a phone, too"


def _outputs(cell):
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error":
            yield f"stored error {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":
            yield f"stored stderr {output.text.strip()[:60]!r}"
        yield from not_finite(output)
        if 'class="diagram"' not in data.get("image/svg+xml", 'class="diagram"'):
            yield "an SVG picture, which no two runs write alike; show a PNG"
        if any(kind.startswith("image/") for kind in data) and not (
            cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        ):
            yield "a picture without :alt: text"


def _markdown(source):
    for token in PARSER.parse(source):
        if token.type in MYST or (token.type == "fence" and token.info.startswith("{")):
            yield f"MyST syntax that Colab shows raw: {(token.info or token.type)!r}"
        for child in token.children or ():
            if child.type == "myst_role":
                name = child.meta["name"]
                yield f"a MyST role that Colab shows raw: {{{name}}}`{child.content}`"


def _exercises(cells):
    """Every exercise needs a cell tagged as its solution in which check says Right."""
    asked, solved = set(), set()
    for cell in cells:
        marks = [line for line in _lines(cell) if line.startswith("[exercise]")]
        ids = {id for id in CALL.findall(cell.source) if marks}
        asked |= ids
        right = all(mark.startswith("[exercise] Right") for mark in marks)
        if right and "solution" in cell.metadata.get("tags", []):
            solved |= ids
    for id in sorted(asked - solved):
        yield f"no solution of {id} is right"


def _held(cells):
    """Statements that hold are listed, by held(), before their section ends."""
    holding = {entry.id for entry in statements() if entry.verdict == "holds"}
    waiting = set()
    for cell in [*cells, {"cell_type": "markdown", "source": "## end"}]:
        if cell["cell_type"] == "code":
            waiting |= holding.intersection(CALL.findall(cell["source"]))
            if "held()" in cell["source"]:
                waiting.clear()
        elif waiting and re.search(r"^## ", cell["source"], re.MULTILINE):
            yield f"no held() at the end of its section lists {sorted(waiting)}"
            waiting.clear()


def _lines(cell):
    for output in cell.get("outputs", []):
        yield output.get("data", {}).get("text/plain", "")
