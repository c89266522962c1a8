"""The index of the site's search, made by Pagefind when the pages are written.

It holds results of three kinds: pages with their sections, terms of the glossary, and
statements of the ledger. A page also answers to the names that glossary.yml gives it.
book/_static/search.js asks the index; what it does to a question and what is done here
to names belong together: Chinese is cut into pairs of characters, because Pagefind has
no words for it on an English page.
"""

import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))  # Sphinx has the root nowhere
from cnnlib import claims

NAMES = Path(__file__).parents[1] / "glossary.yml"
FOLDER = "pagefind"
PAGES = ("chapters/*.html", "book/*.html")
# Of less weight than a chapter that says the same.
LIGHT = {"book/index", "book/api", "book/run-times", "book/bibliography"}
# Not text of the book, an answer to a question or exercise, or a result of its own.
LEFT_OUT = (
    ".headerlink, summary, .cell_input, .tag_solution, div.math, form, button, svg, "
    "dl.glossary, table.ledger, .cards, .toctree-wrapper"
)
SECTION = re.compile(r'<section id="([^"]+)">\s*((?:<span[^>]*></span>\s*)*)<(h[2-6])>')
ARTICLE = re.compile("<article([^>]*>)")
FORMULA = re.compile(r'<span class="math[^"]*">\\\((.*?)\\\)</span>', re.DOTALL)
# Of these sections the questions of exercises are indexed and nothing else.
ANSWERS = re.compile(
    r'(<section id="(?:exercises|check-yourself)">.*?</h2>)(.*?)(?=<section id="|$)',
    re.DOTALL,
)
QUESTION = re.compile(r"<p><strong>\d+\.</strong>.*?</p>", re.DOTALL)
CHINESE = re.compile("[\u4e00-\u9fff]{2,}")
RECORD = '<html lang="en"><article><h1>{title}</h1>{told}<p>{text}</p></article></html>'
# What is left of the bundle: the engine and the index, without ready-made pages.
UNUSED = ("pagefind-*ui*", "pagefind-highlight.js", "wasm.unknown.pagefind")


def setup(app):
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_index(app, problem):
    if problem is None and app.builder.format == "html":
        index(Path(app.outdir))


def index(site):
    """Write the folder `FOLDER` of a built site, from a copy prepared for indexing."""
    shutil.rmtree(site / FOLDER, ignore_errors=True)
    terms = yaml.safe_load(NAMES.read_text(encoding="utf-8"))
    with TemporaryDirectory() as copy:
        for path in (path for pages in PAGES for path in site.glob(pages)):
            page = path.relative_to(site).with_suffix("").as_posix()
            text = path.read_text(encoding="utf-8")
            write(copy, page, prepared(text, page, names(page, terms)))
        for anchor, entry in terms.items():
            write(copy, f"terms/{anchor}", term(anchor, entry))
        for entry in claims.statements():
            write(copy, f"statements/{entry.id}", statement(entry))
        command = [sys.executable, "-m", "pagefind", "--quiet", "--site", copy]
        command += ["--keep-index-url"]
        command += ["--output-path", site / FOLDER, "--root-selector", "article"]
        for selector in LEFT_OUT.split(", "):
            command += ["--exclude-selectors", selector]
        subprocess.run(command, check=True)
    for pattern in UNUSED:
        for path in (site / FOLDER).glob(pattern):
            path.unlink()


def write(folder, page, text):
    path = Path(folder, f"{page}.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def names(page, terms):
    """Names that a page is the first answer to, and that it is another answer to."""
    first, other = [], []
    for entry in terms.values():
        homes = entry.get("pages", [])
        if page in homes:
            (first if page == homes[0] else other).extend(forms(entry))
    return first, other


def forms(entry):
    """Every name of an entry of the glossary, as it is looked for."""
    listed = [entry[key] for key in ("term", "chinese")]
    listed += [*entry.get("also", []), *entry.get("typed", [])]
    joined = [name.replace("-", "") for name in listed if re.search(r"-\d", name)]
    return [*listed, *joined]


def pairs(text):
    """Runs of Chinese as overlapping pairs of characters: 感受野 as 感受 受野."""
    return CHINESE.sub(
        lambda run: " ".join(map("".join, zip(run[0], run[0][1:], strict=False))), text
    )


def prepared(html, page, names):
    """The HTML of a page as it is indexed: anchors at the headings, formulas as plain
    text, the kind of the result and the names it answers to."""
    html = ANSWERS.sub(lambda part: part[1] + "".join(QUESTION.findall(part[2])), html)
    html = SECTION.sub(r'<section>\2<\3 id="\1">', html)
    html = FORMULA.sub(lambda formula: plain(formula[1]), html)
    told = meta(names=" ; ".join(names[0]), related=" ; ".join(names[1]))
    weight = ' data-pagefind-weight="0.2"' if page in LIGHT else ""
    told = f"<article{weight}\\1{kind('page')}{told}"
    return ARTICLE.sub(told, html, count=1)


def plain(formula):
    r"""A formula of a line of text without its commands: 28 \times 28 is 28 x 28."""
    formula = formula.replace(r"\times", "x").replace("{,}", ",")
    formula = re.sub(r"\\(?:[a-zA-Z]+|.)", " ", formula)
    return " ".join(re.sub(r"[{}^_]", "", formula).split())


def kind(name):
    return f'<span data-pagefind-filter="kind:{name}"></span>'


def meta(**values):
    """What Pagefind stores with a page beside its text, and searches."""
    return "".join(
        f'<span data-pagefind-meta="{key}:{escape(pairs(value))}"></span>'
        for key, value in values.items()
        if value
    )


def term(anchor, entry):
    """A term of the glossary as a page of its own."""
    home = "".join(f"/{page}.html" for page in entry.get("pages", [])[:1])
    told = meta(
        names=" ; ".join(forms(entry)), at=f"book/glossary.html#{anchor}", home=home
    )
    return record("term", f"{entry['term']} {entry['chinese']}", entry["text"], told)


def statement(entry):
    """A statement of the ledger as a page of its own."""
    told = meta(verdict=entry.verdict, at=f"book/ledger.html#{entry.id}")
    text = f"{entry.statement} {entry.comment}"
    return record("statement", entry.id, text, told)


def record(kind_of, title, text, told):
    return RECORD.format(
        title=escape(title), text=escape(text), told=kind(kind_of) + told
    )
