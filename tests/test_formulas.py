"""Formulas are set in the built pages, by MathJax without a browser."""

import re

import pytest
from sphinx.errors import ExtensionError

from tools.form import ROOT

PAGE = r"""<head></head><p>Below
<span class="math notranslate nohighlight">\(x_1 &lt; 2\)</span>,
<code>\(x\)</code> and <div class="math notranslate nohighlight">
\[\frac{1}{n}\]</div></p>"""


@pytest.fixture
def site(tmp_path):
    """A site of one page and its folder of static files."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    return tmp_path


def test_formulas_are_set_in_place(extension, site):
    extension("formulas").set_formulas(site)
    text = (site / "page.html").read_text(encoding="utf-8")
    meant = re.findall("<math[^>]*>(.*?)</math>", text)
    assert meant == [
        "<msub><mi>x</mi><mn>1</mn></msub><mo>&lt;</mo><mn>2</mn>",
        "<mfrac><mn>1</mn><mi>n</mi></mfrac>",
    ]
    assert 'display="true"' in re.findall("<mjx-container[^>]*>", text)[1]
    assert text.count("TEX") >= 2, "no glyphs"
    sheet = re.match(
        '<head><link rel="stylesheet" href="([^?]*)[^>]*>\n</head><p>Below\n<span', text
    )[1]
    assert (site / sheet).read_text(encoding="utf-8")
    assert text.endswith("</div></p>")
    assert r"<code>\(x\)</code>" in text


def test_the_style_sheet_has_the_fonts_of_the_site(extension, site):
    extension("formulas").set_formulas(site)
    css = (site / "_static" / "formulas.css").read_text(encoding="utf-8")
    fonts = set(re.findall(r'url\("mathjax/([^"]+)"\)', css))
    here = {path.name for path in (ROOT / "book/_static/mathjax").glob("*.woff")}
    assert fonts == here
    assert "mjx-mfrac" in css and "mjx-msqrt" not in css, "not of these formulas"


@pytest.mark.parametrize("tex", [r"\undefined", r"\frac{1}", r"\left("])
def test_a_formula_that_cannot_be_read_fails_the_build(extension, site, tex):
    page = site / "page.html"
    page.write_text(PAGE.replace(r"\frac{1}{n}", tex), encoding="utf-8")
    with pytest.raises(ExtensionError, match=r"page\.html: MathJax: ") as error:
        extension("formulas").set_formulas(site)
    assert str(error.value).endswith(f": {tex}")
