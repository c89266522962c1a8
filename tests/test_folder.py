"""Folders of pictures: what is read, what is refused, where windows come from."""

import colorsys
import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from cnnlib.data import DataError
from cnnlib.folder import FolderBatches, find, image_folder, window
from cnnlib.pictures import open_picture

PROCESSES = [  # what PyTorch and Python may say about processes, not what is tested
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]
COLOUR = (200, 100, 50)
ON_WHITE = (227, 177, 152)  # half transparent: 200 * 128 / 255 + 255 * 127 / 255
HUE, SATURATION, VALUE = colorsys.rgb_to_hsv(*COLOUR)
GREY_16 = (128 * 257, (128, 128, 128))
# Mode: (a pixel, what it is in RGB); None for a mode that is refused
MODES = {
    "1": (255, (255, 255, 255)),
    "L": (100, (100, 100, 100)),
    "LA": ((100, 128), (177, 177, 177)),
    "La": ((50, 128), (177, 177, 177)),  # grey times transparency
    "P": (1, COLOUR),
    "PA": ((1, 128), ON_WHITE),
    "RGB": (COLOUR, COLOUR),
    "RGBA": ((*COLOUR, 128), ON_WHITE),
    "RGBa": ((100, 50, 25, 128), ON_WHITE),  # colours times transparency
    "RGBX": ((*COLOUR, 7), COLOUR),
    "CMYK": ((55, 155, 205, 0), COLOUR),  # 255 minus each
    "YCbCr": ((124, 86, 182), COLOUR),  # JFIF, by hand
    "HSV": ((round(HUE * 255), round(SATURATION * 255), VALUE), COLOUR),
    # L* = 50.2: (66.2 / 116)^3 = 0.186 of the light, 1.055 * 0.186^(1 / 2.4) - 0.055
    "LAB": ((128, 128, 128), (120, 120, 120)),
    "I;16": GREY_16,
    "I;16L": GREY_16,
    "I;16B": GREY_16,
    "I;16N": GREY_16,
    "I": (70_000, None),
    "F": (0.5, None),
}


def picture_of(mode, pixel, size=(6, 4)):
    picture = Image.new(mode, size)
    if mode in ("P", "PA"):
        picture.putpalette([0, 0, 0, *COLOUR])
    for x in range(size[0]):
        for y in range(size[1]):
            picture.putpixel((x, y), pixel)
    return picture


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_right_or_refused_by_name(mode, monkeypatch, tmp_path):
    pixel, expected = MODES[mode]
    path = tmp_path / "cat.tif"
    path.touch()
    monkeypatch.setattr(Image, "open", lambda file: picture_of(mode, pixel))
    if expected is None:
        with pytest.raises(DataError, match=rf"cat\.tif .*mode {mode} does not say"):
            open_picture(path)
    else:
        read = open_picture(path)
        assert read.mode == "RGB"
        np.testing.assert_allclose(np.asarray(read)[2, 3], expected, atol=2)


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *[(mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
        *[(mode, "tif") for mode in ("LAB", "YCbCr", "CMYK", "PA", "I;16", "I;16B")],
        *[("CMYK", "jpg"), ("I;16", "pgm"), ("I", "tif"), ("F", "tif")],
    ],
)
def test_a_file_of_a_mode_is_right_or_refused(mode, ending, tmp_path):
    pixel, expected = MODES[mode]
    path = tmp_path / f"cat.{ending}"
    # Pillow 11 cannot read what it writes of this mode without compression
    options = {"compression": "jpeg"} if mode == "YCbCr" else {}
    picture_of(mode, pixel, (32, 32)).save(path, quality=95, **options)
    if expected is None:
        with pytest.raises(DataError, match=rf"cat\.tif .*mode {mode} does not say"):
            open_picture(path)
    else:
        np.testing.assert_allclose(
            np.asarray(open_picture(path))[9, 9], expected, atol=3
        )


def png(colour_type, rows, more=b""):
    """A PNG of 16 bits by hand: https://www.w3.org/TR/png-3/"""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = rows.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def transparent(value):
    content = b"tRNS" + struct.pack(">H", value)
    return struct.pack(">I", 2) + content + struct.pack(">I", zlib.crc32(content))


def tiff(bits, white_is_zero, content):
    """A little-endian TIFF of one row of two grey pixels, by hand."""
    tags = [
        *[(256, 2), (257, 1), (258, bits), (259, 1), (262, 0 if white_is_zero else 1)],
        *[(273, 8 + 2 + 8 * 12 + 4), (278, 1), (279, len(content))],
    ]
    entries = b"".join(
        struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 8) + entries + bytes(4) + content


RAMP = np.arange(0, 65536, 257 * 15).reshape(2, 9)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(0, RAMP), RAMP // 257),
        (
            png(0, RAMP, transparent(RAMP[1, 2])),
            np.where(RAMP[1, 2] == RAMP, 255, RAMP // 257),
        ),
        (png(2, np.stack([RAMP] * 3, -1)), RAMP // 257),
        (b"P5 9 2 65535 " + RAMP.astype(">u2").tobytes(), RAMP // 257),
        (b"P5 2 1 1000 " + struct.pack(">HH", 1000, 500), [[255, 128]]),
        (tiff(16, False, struct.pack("<HH", 65535, 257)), [[255, 1]]),
        (tiff(16, True, struct.pack("<HH", 65535, 257)), [[0, 254]]),
        (tiff(12, False, bytes([0xFF, 0xF8, 0x00])), [[255, 128]]),
    ],
    ids=["png", "clear", "colour", "pgm", "1000", "tiff", "white-is-zero", "12 bits"],
)
def test_sixteen_bits_are_scaled_from_their_full_range(content, expected, tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    read = np.asarray(open_picture(path))
    for channel in range(3):
        np.testing.assert_array_equal(read[..., channel], expected)


def test_transparent_places_of_a_palette_are_white(tmp_path):
    picture = picture_of("P", 1)
    picture.putpixel((0, 0), 0)
    picture.save(tmp_path / "logo.png", transparency=bytes([0, 255]))
    read = open_picture(tmp_path / "logo.png")
    assert read.getpixel((0, 0)) == (255, 255, 255)
    assert read.getpixel((1, 0)) == COLOUR


# Value of EXIF's Orientation: how the picture lies in the file (Exif 2.32, 4.6.4)
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),  # to be turned clockwise
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_is_upright_as_the_camera_noted(orientation, ending, bits, tmp_path):
    upright = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    scale = 257 if bits == 16 else 1
    stored = STORED[orientation](upright).astype(f"uint{bits}") * scale
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"phone.{ending}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(open_picture(path))[..., 0], upright)


def saved(kind, size=(40, 50)):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(
        256, size=(*size[::-1], 3), dtype=np.uint8
    )
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def sized(width, height):
    """A PNG whose header promises so many pixels."""
    return png(0, np.zeros((1, 1))).replace(
        struct.pack(">II", 1, 1), struct.pack(">II", width, height)
    )


def with_header_check(content):
    """The PNG with the right checksum of its header."""
    return content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]


PNG, JPEG, TIFF = saved("PNG"), saved("JPEG"), saved("TIFF")
DAMAGES = {
    "empty": b"",
    "text": b"<html>not found</html>",
    "png-cut-in-its-header": PNG[:20],
    "png-cut": PNG[: len(PNG) // 2],
    "png-with-a-broken-chunk": PNG.replace(b"IDAT", b"\0DAT"),
    "png-with-a-wrong-checksum": PNG.replace(b"IHDR\0", b"IHDR\1"),
    "jpeg-cut-in-its-header": JPEG[:15],
    "jpeg-cut": JPEG[: len(JPEG) // 2],
    "tiff-cut": TIFF[:-60],
    "tiff-without-its-table": TIFF[:4] + b"\xff\xff\xff\x00" + TIFF[8:],
    "bomb-warned-of": with_header_check(sized(10_000, 10_000)),
    "bomb": with_header_check(sized(60_000, 60_000)),
}


@pytest.mark.parametrize(
    ("damage", "workers"),
    [
        *[(damage, 0) for damage in DAMAGES],
        pytest.param("png-with-a-broken-chunk", 1, marks=PROCESSES),
    ],
)
def test_a_damaged_picture_is_named_in_one_line(damage, workers, pictures):
    (pictures / "train" / "red" / "3.png").write_bytes(DAMAGES[damage])
    batches, _ = image_folder(pictures, 28, batch_size=24, workers=workers)
    remedy = r"red/3\.png cannot be read as a picture \(.+\); delete or replace it\.$"
    with pytest.raises(DataError, match=remedy) as refused:
        list(batches)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("bomb", ["bomb", "bomb-warned-of"])
def test_a_picture_above_pillows_limit_is_not_even_begun(bomb, tmp_path):
    (tmp_path / "huge.png").write_bytes(DAMAGES[bomb])
    with pytest.raises(
        DataError, match="more pixels than Pillow's limit of 89,478,485"
    ):
        open_picture(tmp_path / "huge.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"<html>not found</html>", "it has no format that Pillow knows"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "it is HEIC or a film, whatever its name"),
    ],
)
def test_it_is_said_why_a_picture_cannot_be_read(content, reason, tmp_path):
    (tmp_path / "IMG_1.jpg").write_bytes(content)
    with pytest.raises(DataError, match=rf"IMG_1\.jpg .*\({reason}.*delete or replace"):
        open_picture(tmp_path / "IMG_1.jpg")


def test_what_is_not_there_needs_no_deleting(tmp_path):
    for path, reason in (
        (tmp_path / "none.jpg", r"No such file or directory\)\.$"),
        (tmp_path, r"Is a directory\)\.$"),
    ):
        with pytest.raises(DataError, match=reason):
            open_picture(path)
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(DataError, match="delete or replace it"):
        open_picture(tmp_path / "link.jpg")


def test_with_one_damaged_picture_the_others_are_named(pictures):
    red, blue = pictures / "train" / "red", pictures / "train" / "blue"
    (red / "3.png").write_bytes(PNG[: len(PNG) // 2])
    (blue / "1.png").write_bytes(b"")
    (blue / "2.png").write_bytes(DAMAGES["bomb"])
    batches, _ = image_folder(pictures, 28, batch_size=24)
    with pytest.raises(DataError) as refused:
        list(batches)
    said = str(refused.value)
    named = {path for path in (red / "3.png", blue / "1.png", blue / "2.png")}
    assert "\n" not in said and str(blue / "1.png") in said
    first = said.partition(" cannot")[0]
    rest = {str(path) for path in named if path.parent == blue} - {first}
    assert said.endswith(f" {len(rest)} more: {', '.join(sorted(rest))}.")


def test_of_many_damaged_pictures_five_are_named_besides_the_first(pictures):
    for path in (pictures / "train").glob("*/*.png"):
        path.write_bytes(b"")
    batches, _ = image_folder(pictures, 28, batch_size=24)
    with pytest.raises(DataError, match=r" 23 more: (\S+, ){5}\.\.\.\.$"):
        list(batches)


def test_a_folder_may_be_named_by_text(pictures):
    assert find(str(pictures / "train")) == find(pictures / "train")


def test_the_other_pictures_and_their_labels_are_torchvisions(pictures):
    deeper = pictures / "train" / "red" / "more"
    deeper.mkdir()
    Image.new("RGB", (9, 9)).save(deeper / "A.PNG")
    batches = FolderBatches(pictures / "train", 28, 4, training=True)
    theirs = ImageFolder(pictures / "train")
    assert batches.classes == theirs.classes == ["blue", "red"]
    assert batches.loader.dataset.files == theirs.samples
    assert batches.counts == {"blue": 12, "red": 13}


def test_a_test_picture_is_the_middle_of_it_normalised(pictures):
    grey = np.full((64, 96, 3), 51, np.uint8)  # 0.2
    grey[:, 16:80] = 255
    Image.fromarray(grey).save(pictures / "val" / "blue" / "0.png")
    _, test = image_folder(pictures, 28, batch_size=1)
    x, y = next(iter(test))
    assert (x.shape, x.dtype, y.tolist()) == ((1, 3, 28, 28), torch.float32, [0])
    white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(x[0, :, 14, 2:26], white[:, None].expand(3, 24))


def test_the_middle_is_seven_eighths_of_the_shorter_side(pictures):
    grey = np.full((64, 96, 3), 51, np.uint8)
    grey[4:60, 20:76] = 255
    Image.fromarray(grey).save(pictures / "val" / "blue" / "0.png")
    _, test = image_folder(pictures, 28, batch_size=1)
    x, _ = next(iter(test))
    assert (x[0, :, 1:-1, 1:-1] > 2).all()


def test_training_windows_are_flipped_in_half_of_the_cases():
    torch.manual_seed(0)
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1)))
    windows = [window(8, training=True)(ramp) for _ in range(200)]
    flipped = sum(bool(x[0, 0, 0] > x[0, 0, -1]) for x in windows)
    assert 70 < flipped < 130
    middle = window(8, training=False)(ramp)
    assert middle[0, 0, 0] < middle[0, 0, -1]


def test_what_is_hidden_is_no_class_and_no_picture(pictures):
    for part in ("train", "val"):
        for name in (".ipynb_checkpoints", "__MACOSX", "red/.ipynb_checkpoints"):
            (pictures / part / name).mkdir()
            Image.new("RGB", (9, 9)).save(pictures / part / name / "0-checkpoint.png")
        (pictures / part / "blue" / "._0.png").write_bytes(b"\0\5\x16\7")
    train, test = image_folder(pictures, 28, batch_size=4)
    assert train.counts == {"blue": 12, "red": 12}
    assert test.counts == {"blue": 4, "red": 4}
    assert not train.others


def test_files_that_are_left_out_are_counted(pictures):
    for name in (
        "loose.jpg",
        "red/notes.txt",
        "red/1.HEIC",
        "blue/2.heic",
        "blue/LICENSE",
    ):
        (pictures / "train" / name).touch()
    train, _ = image_folder(pictures, 28, batch_size=4)
    expected = {".jpg": 1, ".txt": 1, ".heic": 2, "no ending": 1}
    assert train.others == expected


def one_level_too_high(root):
    (root / "inner").mkdir()
    for part in ("train", "val"):
        (root / part).rename(root / "inner" / part)


def classes_one_level_too_low(root):
    for part in ("train", "val"):
        (root / part).rename(root / "kept")
        for above in ("indoor", "outdoor"):
            (root / part / above).mkdir(parents=True)
            for path in sorted((root / "kept").iterdir()):
                os.symlink(
                    root / f"{part}-{path.name}", root / part / above / path.name
                )
        for path in sorted((root / "kept").iterdir()):
            path.rename(root / f"{part}-{path.name}")
        (root / "kept").rmdir()


def one_class(root):
    for part in ("train", "val"):
        for path in (root / part / "blue").iterdir():
            path.unlink()
        (root / part / "blue").rmdir()


def only_hidden(root):
    for part in ("train", "val"):
        for name in ("blue", "red"):
            (root / part / name).rename(root / part / f".{name}")


def phone_pictures(root):
    for path in (root / "val" / "red").iterdir():
        path.rename(path.with_suffix(".heic"))


def not_dealt(root):
    for name in ("blue", "red"):
        (root / "train" / name).rename(root / name)
    (root / "train").rmdir()
    (root / "val").rename(root / ".val")


def other_classes(root):
    (root / "val" / "blue").rename(root / "val" / "green")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_level_too_high, r"pictures has no folder train; .*inner has one: name"),
        (classes_one_level_too_low, r"train/indoor has no .* \(blue, red\): if these"),
        (one_class, r"train needs a folder for each of two .* has only red\."),
        (only_hidden, r"train needs a folder for each of two .* has none\."),
        (phone_pictures, r"val/red has no pictures .*, but files with \.heic"),
        (other_classes, r"differ in their classes \(blue, green\)"),
        (
            lambda root: (root / "train").rename(root / "t"),
            r"train: it needs train/CLASS/\.\.\. and .* of each class\.$",
        ),
        (
            not_dealt,
            r"pictures has no folder train: .*; put most of those in blue into ",
        ),
        (
            lambda root: (root / "val").rename(root / "v"),
            r"val is not a folder .*No such",
        ),
    ],
)
def test_a_folder_of_another_layout_is_refused(change, message, pictures):
    change(pictures)
    with pytest.raises(DataError, match=message) as refused:
        image_folder(pictures, 28, batch_size=8)
    assert "\n" not in str(refused.value)


def test_the_folder_of_one_part_leads_to_the_one_above_it(pictures):
    with pytest.raises(DataError, match=r"val has no folder train; .*pictures has one"):
        image_folder(pictures / "val", 28, batch_size=8)


def test_a_class_may_keep_its_pictures_in_one_deeper_folder(pictures):
    inner = pictures / "train" / "red" / "images"
    (pictures / "train" / "red").rename(pictures / "moved")
    inner.parent.mkdir()
    (pictures / "moved").rename(inner)
    assert image_folder(pictures, 28, batch_size=8)[0].counts["red"] == 12


@pytest.fixture
def noise(tmp_path):
    """Two times eight pictures of noise, the second eight like the first."""
    random = np.random.default_rng(0)
    for i in range(8):
        picture = Image.fromarray(
            random.integers(256, size=(20, 30, 3), dtype=np.uint8)
        )
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
            picture.save(tmp_path / name / f"{i}.png")
    return tmp_path


def passes(folder, batch_size=8, epochs=(0, 1), **options):
    """x and y of each pass, seeded as `python -m cnnlib.train` does it."""
    batches = FolderBatches(folder, 16, batch_size, training=True, **options)
    seen = []
    for epoch in epochs:
        batches.generator.manual_seed(epoch)
        x, y = zip(*batches, strict=True)
        seen.append((torch.cat(x), torch.cat(y)))
    return seen


def equal(ours, theirs):
    return all(
        torch.equal(a, b)
        for pair, other in zip(ours, theirs, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


@pytest.mark.parametrize("workers", [pytest.param(n, marks=PROCESSES) for n in (1, 4)])
def test_batches_do_not_depend_on_the_number_of_workers(workers, noise):
    assert equal(passes(noise, 3, workers=workers), passes(noise, 3))


def test_batches_do_not_depend_on_the_number_of_processes(noise):
    shares = [passes(noise, 4, rank=rank, world_size=2) for rank in (0, 1)]
    dealt = [
        tuple(torch.stack(both, 1).flatten(0, 1) for both in zip(*ranks, strict=True))
        for ranks in zip(*shares, strict=True)
    ]
    assert equal(dealt, passes(noise))


def test_every_window_is_a_picture_s_own(noise):
    (first, labels), (second, _) = passes(noise, 16)
    assert sorted(labels.tolist()) == [0] * 8 + [1] * 8
    windows = torch.cat([first, second])
    assert len(windows.flatten(1).unique(dim=0)) == 32


def test_windows_leave_the_common_random_stream_alone(noise):
    torch.manual_seed(1)  # other than where passes end
    before = torch.get_rng_state()
    passes(noise)
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_train_on_equal_shares_and_test_every_picture_once(pictures):
    (pictures / "val" / "red" / "3.png").unlink()
    (pictures / "train" / "red" / "3.png").unlink()
    seen, tested = [], []
    for rank in range(3):
        options = {"batch_size": 5, "rank": rank, "world_size": 3}
        train, test = image_folder(pictures, 28, **options)
        train.generator.manual_seed(0)
        seen += [index for index, _ in train.loader.sampler]
        tested.append([index for index, _ in test.loader.sampler])
        assert sum(len(y) for _, y in train) == 7 and len(train) == 2
        assert sum(len(y) for _, y in test) == len(tested[-1])
    assert len(set(seen)) == len(seen) == 21
    assert sorted(index for share in tested for index in share) == list(range(7))
