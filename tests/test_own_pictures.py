"""A stranger's folder of phone pictures goes through the lines of the chapter on one's
own pictures, which are to be copied."""

import ast
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlib import models, predict
from cnnlib.claims import CODE_CELL
from cnnlib.train import checkpoints
from tools import form

LIGHT = {"day": 210, "dusk": 120, "night": 30}
COPIED = {"sort_out", "prepared", "store", "alike", "taken", "grouped", "dealt"}
COPIED |= {"last_layer", "right", "keep", "classifier"}


@pytest.fixture(scope="module")
def chapter():
    """The names of a reader who copies the imports, constants and functions."""
    text = (form.ROOT / "book/chapters/own-pictures.md").read_text(encoding="utf-8")
    names = {}
    for cell in CODE_CELL.findall(text):
        code = "\n".join(
            line for line in cell.splitlines()[1:-1] if not line.startswith(":")
        )
        for node in ast.parse(code).body:
            wanted = isinstance(node, ast.Import | ast.ImportFrom)
            wanted |= isinstance(node, ast.FunctionDef) and node.name in COPIED
            wanted |= ast.unparse(node).startswith(("NEAR =", "device ="))
            if wanted:
                exec(ast.unparse(node), names)
    assert names.keys() >= COPIED
    return names


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A kept run on grey pictures: untrained, as its weights do not matter here."""
    torch.manual_seed(0)
    net = models.build("resnet_small", in_channels=1, num_classes=7)
    model = {"network": "resnet_small", "classes": list("abcdefg"), "in_channels": 1}
    model |= {"mean": [0.3], "std": [0.35], "num_classes": 7, "size": 28}
    state = {"net": net.state_dict(), "model": model | {"whole": True}}
    return checkpoints.save(tmp_path_factory.mktemp("source"), 1, state)


@pytest.fixture
def phone(tmp_path):
    """Sixty landscapes in three lights: rotated, of 16 bits, broken, hidden, and more
    that phones and their owners leave in a folder."""
    root, random, when = tmp_path / "phone", np.random.default_rng(0), datetime.now()
    for kind, light in LIGHT.items():
        (root / kind).mkdir(parents=True)
        for i in range(20):
            when += timedelta(minutes=5)
            pixels = light + random.normal(0, 9, (60, 80, 3)) + random.normal(0, 9)
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            exif = Image.Exif()
            exif[0x0132] = when.strftime("%Y:%m:%d %H:%M:%S")
            exif[0x0112] = [1, 3, 6, 8][i % 4]
            picture.save(root / kind / f"{i}.jpg", exif=exif)
    deep = np.full((60, 80), LIGHT["dusk"] * 257, np.uint16)
    Image.fromarray(deep + np.arange(80, dtype=np.uint16)).save(root / "dusk/scan.png")
    Image.new("RGBA", (80, 60), (30, 30, 30, 255)).save(root / "night/drawn.png")
    whole = (root / "day" / "0.jpg").read_bytes()
    (root / "day" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "night" / "empty.jpg").touch()
    (root / "day" / "again.jpg").write_bytes(whole)
    (root / "dusk" / "IMG_1.HEIC").write_bytes(b"\0")
    for hidden in (".thumbnails", "__MACOSX", "day/.trash"):
        (root / hidden).mkdir()
        (root / hidden / "0.jpg").write_bytes(whole)
    (root / ".DS_Store").touch()
    return root


def test_a_strangers_folder_goes_through_the_lines(
    chapter, source, phone, tmp_path, capsys
):
    where = tmp_path / "kept"
    (phone / "night" / "renamed.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    given = (str(phone), "resnet_small", str(source), str(where))  # as one types them
    accuracy = chapter["classifier"](*given)
    assert accuracy > 0.9
    found, broken, loaded = capsys.readouterr().out.splitlines()
    assert found == "63 pictures, other files: {'.heic': 1}"
    assert broken == "broken: cut.jpg empty.jpg renamed.jpg"
    assert loaded.endswith("there for 7 classes, begins anew for 3")
    model = predict.load(where)
    assert model.classes == sorted(LIGHT)
    for kind in LIGHT:
        line = predict.line(model, phone / kind / "3.jpg")
        assert line.startswith(f"{phone}/{kind}/3.jpg: {kind} ")


def test_copies_bursts_and_silent_files_are_grouped(chapter, phone):
    paths = [phone / "day" / name for name in ("0.jpg", "again.jpg", "1.jpg", "2.jpg")]
    paths.append(phone / "dusk" / "scan.png")  # has no time
    when = datetime(2026, 1, 1)
    for path in paths[2:4]:
        exif = Image.Exif()
        exif[0x0132] = when.strftime("%Y:%m:%d %H:%M:%S")
        Image.open(path).save(path, exif=exif)
        when += timedelta(seconds=9)
    small = torch.rand(5, 196)
    small[1] = 2 * small[0] + 3  # another light
    groups = chapter["grouped"](paths, small).tolist()
    assert groups == [0, 0, 1, 1, 2]


def test_a_split_parts_no_group_and_has_the_shares(chapter):
    groups = torch.arange(400) // 2
    part = chapter["dealt"](groups)
    assert torch.equal(part[::2], part[1::2])
    assert part.bincount().tolist() == [200, 100, 100]
    assert not torch.equal(part, chapter["dealt"](groups, seed=1))


def test_the_stored_features_are_what_the_last_layer_gets(chapter, source, phone):
    classes = sorted(LIGHT)
    net, given = chapter["prepared"](source, "resnet_small", classes)
    paths = [phone / kind / "4.jpg" for kind in classes]
    z, small = chapter["store"](net, given, paths, 28)
    assert (z.shape, small.shape) == ((3, 128), (3, 196))
    seen = []
    with (
        torch.no_grad(),
        net.head[2].register_forward_pre_hook(
            lambda module, args: seen.append(args[0])
        ),
    ):
        window = chapter["folder"].window(28, False, 1)
        x = torch.stack([window(chapter["open_picture"](path)) for path in paths])
        net(
            chapter["folder"].normalised(x, given.mean, given.std).to(chapter["device"])
        )
    torch.testing.assert_close(z, seen[0].cpu())
