"""What is read from a file of weights or the folder of a run.

What a run writes is tested in tests/test_train_command.py.
"""

import pytest
import torch

from cnnlib.train import checkpoints

WEIGHTS = {"weight": torch.arange(3.0)}


@pytest.fixture
def kept(tmp_path):
    """A function that writes something with torch.save, and its path."""

    def write(what, name="file.pt"):
        torch.save(what, tmp_path / name)
        return tmp_path / name

    return write


def test_a_file_gives_its_tensors_by_name(kept):
    assert torch.equal(checkpoints.read(kept(WEIGHTS))["weight"], WEIGHTS["weight"])


def test_a_tensor_alone_has_no_name(kept):
    found = checkpoints.read(kept(WEIGHTS["weight"]))
    assert found.keys() == {""} and torch.equal(found[""], WEIGHTS["weight"])


def test_a_folder_gives_the_newest_checkpoint_that_is_whole(kept, tmp_path):
    kept({"epoch": 1}, "epoch-0001.pt")
    kept({"epoch": 2}, "epoch-0002.pt")
    (tmp_path / "epoch-0003.pt").write_bytes(b"cut off")
    assert checkpoints.read(tmp_path) == {"epoch": 2}


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(OSError, match=f"^{tmp_path} has no whole checkpoint: name the"):
        checkpoints.read(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none\.pt cannot be read \(No such file or dir"):
        checkpoints.read(tmp_path / "none.pt")


def test_what_would_run_code_or_is_no_file_of_weights_is_refused(kept, tmp_path):
    code = kept({"weight": pytest.fail})
    with pytest.raises(ValueError, match=r"file\.pt is no file of weights \(W"):
        checkpoints.read(code)
    (tmp_path / "empty.pt").touch()
    empty = (
        "is no file of weights \\((it is empty|Ran out of input)\\): it needs tensors"
    )
    with pytest.raises(ValueError, match=empty):
        checkpoints.read(tmp_path / "empty.pt")


@pytest.mark.parametrize(
    "said", ["first. Then. More\nand more", "first\nthen. More\nand"]
)
def test_of_a_long_reason_the_first_sentence_is_told(said, kept, monkeypatch):
    def fail(*path, **options):
        raise RuntimeError(said)

    path = kept(WEIGHTS)
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(ValueError, match=r"no file of weights \(first\): it needs"):
        checkpoints.read(path)
