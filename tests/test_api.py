"""The page of cnnlib: its networks as counted, its modules as Python sees them."""

import ast
import importlib
import inspect
import re
import subprocess
import sys

import pytest
import yaml
from markdown_it import MarkdownIt

from cnnlib import experiments, models
from tools import api, count, form

MODULES = {
    path.relative_to(form.ROOT).with_suffix(""): path
    for path in (form.ROOT / "cnnlib").rglob("*.py")
    if path.name != "__main__.py"
}
COUNTS = yaml.safe_load(count.PATH.read_text(encoding="utf-8"))


def test_every_network_is_counted_in_its_order():
    assert list(COUNTS) == models.names()
    readme = (form.ROOT / "cnnlib/README.md").read_text(encoding="utf-8")
    assert f"{len(COUNTS)} networks" in readme


@pytest.mark.parametrize("name", models.names())
def test_the_stored_counts_are_those_of_cnnlib(name):
    assert COUNTS[name] == count.count(name), "make refresh"


def test_a_row_says_what_it_costs_and_links_the_paper():
    table = api.networks(form.ROOT)
    assert table.count("<tr>") == 1 + len(COUNTS)
    assert (
        "<code>vgg16</code></th><td>3x224x224</td><td>138,357,544</td>"
        '<td>15,470,264,320</td><td><a href="https://arxiv.org/abs/1409.1556">'
        "Simonyan and Zisserman, 2014</a></td>"
    ) in table
    assert "He et al., 2016</a>" in table


@pytest.mark.parametrize("name", MODULES, ids=lambda path: ".".join(path.parts))
def test_the_page_shows_what_python_itself_finds_in_a_module(name):
    """Names and parameters, by import and inspect."""
    loaded = importlib.import_module(".".join(name.parts).removesuffix(".__init__"))
    shown = set()
    for node in api.public(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        head = api.entry(node).partition("\n")[0]
        kind, label, given = re.fullmatch(r"`+{py:(\w+)} (\w+)(.*)", head).groups()
        shown.add(label)
        thing = getattr(loaded, label)
        if isinstance(thing, experiments.Experiment):
            thing = thing.run  # what the decorator wraps
        assert inspect.isclass(thing) == (kind == "class")
        if given:
            call = ast.parse(f"def f{given}: pass").body[0].args
            named = [*call.posonlyargs, *call.args, *call.kwonlyargs]
            starred = [arg for arg in (call.vararg, call.kwarg) if arg]
            found = {arg.arg for arg in (*named, *starred)}
            assert found == set(inspect.signature(thing).parameters)
    ours = {
        label
        for label, thing in vars(loaded).items()
        if not label.startswith("_")
        and getattr(thing, "__module__", "") == loaded.__name__
        and (inspect.isclass(thing) or inspect.isfunction(thing))
    }
    assert ours <= shown


def docstrings():
    yield r"Of *all* __init__ [a](b) \* <b> & {role}`code`, see https://example.org/_a_."
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                yield ast.get_docstring(node) or ""


def test_docstrings_mean_themselves_in_markdown():
    """What a parser of Markdown reads from the page is what the docstring says."""
    for text in docstrings():
        tokens = MarkdownIt().parse(api.prose(text))
        leaves = [leaf for token in tokens for leaf in token.children or [token]]
        read = " ".join(leaf.content for leaf in leaves if leaf.content)
        assert {leaf.type for leaf in leaves if leaf.content} <= {
            "text",
            "code_inline",
            "fence",
        }
        squeezed = (re.sub(r"\s|`", "", words) for words in (read, text))
        assert next(squeezed) == next(squeezed)


def test_fences_are_longer_than_what_they_hold():
    tree = ast.parse('class A:\n    """Doc.\n\n    >>> A()\n    """\n')
    lines = api.entry(tree.body[0]).splitlines()
    assert lines[0] == "````{py:class} A" and lines[-1] == "````"


def test_the_page_needs_no_torch():
    code = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from tools import api
assert api.page(Path()) and api.networks(Path())
"""
    subprocess.run([sys.executable, "-c", code], cwd=form.ROOT, check=True)
