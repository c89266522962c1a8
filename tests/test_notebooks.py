"""The tools that turn texts into executed notebooks, on a book of one tiny chapter."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_output
from nbval.plugin import get_sanitize_patterns
from PIL import Image

from tools import form
from tools.notebooks import main

CONFIG = """\
repository: {url: https://example.org/owner/book}
launch_buttons: {colab_url: https://colab.example.org}
"""
CLAIMS = """\
class Line(str):
    __repr__ = str.__str__

def check(id, answer):
    return Line("[exercise] Right." if answer == 6 else "[exercise] Not answered yet.")
"""
TINY = (
    form.FRONT
    + """
# Tiny

Text with $x_1$ and `code`.

+++

A second text cell: [a link](other.ipynb).

```{code-cell}
import os
import time

from cnnlib.claims import check

print("first")
time.sleep(0.5)
print(f"⟨{time.time()}⟩ at", object(), "in 640x480 pixels")
max(range(4));
```

```{code-cell}
:tags: [hide-input]
:alt: "A ramp: black, not \\"white\\""

import io

from IPython.display import Image
from PIL import Image as Pixels

file = io.BytesIO()
Pixels.linear_gradient("L").save(file, "png")
print("From black to white:")
Image(file.getvalue())
```

```{code-cell}
_ = os.system("echo printed by another process")
time.sleep(0.3)
```

```{code-cell}
answer = ...
check("tiny/exercise-sum", answer)
```

+++ {"tags": ["solution"]}

Add the numbers.

```{code-cell}
:tags: [solution]

check("tiny/exercise-sum", sum(range(4)))
```
"""
)
# Places in the notebook.
EFFORT, PRINT, PICTURE, CHILD, WORDS, SOLUTION = 2, 4, 5, 6, 8, 9


def make_book(root):
    files = {
        "_config.yml": CONFIG,
        "cnnlib/__init__.py": '__version__ = "1.2.3"\n',
        "cnnlib/claims.py": CLAIMS,
        "cnnlib/train.py": 'def hardware():\n    return "CPU, 1 thread, fp32"\n',
        "book/chapters/tiny.md": TINY,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    make_book(root)
    assert main(["execute", "--root", str(root)]) == 0
    return root


@pytest.fixture
def book(executed, tmp_path):
    """A copy of the executed book to spoil."""
    return shutil.copytree(executed, tmp_path / "book")


def run(book, command, *stems):
    return main([command, *stems, "--root", str(book)])


def spoil(book, change):
    """Apply `change` to the stored notebook, in the form the tools write."""
    notebook = form.read_notebook(book, "tiny")
    change(notebook)
    text = form.dumps(form.normalise(notebook))
    form.notebook_path(book, "tiny").write_text(text, encoding="utf-8")


def edit_text(book, old, new):
    path = form.text_path(book, "tiny")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_executed_chapter_passes_lint_and_agreement(book):
    assert run(book, "lint") == 0
    assert run(book, "agree") == 0


def test_the_notebook_says_when_and_where_it_was_executed(book):
    notebook = form.read_notebook(book, "tiny")
    facts = notebook.metadata.cnnlib
    assert facts.device == "CPU, 1 thread, fp32"
    assert set(facts) == {"executed", "device", "torch", "seconds"}
    assert f"⟨CPU, 1 thread, fp32, torch {facts.torch}⟩" in notebook.cells[-1].source


def test_the_opening_ends_with_what_reading_and_running_takes(book):
    edit_text(book, "A second text cell", 400 * "word " + "A second text cell")
    assert run(book, "execute") == 0
    notebook = form.read_notebook(book, "tiny")
    assert notebook.cells[EFFORT - 1].source.startswith("# Tiny")
    seconds = notebook.metadata.cnnlib.seconds
    # some more than 400 words, two dozen lines of code, an exercise
    effort = (
        "*3 minutes to read, 4 with the code, 14 with the exercises; "
        f"⟨{seconds}⟩ seconds to run.* ["
    )
    assert notebook.cells[EFFORT].source.startswith(effort)


def test_the_set_up_cell_takes_address_and_tag_from_their_one_place(book):
    source = form.read_notebook(book, "tiny").cells[0].source
    assert '"https://example.org/owner/book"' in source
    assert "--branch=v1.2.3" in source


def test_solutions_are_folded_on_the_site_in_jupyter_and_in_colab(book):
    metadata = form.read_notebook(book, "tiny").cells[SOLUTION].metadata
    assert metadata.tags == ["solution", "hide-cell"]
    assert metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert metadata.collapsed
    assert metadata.cellView == "form"


def test_a_stored_solution_shows_neither_its_first_line_nor_its_outputs(book):
    path = form.notebook_path(book, "tiny")
    (raw,) = (
        cell
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "solution" in cell.metadata.get("tags", [])
    )
    assert raw.source.startswith("# @title Solution") and not raw.outputs
    read = form.read_notebook(book, "tiny").cells[SOLUTION]
    assert read.outputs == raw.metadata[form.KEPT]
    assert run(book, "text", "tiny") == 0
    assert "@title" not in form.text_path(book, "tiny").read_text(encoding="utf-8")


def test_alt_text_stands_where_myst_nb_looks_for_it(book):
    metadata = form.read_notebook(book, "tiny").cells[PICTURE].metadata
    assert metadata.mystnb.image.alt == 'A ramp: black, not "white"'


def test_executing_twice_gives_the_same_bytes_but_for_measured_values(book):
    path = form.notebook_path(book, "tiny")
    before = path.read_text(encoding="utf-8")
    assert run(book, "execute") == 0
    after = path.read_text(encoding="utf-8")
    assert after != before
    assert form.masked(after) == form.masked(before)


def test_stored_addresses_are_replaced_and_sizes_are_not(book):
    (output,) = form.read_notebook(book, "tiny").cells[PRINT].outputs
    assert "<object object at 0x0000> in 640x480 pixels" in output.text


def test_prints_at_different_times_are_one_output(book):
    (output,) = form.read_notebook(book, "tiny").cells[PRINT].outputs
    assert output.text.startswith("first\n⟨")


def test_a_cell_keeps_its_id_when_another_is_inserted(book):
    before = [cell.id for cell in form.compose(book, "tiny").cells]
    edit_text(book, "# Tiny\n", "# Tiny\n\n+++\n\nNew.\n\n+++\n")
    after = [cell.id for cell in form.compose(book, "tiny").cells]
    assert set(before) - set(after) == {before[1]}


DEFECTS = {
    "unexecuted": (
        lambda nb: nb.cells[PRINT].update(execution_count=None),
        "not executed",
    ),
    "order": (lambda nb: nb.cells[PRINT].update(execution_count=7), "out of order"),
    "error": (
        lambda nb: nb.cells[PRINT].outputs.append(
            new_output("error", ename="ValueError", evalue="no", traceback=[])
        ),
        "stored error ValueError: no",
    ),
    "stderr": (
        lambda nb: nb.cells[PRINT].outputs.append(
            new_output("stream", name="stderr", text="warning\n")
        ),
        "stored stderr 'warning'",
    ),
    "not finite": (
        lambda nb: (
            nb.cells[PRINT]
            .outputs[0]
            .update(text="first\nloss ⟨0.1⟩, ⟨nan⟩ and ⟨0.2 to -inf⟩\n")
        ),
        "a measured value is not a finite number: ⟨nan⟩",
    ),
    "not finite in a table": (
        lambda nb: nb.cells[PRINT].outputs.append(
            new_output("display_data", {"text/html": "<td>⟨inf⟩</td>"})
        ),
        "a measured value is not a finite number: ⟨inf⟩",
    ),
    "svg": (
        lambda nb: nb.cells[PRINT].outputs.append(
            new_output("display_data", {"image/svg+xml": "<svg/>"})
        ),
        "an SVG picture",
    ),
    "alt": (lambda nb: nb.cells[PICTURE].metadata.pop("mystnb"), "without :alt:"),
    "long": (
        lambda nb: nb.cells[PRINT].update(source="x = 1\n" * 16),
        "16 lines of code",
    ),
    "tag": (
        lambda nb: nb.cells[PRINT].metadata.update(tags=["nbval-skip"]),
        "unknown tag 'nbval-skip'",
    ),
    "comment": (
        lambda nb: nb.cells[PRINT].update(source="# NBVAL_IGNORE_OUTPUT"),
        "hides output",
    ),
    "clear": (
        lambda nb: nb.cells[PRINT].update(source="clear_output()"),
        "hides output",
    ),
    "directive": (
        lambda nb: nb.cells[WORDS].update(source="```{note}\nNote.\n```"),
        "MyST syntax that Colab shows raw: '{note}'",
    ),
    "colons": (
        lambda nb: nb.cells[WORDS].update(source=":::{note}\nNote.\n:::"),
        "MyST syntax that Colab shows raw: '{note}'",
    ),
    "role": (
        lambda nb: nb.cells[WORDS].update(source="As {cite}`lecun` said."),
        "a MyST role that Colab shows raw: {cite}`lecun`",
    ),
    "target": (
        lambda nb: nb.cells[WORDS].update(source="(here)=\nText."),
        "MyST syntax that Colab shows raw: 'myst_target'",
    ),
    "exercise": (
        lambda nb: (
            nb.cells[SOLUTION]
            .outputs[0]
            .data.update({"text/plain": "[exercise] Not yet. Hint: add."})
        ),
        "no solution of tiny/exercise-sum is right",
    ),
    "facts": (lambda nb: nb.metadata.pop("cnnlib"), "the metadata cnnlib needs"),
}


@pytest.mark.parametrize(("change", "complaint"), DEFECTS.values(), ids=DEFECTS)
def test_lint_finds(book, change, complaint, capsys):
    spoil(book, change)
    assert run(book, "lint") == 1
    assert complaint in capsys.readouterr().out


def test_lint_finds_a_notebook_saved_by_another_program(book, capsys):
    path = form.notebook_path(book, "tiny")
    path.write_text(json.dumps(json.loads(path.read_text())), encoding="utf-8")
    assert run(book, "lint") == 1
    assert "edited by hand or by Jupyter" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source",
    [
        "Sets $\\{x\\}$, `{cite}`.",
        "$$\n(x)=\n1\n$$",
        "| a | b |\n|---|---|\n| 1 | `c` |",
    ],
)
def test_lint_accepts_math_code_and_tables(book, source, capsys):
    spoil(book, lambda nb: nb.cells[WORDS].update(source=source))
    assert run(book, "lint") == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("second text cell", "third text cell"),
        ("sum(range(4))", "sum(range(5))"),
        ("answer = ...\n", "answer = ...\n```\n\n```{code-cell}\n"),
        ("A ramp", "A slope"),
        (":tags: [hide-input]\n", ""),
    ],
    ids=["word", "code", "cell", "alt", "tag"],
)
def test_agreement_finds_a_text_changed_in_one(book, old, new):
    edit_text(book, old, new)
    assert run(book, "agree") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb.cells.pop(WORDS),
        lambda nb: nb.cells.insert(WORDS, new_markdown_cell("More.")),
        lambda nb: nb.cells.append(new_markdown_cell("More.")),
        lambda nb: nb.cells[0].update(source="pass"),
        lambda nb: nb.cells[EFFORT].update(source="*9 minutes to read.*"),
        lambda nb: nb.cells[-1].update(source="*Last executed in spring.*"),
    ],
    ids=["missing cell", "extra cell", "last cell", "set-up", "effort", "footer"],
)
def test_agreement_finds_a_notebook_with(book, change):
    spoil(book, change)
    assert run(book, "agree") == 1


def test_agreement_shows_both_sides_of_a_difference(book, capsys):
    edit_text(book, "second text cell", "third text cell")
    run(book, "agree")
    out = capsys.readouterr().out
    assert "-A second text cell" in out
    assert "+A third text cell" in out


def test_agreement_finds_a_text_without_notebook_and_the_reverse(book, capsys):
    shutil.copy(form.text_path(book, "tiny"), form.text_path(book, "new"))
    form.notebook_path(book, "tiny").rename(form.notebook_path(book, "old"))
    assert run(book, "agree") == 1
    out = capsys.readouterr().out
    assert "new.ipynb does not exist: run make chapter CHAPTER=new" in out
    assert "old.md does not exist: run make text CHAPTER=old" in out


def test_text_is_the_inverse_of_execute(book):
    assert run(book, "text", "tiny") == 0
    assert form.text_path(book, "tiny").read_text(encoding="utf-8") == TINY


def test_text_brings_an_edit_back(book):
    spoil(book, lambda nb: nb.cells[WORDS].update(source="Edited in Jupyter."))
    run(book, "text", "tiny")
    expected = TINY.replace("Add the numbers.", "Edited in Jupyter.")
    assert form.text_path(book, "tiny").read_text(encoding="utf-8") == expected


def test_text_refuses_what_it_cannot_hold_and_keeps_the_old_text(book, capsys):
    spoil(book, lambda nb: nb.cells[WORDS].update(source="One.\n\n+++\n\nTwo."))
    assert run(book, "text", "tiny") == 1
    assert (
        "the markdown cell that begins with 'One.\\n\\n+++" in capsys.readouterr().err
    )
    assert form.text_path(book, "tiny").read_text(encoding="utf-8") == TINY


@pytest.mark.parametrize(
    "alt", ["plain words", "a: b", "- dash", "'quoted'", "100 % # x", "[x", "7", "no"]
)
def test_any_alt_text_survives_the_round_trip(book, alt):
    def describe(notebook):
        notebook.cells[PICTURE].metadata.mystnb.image.alt = alt

    spoil(book, describe)
    run(book, "text", "tiny")
    assert run(book, "agree") == 0


def test_format_tidies_code_and_leaves_the_rest(book):
    edit_text(book, "sum(range(4))", "sum( range(4) )")
    assert run(book, "format") == 0
    assert form.text_path(book, "tiny").read_text(encoding="utf-8") == TINY


def test_refresh_renews_what_is_generated_and_keeps_outputs(book):
    before = form.read_notebook(book, "tiny").cells
    spoil(book, lambda nb: nb.cells[SOLUTION].metadata.pop("jupyter"))
    (book / "cnnlib/__init__.py").write_text('__version__ = "1.2.4"\n')
    assert run(book, "agree") == 1
    assert run(book, "refresh") == 0
    assert run(book, "agree") == 0
    assert run(book, "lint") == 0
    after = form.read_notebook(book, "tiny").cells
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if i in (0, EFFORT):
            assert "v1.2.3" in old.source and "v1.2.4" in new.source
        else:
            assert old == new


def test_a_notebook_leads_to_its_release_in_colab(book):
    link = "https://colab.example.org/github/owner/book/blob/v1.2.3/chapters/tiny.ipynb"
    effort = form.read_notebook(book, "tiny").cells[EFFORT].source
    assert effort.endswith(f"seconds to run.* [Run it in Colab]({link})")


def test_refresh_adds_a_generated_line_that_is_missing(book):
    before = form.read_notebook(book, "tiny")
    spoil(book, lambda nb: nb.cells.pop(EFFORT))
    assert run(book, "agree") == 1
    assert run(book, "refresh") == 0
    assert form.read_notebook(book, "tiny") == before


def test_refresh_does_not_keep_outputs_of_other_code(book, capsys):
    edit_text(book, "sum(range(4))", "sum(range(5))")
    assert run(book, "refresh") == 1
    assert "tiny is not its text: make chapter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# No front matter\n", "does not begin with this front matter"),
        (
            f"{form.FRONT}\n```{{code-cell}}\n:width: 3\n\n1\n```\n",
            "a cell has the option 'width'; only tags and alt are known",
        ),
        (f"{form.FRONT}\n```{{code-cell}}\n:alt: a: b\n\n1\n```\n", "at line 8"),
        (
            f"{form.FRONT}\n```{{raw-cell}}\n1\n```\n",
            "a raw cell, which no chapter has",
        ),
    ],
    ids=["front", "option", "yaml", "raw"],
)
def test_a_malformed_text_is_named(book, text, complaint, capsys):
    form.text_path(book, "tiny").write_text(text, encoding="utf-8")
    assert run(book, "execute") == 1
    assert complaint in capsys.readouterr().out


def test_an_unknown_chapter_is_named_with_the_known_ones(book, capsys):
    assert run(book, "execute", "tinny") == 1
    assert "there is no chapter tinny; there are ['tiny']" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings; warnings.warn('careful')", "wrote to stderr"),
        ("import os; os._exit(1)", "The kernel died in cell 9"),
    ],
    ids=["error", "stderr", "crash"],
)
def test_a_chapter_that_fails_keeps_its_old_notebook(book, code, complaint, capfd):
    edit_text(book, 'check("tiny/exercise-sum", sum(range(4)))', code)
    before = form.notebook_path(book, "tiny").read_bytes()
    assert run(book, "execute") == 1
    assert complaint in capfd.readouterr().out
    assert form.notebook_path(book, "tiny").read_bytes() == before


def start(book, first="pass"):
    """`execute` in a process of its own; `first` runs there before it."""
    code = f"import sys; from tools.notebooks import main; {first}; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "execute", "--root", str(book)],
        cwd=form.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_overs(book):
    return [path.name for path in (book / "chapters").iterdir()]


def test_a_full_disk_leaves_the_old_notebook(book):
    before = form.notebook_path(book, "tiny").read_bytes()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    process = start(book, limit)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "was not written, what it held is untouched: File too large" in out
    assert form.notebook_path(book, "tiny").read_bytes() == before
    assert left_overs(book) == ["tiny.ipynb"]


def test_writing_replaces_a_file_and_never_changes_it(tmp_path):
    path, same = tmp_path / "file", tmp_path / "same"
    path.write_text("old")
    os.link(path, same)
    form.write(path, "new")
    assert (path.read_text(), same.read_text()) == ("new", "old")


def test_ctrl_c_leaves_the_old_notebook_and_no_kernel(book):
    before = form.notebook_path(book, "tiny").read_bytes()
    mark = book / "started"
    wait = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid()))"
    edit_text(book, "answer = ...", f"{wait}; time.sleep(60)")
    # a shell starts its background jobs with Ctrl-C switched off
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = start(book, listen)
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert "interrupted: unfinished chapters were not written" in out
    assert form.notebook_path(book, "tiny").read_bytes() == before
    assert left_overs(book) == ["tiny.ipynb"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_what_another_process_prints_is_stored_even_under_pytest(book):
    (output,) = form.read_notebook(book, "tiny").cells[CHILD].outputs
    assert output.text == "printed by another process\n"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("⟨0.87⟩ and ⟨0.91⟩ of 10", "⟨measured⟩ and ⟨measured⟩ of 10"),
        ("<object at 0x7f2cd445bd10>", "<object at 0x0000>"),
        ("0xff of 640x480 pixels in 3.1 s", "0xff of 640x480 pixels in 3.1 s"),
    ],
)
def test_nbval_masks_measured_values_and_addresses_alone(text, masked):
    rules = (form.ROOT / "tests/nbval_sanitize.cfg").read_text(encoding="utf-8")
    for pattern, replacement in get_sanitize_patterns(rules):
        text = re.sub(pattern, replacement, text)
    assert text == masked


def picture(cell):
    return cell.outputs[1].data


def ramp(turn=0, width=256):
    """A stored picture: the tiny chapter's, turned or rendered in another size."""
    file, picture = io.BytesIO(), Image.linear_gradient("L").rotate(turn)
    picture.resize((width, 256)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


OTHERS = {  # what another run may show: the cells changed, those of code that must fail
    "rendered-anew": (
        lambda cells: picture(cells[PICTURE]).update({"image/png": ramp(width=258)}),
        (),
    ),
    "other-word": (
        lambda cells: (
            cells[PRINT]
            .outputs[0]
            .update(text=cells[PRINT].outputs[0].text.replace("640x480", "641x480"))
        ),
        (1,),
    ),
    "replaced-picture": (
        lambda cells: picture(cells[PICTURE]).update({"image/png": ramp(turn=90)}),
        (2,),
    ),
    "measured-picture": (
        lambda cells: (
            picture(cells[PICTURE]).update({"image/png": ramp(turn=90)}),
            cells[PICTURE].metadata.tags.append("measured"),
        ),
        (),
    ),
    "wider-picture": (
        lambda cells: picture(cells[PICTURE]).update({"image/png": ramp(width=290)}),
        (2,),
    ),
    "missing-picture": (lambda cells: picture(cells[PICTURE]).pop("image/png"), (2,)),
    "added-picture": (
        lambda cells: cells[CHILD].outputs.append(
            new_output("display_data", {"image/png": ramp()})
        ),
        (3,),
    ),
    "swapped-outputs": (lambda cells: cells[PICTURE].outputs.reverse(), (2,)),
    "no-number": (
        lambda cells: cells[PRINT].update(
            source=cells[PRINT].source.replace("{time.time()}", "{float('nan')}")
        ),
        (1,),
    ),
}


def test_nbval_executes_a_chapter_as_the_tools_do_and_compares_all_of_it(book):
    """The tiny chapter passes although measured values differ; what else does fails."""
    for name, (change, _) in OTHERS.items():
        notebook = form.read_notebook(book, "tiny")
        change(notebook.cells)
        form.notebook_path(book, name).write_text(form.dumps(notebook), "utf-8")
    shutil.copy(form.ROOT / "chapters/conftest.py", book / "chapters")
    sanitize = form.ROOT / "tests/nbval_sanitize.cfg"
    options = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={sanitize}"]
    command = [sys.executable, "-m", "pytest", "-rA", *options, str(book / "chapters")]
    done = subprocess.run(
        [*command, "-c", "pyproject.toml", "-p", "no:cacheprovider"],
        cwd=form.ROOT,
        capture_output=True,
        text=True,
    )
    line = re.compile(r"^(\w+) (?:.*/)?([\w-]+)\.ipynb::Cell (\d+)", re.MULTILINE)
    ended = line.findall(done.stdout)
    assert len(ended) == 6 * (len(OTHERS) + 1), done.stdout  # and tiny
    failed = {(name, int(cell)) for verdict, name, cell in ended if verdict != "PASSED"}
    assert failed == {(name, cell) for name in OTHERS for cell in OTHERS[name][1]}
