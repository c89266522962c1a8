"""A release that readers can reach: its tag at the address, and the set-up cell, which
fetches it and says in one sentence why it cannot."""

import os
import subprocess
import sys

import pytest

from tools import form, release

ANYONE = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder, *arguments):
    subprocess.run(["git", *ANYONE, *arguments], cwd=folder, check=True)


@pytest.fixture
def published(tmp_path):
    """A repository that holds cnnlib, tagged as the version of today."""
    folder = tmp_path / "published"
    files = {
        "cnnlib/__init__.py": f'__version__ = "{release.version()}"\n',
        **{f"chapters/{stem}.ipynb": "{}" for stem in release.chapters()},
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "release")
    git(folder, "tag", release.tag())
    return folder


@pytest.fixture
def set_up(tmp_path):
    """A function that runs the set-up cell in a folder without cnnlib, as a notebook
    does, then asks for the package; gives what was printed."""
    folder = tmp_path / "reader"
    folder.mkdir()
    where = "import cnnlib; print(cnnlib.__file__)"

    def run(repository, **env):
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env = kept | {"CNNLIB_REPO": repository, "IPYTHONDIR": str(tmp_path)} | env
        cell = form.setup_cell().source
        done = subprocess.run(
            [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", cell],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        found = f"{folder}/cnn-notes-{release.tag()}/cnnlib/__init__.py"
        if os.path.exists(found):
            cell = f"{cell}\n{where}"
            again = subprocess.run(
                [sys.executable, "-c", cell], cwd=folder, env=env, capture_output=True
            )
            assert again.stdout.decode().strip() == found
        return done.stdout.strip()

    run.folder = folder
    return run


def test_the_set_up_cell_fetches_the_release_once(published, set_up):
    assert set_up(published.as_uri()) == ""
    assert [path.name for path in set_up.folder.iterdir()] == [
        f"cnn-notes-{release.tag()}"
    ]
    assert set_up("file:///nowhere") == ""  # it is there, so nothing is asked


def test_the_set_up_cell_takes_an_installed_package(set_up, tmp_path):
    package = tmp_path / "site" / "cnnlib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    assert set_up("file:///nowhere", PYTHONPATH=str(package.parent)) == ""
    assert list(set_up.folder.iterdir()) == []


def test_a_missing_tag_is_one_sentence(published, set_up):
    git(published, "tag", "-d", release.tag())
    said = set_up(published.as_uri())
    assert said == (
        f"No cnnlib from {published.as_uri()} (Remote branch {release.tag()} not found "
        "in upstream origin): take a released notebook, then run this cell again."
    )
    assert list(set_up.folder.iterdir()) == []


def test_a_wrong_address_is_one_sentence(set_up, tmp_path):
    address = (tmp_path / "nowhere").as_uri()
    said = set_up(address)
    assert said.startswith(f"No cnnlib from {address} (")
    assert said.endswith("): check this address, then run this cell again.")
    assert len(said.splitlines()) == 1


def test_no_network_is_one_sentence(set_up):
    address = "http://127.0.0.1:9/owner/book"  # the port of discard, where none listens
    said = set_up(address)
    assert said.startswith(f"No cnnlib from {address} (unable to access")
    assert said.endswith("): connect to the network, then run this cell again.")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["cnn-notes-{}", "cnn-notes-{}.part"])
def test_a_clone_that_was_cut_off_is_fetched_again(published, set_up, name):
    cut_off = set_up.folder / name.format(release.tag())
    (cut_off / ".git").mkdir(parents=True)
    (cut_off / "half").write_text("of a fi")
    assert set_up(published.as_uri()) == ""
    assert not (cut_off / "half").exists()


def test_the_gate_lets_a_tagged_release_pass(published):
    said = release.check(remote=published.as_uri())
    assert said.endswith(f"has {release.tag()} with {len(release.chapters())} chapters")


def test_the_gate_refuses_a_version_without_tag(published, capsys):
    git(published, "tag", "-d", release.tag())
    assert release.main(["check", "--remote", published.as_uri()]) == 1
    said = capsys.readouterr().err
    assert said == (
        f"error: {published.as_uri()} has no tag {release.tag()}, which the set-up "
        f"cells fetch: git tag {release.tag()} && git push origin {release.tag()}.\n"
    )


def test_the_gate_refuses_an_address_that_does_not_answer(tmp_path):
    address = (tmp_path / "nowhere").as_uri()
    with pytest.raises(release.ReleaseError, match=r"correct repository\.url") as found:
        release.check(remote=address)
    assert address in str(found.value)


def test_the_gate_refuses_a_tag_of_another_version(published):
    (published / "cnnlib/__init__.py").write_text('__version__ = "0.0.1"\n')
    git(published, "commit", "-q", "-a", "-m", "older")
    git(published, "tag", "-f", release.tag())
    with pytest.raises(release.ReleaseError, match="does not hold version"):
        release.check(remote=published.as_uri())


def test_the_gate_refuses_a_tag_that_lacks_a_chapter(published):
    git(published, "rm", "-q", "chapters/lenet.ipynb")
    git(published, "commit", "-q", "-m", "before LeNet")
    git(published, "tag", "-f", release.tag())
    with pytest.raises(
        release.ReleaseError, match="lacks the chapters lenet, so Colab"
    ):
        release.check(remote=published.as_uri())


def test_the_gate_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import tools.release"
    subprocess.run([sys.executable, "-c", code], cwd=form.ROOT, check=True)
