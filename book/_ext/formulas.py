r"""Formulas are set when the site is built: no page brings MathJax along.

Sphinx writes them into the pages as TeX, \(x^2\). When all are written, MathJax sets
them in a JavaScript engine, without a browser, and writes one style sheet with what
these formulas need. A formula that MathJax cannot read fails the build.
"""

import json
import re
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from zlib import crc32

from py_mini_racer import mini_racer
from sphinx.errors import ExtensionError
from sphinx.ext.mathjax import html_visit_displaymath, html_visit_math

HERE = Path(__file__).parent
# In the order in which MathJax wants them.
PARTS = ("core", "liteDOM", "tex", "chtml", "font", "assistive-mml")
SHEET = "_static/formulas.css"
FORMULA = re.compile(
    r'(?P<open><(?P<tag>span|div) class="math [^>]*>\s*)'
    r"\\[(\[](?P<tex>.*?)\\[)\]](?P<close></(?P=tag)>)",
    re.DOTALL,
)


def setup(app):
    # Sphinx's own renderer writes the same and puts MathJax on each page.
    renderers = (html_visit_math, None), (html_visit_displaymath, None)
    app.add_html_math_renderer("formulas", *renderers)
    app.connect("build-finished", set_all, priority=900)  # after search.py reads TeX
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_all(app, problem):
    if problem is None and app.builder.format == "html":
        set_formulas(Path(app.outdir))


def set_formulas(site):
    """Set the formulas of all pages of a site, and write their style sheet."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.glob("**/*.html")}
    pages = {path: text for path, text in texts.items() if FORMULA.search(text)}
    matches = (match for text in pages.values() for match in FORMULA.finditer(text))
    found = sorted({tex(match) for match in matches})
    with mathjax() as call:
        html = dict(zip(found, call("formulas", found), strict=True))
        css = call("sheet")

    def formula(match):
        done = html[tex(match)]
        if "problem" in done:
            problem = f"{path}: MathJax: {done['problem']}: {tex(match)[0]}"
            raise ExtensionError(problem)
        return match["open"] + done["html"] + match["close"]

    Path(site, SHEET).write_text(css, encoding="utf-8")
    for path, text in pages.items():
        up = "../" * (len(path.relative_to(site).parts) - 1)
        link = f'<link rel="stylesheet" href="{up}{SHEET}?v={crc32(css.encode()):x}" />'
        done = FORMULA.sub(formula, text).replace("</head>", f"{link}\n</head>", 1)
        path.write_text(done, encoding="utf-8")


def tex(match):
    """The TeX of a formula, and whether it stands on a line of its own."""
    return unescape(match["tex"]), match["tag"] == "div"


@contextmanager
def mathjax():
    """A function that calls those of formulas.js by their names."""

    def code(part):
        return (HERE / "mathjax" / f"{part}.js").read_text(encoding="utf-8")

    with mini_racer() as engine:
        parts = {part: code(part) for part in PARTS}
        engine.eval(f"const parts = {json.dumps(parts)}")
        engine.eval((HERE / "formulas.js").read_text(encoding="utf-8"))
        engine.eval(code("startup"))
        yield engine.call
