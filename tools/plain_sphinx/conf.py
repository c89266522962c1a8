"""The way out of Jupyter Book: the same book, built by Sphinx itself at its newest.

Jupyter Book 1 holds Sphinx at 7. All that it adds is to read `_config.yml`; this file
reads it instead, so `_config.yml` stays the only place of the settings. Paths below are
absolute because Sphinx takes them relative to this folder. `make links` uses it, too.
"""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Settings for what only Jupyter Book brings.
DROPPED = {"jupyter_book", "sphinx_comments"}
REDIRECT = '<meta http-equiv="Refresh" content="0; url=book/index.html" />\n'

book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
settings = book["sphinx"]["config"]
sys.path += [str(ROOT / path) for path in book["sphinx"]["local_extensions"].values()]

globals().update(settings)
extensions = [name for name in settings["extensions"] if name not in DROPPED]
extensions.append("links")

author = book["author"]
copyright = book["copyright"]
exclude_patterns = book["exclude_patterns"]
external_toc_path = "_toc.yml"
external_toc_exclude_missing = book["only_build_toc_files"]
bibtex_bibfiles = [str(ROOT / path) for path in book["bibtex_bibfiles"]]
nb_execution_mode = book["execute"]["execute_notebooks"]
suppress_warnings = ["myst.domains"]
for option, value in book["parse"].items():
    globals()[option] = value

html_title = book["title"]
html_theme = "sphinx_book_theme"
html_logo = str(ROOT / book["logo"])
html_favicon = str(ROOT / book["html"]["favicon"])
html_sourcelink_suffix = ""
html_static_path = [str(ROOT / path) for path in settings["html_static_path"]]
templates_path = [str(ROOT / path) for path in settings["templates_path"]]
html_theme_options = {
    "launch_buttons": book["launch_buttons"],
    "path_to_docs": book["repository"]["path_to_book"],
    "repository_url": book["repository"]["url"],
    "extra_footer": book["html"]["extra_footer"],
    "home_page_in_toc": book["html"]["home_page_in_navbar"],
    "use_repository_button": book["html"]["use_repository_button"],
    "use_issues_button": book["html"]["use_issues_button"],
    "search_bar_text": "Search this book...",
    **settings["html_theme_options"],
}

# Some anchors are made by scripts; slow hosts are asked again.
linkcheck_anchors = False
linkcheck_timeout = 30
linkcheck_retries = 3


def setup(app):
    app.connect("build-finished", write_start)


def write_start(app, problem):
    """The start page of the site leads to the first page of the book."""
    if problem is None and app.builder.format == "html":
        Path(app.outdir, "index.html").write_text(REDIRECT, encoding="utf-8")
