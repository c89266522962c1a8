"""python -m cnnlib.predict: a line for each picture, in the words of the training."""

import sys

import pytest
import torch
from PIL import Image

from cnnlib import data, models, predict, train
from cnnlib.train import __main__ as command
from cnnlib.train import checkpoints


@pytest.fixture
def trained(monkeypatch):
    """Run cnnlib.train here, in float32; the network."""
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, options)])
        return command.main()

    return run


@pytest.fixture
def said(monkeypatch, capsys):
    """What the command says, and with what it ends."""

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            predict.main()
        return end.value.code, *map(str.splitlines, capsys.readouterr())

    return run


def test_a_line_for_each_picture_of_a_folder_with_its_classes(
    trained, said, pictures, tmp_path
):
    options = ["--workers", "0", "--batch-size", "8", "--epochs", "4"]
    kept = tmp_path / "run"
    trained("alexnet_small", "--data", pictures, *options, "--checkpoints", kept)
    files = [pictures / "val" / name / "0.png" for name in ("blue", "red")]
    for checkpoint in (kept, kept / "epoch-0004.pt"):
        code, (blue, red), err = said(checkpoint, *files)
        assert not code and not err
        assert blue.startswith(f"{files[0]}: blue ") and ", red 0." in blue
        assert red.startswith(f"{files[1]}: red ") and ", blue 0." in red


def test_garments_in_files_are_what_the_training_saw(trained, tmp_path):
    options = ["--images", "256", "--tests", "64", "--epochs", "1", "--lr", "0.01"]
    net = trained("resnet_small", *options, "--checkpoints", tmp_path / "run").eval()
    _, test = data.fashion_mnist(1, 5)
    model = predict.load(tmp_path / "run")
    (x, _), *_ = data.Batches(test, 5)
    with torch.no_grad():
        expected = net.cpu()(x).softmax(1)
    for i, image in enumerate(test.images):
        path = tmp_path / f"{i}.png"
        Image.fromarray(image[0].numpy()).save(path)
        found = predict.probabilities(model, path)
        torch.testing.assert_close(found, expected[i], rtol=1e-4, atol=1e-5)
    words = predict.line(model, path).removeprefix(f"{path}: ").split(", ")
    best = expected[i].topk(5).indices.tolist()
    assert [word.rpartition(" ")[0] for word in words] == [
        data.CLASSES[j] for j in best
    ]


@pytest.fixture
def kept(tmp_path):
    """An untrained network of two classes as a checkpoint."""
    net = models.build("nin_small", in_channels=3, num_classes=2)
    model = {"network": "nin_small", "classes": ["cat", "dog"], "in_channels": 3}
    model |= {"mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": 2}
    model |= {"size": 28, "whole": False}
    state = {"net": net.state_dict(), "model": model}
    return checkpoints.save(tmp_path / "run", 1, state)


def test_a_broken_picture_is_named_and_the_others_answered(kept, said, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (99, 50), "red").save(tmp_path / "red.png")
    files = tmp_path / "broken.jpg", tmp_path / "red.png"
    code, (answer,), (line,) = said(kept, *files)
    assert code == 1
    assert answer.startswith(f"{tmp_path}/red.png: ")
    assert line.startswith(f"cnnlib.predict: {tmp_path}/broken.jpg cannot be read")


def test_what_is_no_checkpoint_is_refused_in_one_line(said, tmp_path):
    torch.save({"w": torch.zeros(1)}, tmp_path / "weights.pth")
    (tmp_path / "cat.png").touch()
    for name, message in [
        ("weights.pth", "does not say which network and classes it is for"),
        ("cat.png", "is no file of weights"),
        ("missing.pt", "cannot be read (No such file or directory)"),
    ]:
        line, out, _ = said(tmp_path / name, tmp_path / "cat.png")
        assert line.startswith("cnnlib.predict: ") and message in line
        assert "\n" not in line and not out


def test_pictures_are_shown_as_in_evaluation(kept, tmp_path):
    """The middle, 7/8 of the shorter side: what is outside does not matter."""
    picture = Image.new("RGB", (96, 64), "red")
    picture.paste("blue", (20, 4, 76, 60))
    picture.save(tmp_path / "framed.png")
    Image.new("RGB", (96, 64), "blue").save(tmp_path / "blue.png")
    model = predict.load(kept)
    window = model.window(Image.open(tmp_path / "framed.png"))
    assert window.shape == (3, 28, 28)
    assert torch.equal(
        window[:, 1:-1, 1:-1],
        model.window(Image.open(tmp_path / "blue.png"))[:, 1:-1, 1:-1],
    )
