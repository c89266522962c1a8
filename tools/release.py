"""What the address in _config.yml and the version in cnnlib decide, and a gate.

usage: python -m tools.release check

The set-up cell of a notebook fetches cnnlib at the tag of its version, and everything
that leads to Colab leads to the notebooks of that tag. `check` refuses a version whose
tag is missing at the address, or does not hold this version and all chapters. It needs
git and PyYAML, not torch.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
ASK = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}  # English, and no question for names


class ReleaseError(Exception):
    """What keeps a release from readers, and what to do, in one sentence."""


@cache
def parsed(text):
    """The value of a YAML text. To build the site the same ones are asked for by every
    page, and to parse them each time would take a fifth of it."""
    return yaml.safe_load(text)


def config(root=ROOT):
    """_config.yml as a dictionary."""
    return parsed((root / "_config.yml").read_text(encoding="utf-8"))


def address(root=ROOT):
    """Address of the repository, https://HOST/OWNER/NAME, from _config.yml."""
    return config(root)["repository"]["url"]


def version(root=ROOT):
    """Version of cnnlib, which is not imported here."""
    text = (root / "cnnlib" / "__init__.py").read_text(encoding="utf-8")
    return VERSION.search(text)[1]


def tag(root=ROOT):
    return f"v{version(root)}"


def site(root=ROOT):
    """Address of the book: GitHub Pages serves OWNER/NAME at OWNER.github.io/NAME/."""
    owner, name = _owner_and_name(root)
    return f"https://{owner.lower()}.github.io/{name}/"


def colab(stem, root=ROOT):
    """Address that opens the released notebook of a chapter in Colab."""
    path = f"{'/'.join(_owner_and_name(root))}/blob/{tag(root)}/chapters/{stem}.ipynb"
    return f"{config(root)['launch_buttons']['colab_url']}/github/{path}"


def _owner_and_name(root):
    return urlsplit(address(root)).path.strip("/").split("/")


def chapters(root=ROOT):
    """Names of the chapters in the order of _toc.yml, whether they exist or not."""
    return [stem for _, stems in parts(root) for stem in stems]


def parts(root=ROOT):
    """Pairs of the caption of a part and the names of its chapters, as in _toc.yml;
    parts without chapters are left out."""
    toc = parsed((root / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        files = [Path(entry["file"]) for entry in part["chapters"]]
        stems = [file.name for file in files if file.parent == Path("chapters")]
        if stems:
            yield part.get("caption", ""), stems


def check(root=ROOT, remote=None):
    """Raise ReleaseError unless the tag of this version is at `remote` (the address of
    the repository) and holds this version and the notebooks of all chapters."""
    remote, name = remote or address(root), tag(root)
    found = _git("ls-remote", "--exit-code", "--tags", remote, f"refs/tags/{name}")
    if found.returncode == 2:
        raise ReleaseError(
            f"{remote} has no tag {name}, which the set-up cells fetch: "
            f"git tag {name} && git push origin {name}."
        )
    if found.returncode:
        raise ReleaseError(
            f"{remote} does not answer ({_why(found)}): correct repository.url in "
            "_config.yml, or try again."
        )
    with tempfile.TemporaryDirectory() as folder:
        # the trees of the tag, without the contents of files until one is asked for
        filtered = ("--bare", "--depth=1", "--filter=blob:none", f"--branch={name}")
        cloned = _git("clone", "--quiet", *filtered, remote, folder)
        if cloned.returncode:
            raise ReleaseError(
                f"{name} cannot be fetched from {remote}: {_why(cloned)}."
            )
        init = _git("show", "HEAD:cnnlib/__init__.py", cwd=folder).stdout
        released = VERSION.search(init)
        if released is None or f"v{released[1]}" != name:
            raise ReleaseError(
                f"the tag {name} at {remote} does not hold version {version(root)} of "
                "cnnlib: raise __version__, make refresh, commit, and tag that commit."
            )
        listed = _git("ls-tree", "--name-only", "HEAD", "chapters/", cwd=folder).stdout
    stored = {Path(line).stem for line in listed.splitlines()}
    if missing := [stem for stem in chapters(root) if stem not in stored]:
        raise ReleaseError(
            f"the tag {name} at {remote} lacks the chapters {', '.join(missing)}, so "
            "Colab cannot open them: raise __version__, make refresh, commit and tag."
        )
    return f"{remote} has {name} with {len(chapters(root))} chapters"


def _git(*arguments, cwd=None):
    return subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=os.environ | ASK,
        capture_output=True,
        text=True,
    )


def _why(done):
    """The line in which git said why it stopped."""
    said = re.search("^fatal: (.+)", done.stderr, re.MULTILINE)
    return said[1] if said else f"git ended with {done.returncode}"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["check"])
    parser.add_argument("--remote", help="instead of the address in _config.yml")
    given = parser.parse_args(arguments)
    try:
        print(check(remote=given.remote))
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
