"""Write the address of the book where readers meet it outside the site.

usage: python -m tools.addresses   (make refresh)

The address stands in _config.yml alone; from there it goes into the lines between
"begin generated" and "end generated" of three files, and into CITATION.cff. A test
fails when one of them is not what this tool writes.
"""

import re
import sys
import tomllib

import yaml

from tools import form, pages, release
from tools.form import ROOT, BookError

BLOCK = re.compile(r"(begin generated[^\n]*\n).*?([^\n]*end generated)", re.DOTALL)
README = """\
[![Read the book](https://img.shields.io/badge/read-the_book-1f6feb)]({site})
[![Tests]({address}/actions/workflows/pages.yml/badge.svg)]({address}/actions/workflows/pages.yml)
[![Code: MIT](https://img.shields.io/badge/code-MIT-555)](LICENSE)
[![Text: CC BY 4.0](https://img.shields.io/badge/text-CC_BY_4.0-555)](LICENSE-TEXT)

**[Read the book]({site})**, open a chapter in Colab, or tell us which
[statement is wrong]({address}/issues/new?template=statement.yml).

{chapters}"""
CHAPTER = "{n}. [{title}]({page}) ([Colab]({colab})): {question}"
LINKS = """\
[book]: {site}
[functions and networks]: {site}book/api.html
[changes]: {address}/blob/main/CHANGELOG.md

```console
$ pip install "cnnlib @ git+{address}@{tag}"
```"""
URLS = """\
[project.urls]
Documentation = "{site}"
Source = "{address}"
Changelog = "{address}/blob/main/CHANGELOG.md"
Issues = "{address}/issues"
"""


def places(root=ROOT):
    """What the generated files should hold, {path: text}."""
    facts = {
        "address": release.address(root),
        "site": release.site(root),
        "tag": release.tag(root),
    }
    blocks = {
        "README.md": README.format(chapters=chapters(root), **facts),
        "cnnlib/README.md": LINKS.format(**facts),
        "pyproject.toml": URLS.format(**facts),
    }
    filled = {root / name: fill(root / name, text) for name, text in blocks.items()}
    return filled | {root / "CITATION.cff": citation(root)}


def fill(path, block):
    """The text of a file with `block` between its two marks."""
    text, count = BLOCK.subn(
        lambda marks: f"{marks[1]}{block.rstrip()}\n{marks[2]}",
        path.read_text(encoding="utf-8"),
    )
    if count != 1:
        raise BookError(
            f"{path} has {count} pairs of lines 'begin generated' and 'end generated': "
            "give it one, where the addresses shall stand."
        )
    return text


def chapters(root):
    """The chapters by part, each with its question and its way to Colab (Markdown)."""
    lines, n = [], 0
    for caption, stems in release.parts(root):
        lines += [f"**{caption}**", ""]
        for stem in stems:
            n += 1
            chapter = pages.read_chapter(form.notebook_path(root, stem))
            page = f"{release.site(root)}chapters/{stem}.html"
            colab = release.colab(stem, root)
            lines.append(
                CHAPTER.format(n=n, page=page, colab=colab, **chapter._asdict())
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def citation(root):
    """CITATION.cff, which GitHub shows as "Cite this repository" and Zenodo reads.
    https://github.com/citation-file-format/citation-file-format"""
    config = release.config(root)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    facts = {
        "cff-version": "1.2.0",
        "message": "If you use this book or its code, please cite it as below.",
        "type": "software",
        "title": config["title"],
        "authors": [{"name": config["author"]}],
        "version": release.version(root),
        "url": release.site(root),
        "repository-code": release.address(root),
        "license": ["MIT", "CC-BY-4.0"],
        "keywords": project["project"]["keywords"],
    }
    head = "# generated from _config.yml by make refresh\n"
    return head + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)


def main():
    try:
        for path, text in places().items():
            form.write(path, text)
    except BookError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
