"""The book without Jupyter Book: the same settings, and the check of its links."""

import http.server
import json
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_book.config import get_final_config

from tools.form import ROOT

# What Jupyter Book sets for itself or to the default of Sphinx, myst-nb or the theme.
ITS_OWN = {
    *("comments_config", "html_baseurl", "latex_engine", "pygments_style"),
    *("use_jupyterbook_latex", "use_multitoc_numbering", "nb_output_stderr"),
    *("nb_execution_allow_errors", "nb_execution_cache_path", "nb_execution_timeout"),
    *("nb_execution_excludepatterns", "nb_execution_in_temp"),
}
THEME_DEFAULTS = {"analytics", "announcement", "use_edit_page_button"}
BY_ADDRESSES = {"repository_branch"}  # book/_ext/addresses.py


@pytest.fixture(scope="module")
def plain():
    """The settings of tools/plain_sphinx, with paths relative to the root again."""
    settings = runpy.run_path(str(ROOT / "tools/plain_sphinx/conf.py"))
    for name in ("html_logo", "html_favicon"):
        settings[name] = relative(settings[name])
    for name in ("bibtex_bibfiles", "html_static_path", "templates_path"):
        settings[name] = list(map(relative, settings[name]))
    return settings


def relative(path):
    return Path(path).relative_to(ROOT).as_posix()


def test_plain_sphinx_gets_the_settings_that_jupyter_book_makes(plain):
    path = ROOT / "_config.yml"
    told = {"latex_individualpages": False, "external_toc_path": "_toc.yml"}
    book, _ = get_final_config(user_yaml=path, cli_config=told)
    only = {"jupyter_book", "sphinx_comments", "sphinx_jupyterbook_latex"}
    assert set(plain["extensions"]) == set(book.pop("extensions")) - only | {"links"}
    assert set(plain["exclude_patterns"]) <= set(book.pop("exclude_patterns"))
    theirs, ours = book.pop("html_theme_options"), plain["html_theme_options"]
    buttons = theirs["launch_buttons"]
    theirs["launch_buttons"] = {key: buttons[key] for key in ours["launch_buttons"]}
    left_out = THEME_DEFAULTS | BY_ADDRESSES
    assert ours == {k: v for k, v in theirs.items() if k not in left_out}
    for name in book.keys() - ITS_OWN:
        assert plain[name] == book[name], name


@pytest.fixture
def host():
    """Address of a server on this machine that knows one page, /there."""

    class Host(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/there" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_links_in_raw_html_are_checked_too(host, tmp_path):
    raw = f'.. raw:: html\n\n   <p><a class="x" href="{host}/gone">page</a></p>\n'
    (tmp_path / "index.rst").write_text(f"Page\n====\n\n`a <{host}/there>`_\n\n{raw}")
    (tmp_path / "conf.py").write_text('extensions = ["links"]\n')
    env = {**os.environ, "PYTHONPATH": str(ROOT / "book/_ext")}
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "linkcheck", ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    lines = (tmp_path / "out/output.json").read_text().splitlines()
    found = {link["uri"]: link["status"] for link in map(json.loads, lines)}
    assert found == {f"{host}/there": "working", f"{host}/gone": "broken"}
    assert done.returncode == 1 and f"{host}/gone".encode() in done.stderr


@pytest.mark.parametrize(
    ("name", "handler"),
    [
        *[("sharing", "draw_all"), ("search", "write_index")],
        *[("loading", "drop_rules"), ("pictures", "compress_all")],
        ("formulas", "set_all"),
    ],
)
def test_what_is_done_to_pages_at_the_end_waits_for_pages(
    name, handler, extension, tmp_path
):
    links = SimpleNamespace(builder=SimpleNamespace(format=""), outdir=tmp_path)
    getattr(extension(name), handler)(links, None)
    assert not any(tmp_path.iterdir())


def test_a_doi_is_asked_for_at_its_registry(extension):
    registered = extension("links").registered
    handle = "https://doi.org/api/handles/10.1109/5.726791"
    assert registered(None, "https://doi.org/10.1109/5.726791") == handle
    assert registered(None, "https://arxiv.org/abs/1512.03385").endswith("03385")
