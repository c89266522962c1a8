"""Build the site in _build/html from the outputs stored in chapters/; train nothing.

usage: python -m tools.site

The configuration is Jupyter Book's. Its command would use one process; this takes one
for each core.
"""

import os
import sys
from contextlib import redirect_stdout

from jupyter_book.config import get_final_config
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from tools import pages
from tools.form import ROOT

BUILD = ROOT / "_build"


def main():
    pages.main()
    toc = {"external_toc_path": "_toc.yml", "latex_individualpages": False}
    config, _ = get_final_config(
        user_yaml=ROOT / "_config.yml", cli_config=toc, sourcedir=ROOT
    )
    os.chdir(ROOT)
    with patch_docutils(), docutils_namespace(), redirect_stdout(None):
        app = Sphinx(
            ROOT,
            confdir=None,
            outdir=BUILD / "html",
            doctreedir=BUILD / ".doctrees",
            buildername="html",
            confoverrides=config,
            status=None,
            freshenv=True,
            warningiserror=True,
            keep_going=True,
            parallel=os.cpu_count(),
        )
        # It does not say so, but works after the pages are read, in one process.
        app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
        app.build(force_all=True)
    return app.statuscode


if __name__ == "__main__":
    sys.exit(main())
