"""The page of cnnlib: its networks with their costs, and what its modules hold.

Modules are read, not imported, so that building the site needs no torch: signatures and
docstrings become the directives of Sphinx's Python domain, networks a table.
"""

import ast
import inspect
import re
from html import escape

import yaml
from pybtex.database import parse_file

NETWORKS = """\
<div class="scroll" tabindex="0" role="region" aria-label="Networks of cnnlib">
<table class="table"><thead><tr><th scope="col">Name</th><th scope="col">Input</th>
<th scope="col">Parameters</th><th scope="col">MACs</th>
<th scope="col">Paper</th></tr></thead><tbody>
{rows}
</tbody></table></div>"""
CODE = re.compile(
    r"``(?P<two>.+?)``|`(?P<one>[^`]+)`|(?P<url>https?://[^\s),]+[^\s),.])"
)
SPECIAL = re.compile(r"[*_\[\]<>$\\{}|~#]")
TABLE = re.compile(r"(?:\S+ {2,}\S.*\n?)+\Z")


def networks(root):
    """The table of all networks, from book/counts.yml and the bibliography."""
    counts = yaml.safe_load((root / "book/counts.yml").read_text(encoding="utf-8"))
    papers = labels(root / "book/references.bib")
    rows = [
        f'<tr><th scope="row"><code>{name}</code></th>'
        f"<td>{'x'.join(map(str, row['input']))}</td>"
        f"<td>{row['parameters']:,}</td><td>{row['macs']:,}</td>"
        f'<td><a href="{row["source"]}">{escape(papers[row["source"]])}</a></td></tr>'
        for name, row in counts.items()
    ]
    return NETWORKS.format(rows="\n".join(rows))


def labels(path):
    """Authors and year of each paper of the bibliography, {address: label}."""
    found = {}
    for entry in parse_file(path).entries.values():
        fields = entry.fields
        address = fields.get("url", f"https://doi.org/{fields.get('doi')}")
        if "eprint" in fields:
            address = f"https://arxiv.org/abs/{fields['eprint']}"
        first, *others = [str(who.last_names[0]) for who in entry.persons["author"]]
        more = (
            "".join(f" and {name}" for name in others) if len(others) < 2 else " et al."
        )
        found[address] = f"{first}{more}, {fields['year']}"
    return found


def page(root):
    """All modules of cnnlib but its commands, as MyST text."""
    modules = {}
    for path in (root / "cnnlib").rglob("*.py"):
        if path.name != "__main__.py":
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            modules[name] = ast.parse(path.read_text(encoding="utf-8"))
    return "\n".join(module(name, modules[name]) for name in sorted(modules))


def module(name, tree):
    """A heading, the docstring, and every public function and class of a module."""
    return "\n".join(
        [
            f"### `{name.removeprefix('cnnlib.')}`\n",
            prose(ast.get_docstring(tree)),
            f"```{{py:currentmodule}} {name}\n```\n",
            *map(entry, public(tree)),
        ]
    )


def public(tree):
    """The functions and classes in the body of a module or class, in its order."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and n.name[0] != "_"]


def entry(node, kind="function"):
    """A function, class, method or property as a directive."""
    text = prose(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        members = [n for n in public(node) if ast.get_docstring(n)]
        text += "".join(f"\n{entry(member, 'method')}" for member in members)
        return directive("class", f"{node.name}{parameters(node)}", text)
    if any(getattr(d, "id", "") == "property" for d in node.decorator_list):
        return directive("property", node.name, text)
    signature = ast.unparse(node.args)
    if kind == "method":
        signature = signature.partition(", ")[2]  # without self
    return directive(kind, f"{node.name}({signature})", text)


def directive(kind, name, text):
    """A directive of Sphinx's Python domain, fenced longer than what it holds."""
    within = [len(fence) for fence in re.findall("^`{3,}", text, re.MULTILINE)]
    fence = "`" * max(3, *(length + 1 for length in within), 0)
    return f"{fence}{{py:{kind}}} {name}\n\n{text}{fence}\n"


def parameters(node):
    """How a class is called: with the arguments of __init__ or the fields of a named
    tuple or data class; nothing where it has neither."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return f"({ast.unparse(member.args).partition(', ')[2]})"
    fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
    given = [
        f.target.id + (f"={ast.unparse(f.value)}" if f.value else "") for f in fields
    ]
    return f"({', '.join(given)})" if fields else ""


def prose(docstring):
    """A docstring as MyST text: words that mean themselves, code, links, examples."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring or ""))
    return "".join(f"{block_text(block)}\n\n" for block in blocks)


def block_text(block):
    """A paragraph; sessions, tables and indented lines stay as they are."""
    if block.startswith((" ", ">>>")) or TABLE.match(block):
        return f"```text\n{inspect.cleandoc(block)}\n```"
    parts, end = [], 0
    for found in CODE.finditer(block):
        code = found["two"] or found["one"]
        parts.append(SPECIAL.sub(r"\\\g<0>", block[end : found.start()]))
        parts.append(f"`{code}`" if code else f"<{found['url']}>")
        end = found.end()
    return "".join([*parts, SPECIAL.sub(r"\\\g<0>", block[end:])])
