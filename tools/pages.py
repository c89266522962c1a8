"""Write the computed parts of the site to book/_generated/, before the site is built.

usage: python -m tools.pages

The pages in book/ include these fragments: the timeline of the networks, a card for
each chapter, the ledger and its counts, the glossary, the run-times, the networks and
modules of cnnlib. A chapter of
_toc.yml whose notebook does not exist yet is left out.
"""

import re
from html import escape
from pathlib import Path
from typing import NamedTuple

from cnnlib import claims
from tools import api, form, glossary, ledger, release, timeline

ROOT = Path(__file__).resolve().parents[1]
OPENING = re.compile(r"# (.+)\n\s*\n\*\*Question\.\*\*\s+((?:.+\n?)+)")
CARD = """\
::::{{container}} chapter
[{title}](../chapters/{stem}.ipynb)

{question}

:::{{container}} effort
{minutes} min to read, {with_code} with the code, {seconds} to run
:::
::::
"""
START = """\
<p>For everyone who writes a little Python and has trained one network. The {count}
chapters take about {minutes} to read, {with_code} with their code, {with_exercises}
with all exercises; each stands alone.</p>
<div class="ways"><a href="../chapters/{first}.html"><b>Read from the start</b>
{title}: what one window does with a picture</a>
<a href="#the-networks-in-one-picture"><b>Look up a network</b>
LeNet-5 to DenseNet: touch its disc, or take its chapter below</a>
<a href="how-to.html#run"><b>Run it</b>
in Colab with one click, or all of it on a laptop</a></div>"""
CITATION = """\
```bibtex
@misc{{cnn-notes,
  title   = {{{title}}},
  year    = {{{year}}},
  version = {{{version}}},
  url     = {{{url}}},
}}
```"""
RUN_TIMES = """\
<div class="scroll" tabindex="0" role="region" aria-label="Run-times">
<table class="table"><thead><tr><th scope="col">Chapter</th>
<th scope="col">Last executed</th><th scope="col">On</th><th scope="col">torch</th>
<th scope="col">Time</th></tr></thead><tbody>
{rows}
</tbody></table></div>"""


class Chapter(NamedTuple):
    """What other pages say of a chapter; `run`: what its last execution recorded."""

    stem: str
    title: str
    question: str
    minutes: int
    with_code: int
    with_exercises: int
    run: dict


def main():
    chapters = [read_chapter(path) for path in notebooks(ROOT)]
    titles = {chapter.stem: chapter.title for chapter in chapters}
    statements = claims.statements()
    taught = {f"chapters/{stem}": title for stem, title in titles.items()}
    homes = claims.homes(ROOT / "chapters")
    networks = timeline.networks(ROOT / "book" / "networks.yml")
    fragments = {
        "api.md": api.page(ROOT),
        "cards.md": cards(chapters),
        "cite.md": citation(ROOT),
        "glossary.html": glossary.page(ROOT / "book" / "glossary.yml", taught),
        "facts.html": ledger.facts(statements),
        "builders.html": api.networks(ROOT),
        "ledger.html": ledger.page(statements, homes, titles),
        "run-times.html": run_times(chapters),
        "start.html": start(chapters),
        "touch.html": stored_figure("inception-bill", "bill"),
        "timeline.html": timeline.figure(networks, titles),
    }
    target = ROOT / "book" / "_generated"
    target.mkdir(exist_ok=True)
    for name, text in fragments.items():
        (target / name).write_text(text + "\n", encoding="utf-8")
    print(
        f"{target.relative_to(ROOT)}: {len(chapters)} chapters, "
        f"{len(statements)} statements, {len(networks)} networks."
    )


def citation(root):
    """How to cite the book, with the address of the repository from _config.yml."""
    config = release.config(root)
    return CITATION.format(
        title=config["title"],
        year=config["copyright"],
        version=release.version(root),
        url=release.address(root),
    )


def notebooks(root):
    """The existing notebooks of the chapters, in the order of _toc.yml."""
    paths = [form.notebook_path(root, stem) for stem in release.chapters(root)]
    return [path for path in paths if path.is_file()]


def read_chapter(path):
    """Title, question, length and last run of a notebook.

    Raises ValueError when its first text does not open with a title and a question.
    """
    notebook = form.loads(path.read_text(encoding="utf-8"))
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    opening = OPENING.match(texts[0]) if texts else None
    if opening is None:
        raise ValueError(
            f"{path.name} does not open with '# Title', an empty line and a paragraph "
            "that starts with '**Question.**': correct the first cell of its text."
        )
    return Chapter(
        stem=path.stem,
        title=opening[1],
        question=" ".join(opening[2].split()),
        **form.times(notebook),
        run=notebook.metadata.get("cnnlib", {}),
    )


def cards(chapters):
    """A card per chapter, as MyST text because a question may hold formulas."""
    body = "\n".join(
        CARD.format(**chapter._asdict(), seconds=duration(chapter))
        for chapter in chapters
    )
    return f":::::{{container}} cards\n{body}:::::"


def start(chapters):
    """How long the book takes, and three ways into it."""
    minutes, with_code, with_exercises = (
        sum(getattr(chapter, name) for chapter in chapters)
        for name in ("minutes", "with_code", "with_exercises")
    )
    return START.format(
        count=len(chapters),
        first=chapters[0].stem if chapters else "",
        title=escape(chapters[0].title if chapters else ""),
        minutes=hours(minutes),
        with_code=hours(with_code),
        with_exercises=hours(with_exercises),
    )


def hours(minutes):
    return f"{minutes / 60:.0f} hours"


def stored_figure(stem, name):
    """The HTML of a live figure, as the notebook of a chapter stores it."""
    for cell in form.read_notebook(ROOT, stem).cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/html", "")
            if f'data-figure="{name}"' in text:
                return text
    raise ValueError(f"{stem} stores no figure {name!r}: name another one of its own.")


def duration(chapter):
    """'41 s', or what stands there for a chapter that was not executed by the tool."""
    seconds = chapter.run.get("seconds")
    return "an unknown time" if seconds is None else f"{seconds:.0f} s"


def run_times(chapters):
    """What the last execution of each chapter took, when and on what."""
    rows = []
    for chapter in chapters:
        link = f'<a href="../chapters/{chapter.stem}.html">{escape(chapter.title)}</a>'
        facts = [chapter.run.get(key, "-") for key in ("executed", "device", "torch")]
        cells = [
            f"<td>{escape(str(fact))}</td>" for fact in [*facts, duration(chapter)]
        ]
        rows.append(f'<tr><th scope="row">{link}</th>{"".join(cells)}</tr>')
    return RUN_TIMES.format(rows="\n".join(rows))


if __name__ == "__main__":
    main()
