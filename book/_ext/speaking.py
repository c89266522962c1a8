"""What a chapter's page has beyond its notebook: a field for the answer under each
exercise, an address for every statement and figure, and calls of the ledger and imports
folded to a line.

What a notebook says of its cells for answers stays on paper and where no script runs.

The page holds no answer in clear, only hashes of what counts as right, salted with the
id of the exercise: of the whole number or word itself or, where `check` allows a
tolerance, of the points of a grid inside it. A step of the grid is at most an eighth of
the tolerance, so that the page and `check` differ at most by a sixteenth of it, right
at the limit. book/_static/speaking.js hashes an answer in the same way.
"""

import ast
import json
import re
import sys
from collections import Counter
from decimal import Decimal
from html import escape
from math import ceil, floor, log10
from pathlib import Path

import nbformat
from docutils import nodes

sys.path.insert(0, str(Path(__file__).parents[2]))  # Sphinx has the root nowhere
from cnnlib import claims
from tools import form, release

CALLS = {"check", "cite", "held"}  # what a cell of machinery consists of
FOLD = '<details class="{}"><summary>{}</summary>'
FIGURE = re.compile(r"Figure (\d+)\.")  # how a caption begins
STYLE = "plots.use_style()"  # stands among the imports
# The colours that a line brings along for Jupyter; the site has its own.
OWN = re.compile(r'(<(?:strong|details class="claims")) style="[^"]*"')
LINE = re.compile(r'<p class="claim claim-(\w+)">(<strong>\1</strong> )(.*?)</p>')
MARK = (
    '<a class="address" href="#{id}" title="Address of this {what}">'
    '<span class="visually-hidden">Address of this {what}</span></a>'
)
ROW = ' <a class="to-ledger" href="{ledger}#{id}">ledger</a>'
CELL = "cell for your answer"
EXERCISES = """\
Each question is answered below it: right, or a hint. A function is written in Colab,
where it is tried on random inputs. A solution follows, folded."""
LIMIT = 0.5  # of a last digit: what a decimal fraction without a tolerance stands for


def setup(app):
    app.connect("source-read", unpack)
    app.connect("doctree-resolved", speak)
    app.connect("html-page-context", count)
    app.add_css_file("speaking.css")
    app.add_js_file("speaking.js")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def unpack(app, name, content):
    """Give solutions the outputs again that a stored notebook keeps out of sight, and
    leave out the line that stands for them there: the site folds both."""
    if name.startswith("chapters/"):
        notebook = form.loads(content[0])
        for cell in notebook.cells:
            cell.source = form.untitled(cell.source)
        content[0] = nbformat.writes(notebook)


def speak(app, tree, name):
    """Change the page of a chapter; other pages stay as they are."""
    if not name.startswith("chapters/"):
        return
    stem = name.partition("/")[2]
    ledger = app.builder.get_relative_uri(name, "book/ledger")
    address(tree, ledger)
    number(tree)
    say_where_answers_go(tree)
    exercises = {exercise.id: exercise for exercise in claims.exercises()}
    notebook = form.read_notebook(form.ROOT, stem)
    cells = notebook.cells
    place(app, tree, stem)
    for node in list(tree.findall(is_code)):
        if {"tag_solution", "tag_remove-input"} & {*node["classes"]}:
            continue
        cell = cells[node["cell_index"]]
        asked = [id for id in claims.CALL.findall(cell.source) if id in exercises]
        if asked:
            where = f"{release.colab(stem)}#scrollTo={cell.id}"
            ask(node, exercises[asked[0]], where)
        elif is_machinery(cell.source):
            fold(node[:1], "code: " + ", ".join(called(cell.source)))
        elif is_preparation(cell.source):
            fold(node[:1], "code: imports", "quiet imports")


def place(app, tree, stem):
    """A line below the title that says where in the book one is."""
    parts = list(release.parts())
    order = release.chapters()
    number = order.index(stem)
    part = next(i for i, (_, stems) in enumerate(parts) if stem in stems)
    said = [f"Part {part + 1}, {parts[part][0]}: chapter {number + 1} of {len(order)}"]
    if number:
        before = order[number - 1]
        title = escape(app.env.titles[f"chapters/{before}"].astext())
        said.append(f'before: <a href="{before}.html">{title}</a>')
    how_to = app.builder.get_relative_uri(f"chapters/{stem}", "book/how-to")
    said.append(f'<a href="{how_to}">what the marks mean</a>')
    said.append(f'<a href="{how_to}#cite">cite</a>')
    line = " &middot; ".join(said)
    title = next(tree.findall(nodes.title))
    title.parent.insert(
        title.parent.index(title) + 1, raw(f'<p class="place">{line}</p>')
    )


def say_where_answers_go(tree):
    """The first paragraph on the exercises, if it speaks of cells for answers, once
    more in words that are true of the site."""
    for title in list(tree.findall(nodes.title)):
        if title.astext() == "Exercises":
            first = next(title.parent.findall(nodes.paragraph))
            if CELL in first.astext():
                first["classes"].append("of-the-notebook")
                said = nodes.paragraph("", EXERCISES, classes=["of-the-site"])
                title.parent.insert(title.parent.index(first), said)


def count(app, page, template, context, tree):
    """Tell every page how many exercises each chapter has, to mark the list."""
    counts = Counter(exercise.chapter for exercise in claims.exercises())
    data = json.dumps(counts, separators=(",", ":"))
    context["body"] = (
        context.get("body", "")
        + f'<script type="application/json" id="exercise-counts">{data}</script>'
    )


def is_code(node):
    return isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code"


def is_machinery(source):
    """Whether a cell only calls the ledger."""
    return set(called(source)) <= CALLS


def is_preparation(source):
    """Whether a cell only imports."""
    lines = [line for line in ast.parse(source).body if ast.unparse(line) != STYLE]
    return all(isinstance(line, ast.Import | ast.ImportFrom) for line in lines)


def called(source):
    """The names that the statements of a cell call, each once; "" for what is no call
    of a name."""
    calls = [getattr(line, "value", None) for line in ast.parse(source).body]
    functions = [getattr(call, "func", None) for call in calls]
    return list(dict.fromkeys(getattr(name, "id", "") for name in functions))


def fold(children, title, kind="quiet"):
    """Put nodes that follow each other into <details>."""
    first, last = children[0], children[-1]
    parent = first.parent
    parent.insert(parent.index(last) + 1, raw("</details>"))
    parent.insert(parent.index(first), raw(FOLD.format(kind, escape(title))))


def raw(text):
    return nodes.raw("", text, format="html")


def ask(node, exercise, where):
    """A form before the reader's cell, which is folded if the form can check it."""
    if exercise.answer is None:
        del node[1:]  # "Not answered yet."
        node.parent.insert(node.parent.index(node) + 1, raw(code_form(exercise, where)))
    else:
        node.parent.insert(node.parent.index(node), raw(answer_form(exercise)))
        fold(node[:], "the cell for it in the notebook")


def answer_form(exercise):
    """A field, hidden until speaking.js can check what is typed or chosen there."""
    kind, step, right = marking(exercise)
    choices = exercise.choices or (
        ("yes", "no") if isinstance(exercise.answer, bool) else ()
    )
    if choices:
        field = "".join(
            f'<label><input type="radio" name="answer" value="{escape(choice)}"> '
            f"{escape(choice)}</label>"
            for choice in choices
        )
    else:
        say = "a number" if kind == "number" else "numbers with commas between them"
        field = (
            f'<label>Your answer <input type="text" name="answer" autocomplete="off" '
            f'placeholder="{say}"></label>'
        )
    return (
        f'<form class="exercise" hidden data-id="{exercise.id}" data-kind="{kind}" '
        f'data-step="{step}" data-right="{" ".join(right)}" '
        f'data-hint="{escape(exercise.hint)}">'
        f'<fieldset><legend class="visually-hidden">{escape(exercise.question)}'
        f"</legend>{field}</fieldset><button>Check</button>"
        '<button type="button" class="solution">Solution</button>'
        '<p role="status"></p></form>'
    )


def code_form(exercise, where):
    """For an exercise that asks for code: its cell in Colab, and a box to tick."""
    return (
        f'<form class="exercise" hidden data-id="{exercise.id}" data-kind="code" '
        f'data-hint="{escape(exercise.hint)}">'
        f'<a href="{escape(where)}">Write it in Colab</a>'
        '<button type="button" class="hint">Hint</button>'
        '<button type="button" class="solution">Solution</button>'
        '<label><input type="checkbox" name="done"> done</label>'
        '<p role="status"></p></form>'
    )


def marking(exercise):
    """(kind, step of the grid or 0, hashes) by which the page marks an answer."""
    answer, id = exercise.answer, exercise.id
    if isinstance(answer, bool | str):
        return "word", 0, [digest(id, claims.shown(answer).lower())]
    if isinstance(answer, tuple):
        return "list", 0, [digest(id, ",".join(map(str, answer)))]
    if not (reach := allowance(exercise)):
        return "number", 0, [digest(id, str(answer))]
    step = 10.0 ** floor(log10(reach / 8))
    step = max(factor * step for factor in (1, 2, 5) if factor * step <= reach / 8)
    low, high = ceil((answer - reach) / step), floor((answer + reach) / step)
    right = [digest(id, str(point)) for point in range(low, high + 1)]
    return "number", float(f"{step:.3g}"), sorted(right)


def allowance(exercise):
    """How far from the answer `check` still says Right."""
    if exercise.tolerance:
        return exercise.tolerance * abs(exercise.answer)
    if isinstance(exercise.answer, float):
        digits = Decimal(repr(exercise.answer)).as_tuple().exponent
        return LIMIT * 10.0**digits
    return 0


def digest(id, text):
    """FNV-1a in 64 bits of the salted text; its last eight hexadecimal digits."""
    value = 0xCBF29CE484222325
    for byte in f"{id}:{text}".encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"[-8:]


def address(tree, ledger):
    """Give the first box of each statement its id, a mark to link to, and a way to its
    row of the ledger."""
    known = {escape(entry.statement): entry.id for entry in claims.statements()}
    starts = sorted(known, key=len, reverse=True)
    met = set()

    def with_address(line):
        kind, label, text = line.groups()
        id = next((known[start] for start in starts if text.startswith(start)), None)
        if id is None or kind not in claims.VERDICTS:
            return line[0]
        row = ROW.format(ledger=ledger, id=id)
        if id in met:
            return f'<p class="claim claim-{kind}">{label}{text}{row}</p>'
        met.add(id)
        mark = MARK.format(id=id, what="statement")
        return f'<p class="claim claim-{kind}" id="{id}">{label}{text}{row}{mark}</p>'

    for node in list(tree.findall(nodes.raw)):
        text = node.astext()
        if 'class="claim ' in text:
            plain = OWN.sub(r"\1", text)
            node.replace_self(raw(LINE.sub(with_address, plain)))


def number(tree):
    """Give the caption of each figure its id, and a mark to link to."""
    for caption in list(tree.findall(nodes.paragraph)):
        # The parser of the notebooks puts an empty text before it.
        begin = next((part for part in caption if part.astext()), None)
        found = FIGURE.fullmatch(begin.astext()) if begin else None
        if found and isinstance(begin, nodes.strong):
            id = f"figure-{found[1]}"
            caption["ids"].append(id)
            caption["classes"].append("below-figure")
            caption.append(raw(MARK.format(id=id, what="figure")))
