"""Data: what ships equals the head of what is published; batches do what they say."""

import gzip
import hashlib
import lzma
import os
import struct
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torchvision.datasets import mnist

from cnnlib import data


def test_the_default_set_ships_with_the_package():
    train, test = data.fashion_mnist()
    assert (
        train.images.shape == (10_000, 1, 28, 28) and train.images.dtype == torch.uint8
    )
    assert test.images.shape == (2_000, 1, 28, 28) and test.labels.dtype == torch.int64
    # the class counts of the head of the published label file
    assert train.labels.bincount().tolist() == [
        *[942, 1027, 1016, 1019, 974],
        *[989, 1021, 1022, 990, 1000],
    ]
    assert [data.CLASSES[label] for label in train.labels[:3]] == [
        *["Ankle boot", "T-shirt", "T-shirt"],
    ]


def test_shipped_files_are_read_as_torchvision_reads_them(tmp_path):
    for _, _, files in data.PARTS.values():
        for name, _, checksum in files:
            content = lzma.decompress((data.SHIPPED / f"{name}.xz").read_bytes())
            assert hashlib.sha256(content).hexdigest() == checksum
            (tmp_path / name).write_bytes(content)
            theirs = mnist.read_sn3_pascalvincent_tensor(str(tmp_path / name))
            assert torch.equal(
                data._read(data.SHIPPED / f"{name}.xz", checksum), theirs
            )


@pytest.mark.skipif(
    "CNNLIB_DATA" not in os.environ,
    reason="CNNLIB_DATA names no folder with the full Fashion-MNIST",
)
def test_the_shipped_images_are_the_head_of_the_full_set():
    full_train, full_test = data.fashion_mnist(train=60_000, test=10_000)
    train, test = data.fashion_mnist()
    assert torch.equal(full_train.images[:10_000], train.images)
    assert torch.equal(full_train.labels[:10_000], train.labels)
    assert torch.equal(full_test.images[:2_000], test.images)
    assert torch.equal(full_test.labels[:2_000], test.labels)
    scaled = full_train.images / 255
    assert round(scaled.mean().item(), 4) == data.MEAN
    assert round(scaled.std(correction=0).item(), 4) == data.STD


@pytest.mark.parametrize("count", [0, 60_001])
def test_more_images_than_exist_are_refused(count):
    with pytest.raises(ValueError, match=f"60,000 train images; train={count:,}"):
        data.fashion_mnist(train=count)


def test_one_image_is_a_set_too():
    assert [len(part.labels) for part in data.fashion_mnist(1, 1)] == [1, 1]


def test_the_digits_ship_with_the_package():
    train, test = data.digits()
    assert (
        train.images.shape == (8_000, 1, 28, 28) and train.images.dtype == torch.uint8
    )
    assert test.images.shape == (2_000, 1, 28, 28) and test.labels.dtype == torch.int64
    # the class counts of the first 10,000 labels of MNIST; 200 of each are to test
    both = torch.cat([train.labels, test.labels]).bincount().tolist()
    assert both == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert test.labels.bincount().tolist() == [200] * 10
    scaled = train.images / 255
    assert round(scaled.mean().item(), 4) == 0.1307  # as of all 60,000
    assert round(scaled.std(correction=0).item(), 4) == 0.3082


def test_no_digit_is_both_to_train_and_to_test():
    pictures = torch.cat([part.images for part in data.digits()]).flatten(1)
    assert len({picture.numpy().tobytes() for picture in pictures}) == 10_000


def test_the_first_digits_are_those_of_the_whole_set():
    (train, test), (few, fewer) = data.digits(), data.digits(5, 1)
    for part, head in (train, few), (test, fewer):
        assert all(map(torch.equal, (p[: len(head.labels)] for p in part), head))
    assert [len(few.labels), len(fewer.images)] == [5, 1]


def test_digits_are_read_as_torchvision_reads_them(tmp_path):
    for _, files in data.DIGITS.values():
        for name, checksum in files:
            path = data.DATASETS / "digits" / f"{name}.xz"
            (tmp_path / name).write_bytes(lzma.decompress(path.read_bytes()))
            theirs = mnist.read_sn3_pascalvincent_tensor(str(tmp_path / name))
            assert torch.equal(data._read(path, checksum), theirs)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 0}, "8,000 train images; train=0 is not between 1 and 8,000"),
        ({"train": 8_001}, "Of the digits this package has 8,000 train images; train="),
        ({"test": 2_001}, "2,000 test images; test=2,001 is not between 1 and 2,000"),
    ],
)
def test_more_digits_than_ship_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        data.digits(**counts)


def test_more_clothes_than_there_are_are_refused():
    there_are = "Fashion-MNIST has 60,000 train images; train=60,001 is not between 1"
    with pytest.raises(ValueError, match=there_are):
        data.fashion_mnist(train=60_001)


def test_a_corrupt_file_of_digits_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "DATASETS", tmp_path)
    path = tmp_path / "digits" / "train-images-idx3-ubyte.xz"
    path.parent.mkdir()
    with pytest.raises(data.DataError, match=f"{path} is missing or damaged"):
        data.digits()
    path.write_bytes(lzma.compress(b"not pictures"))
    checksum = data.DIGITS["train"][1][0][1]
    with pytest.raises(data.DataError, match=f"{path}.*{checksum}"):
        data.digits()


def nowhere(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "FOLDERS", (tmp_path / "nothing",))
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")


def test_a_corrupt_file_is_named_with_its_checksum(monkeypatch, tmp_path):
    nowhere(monkeypatch, tmp_path)
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    name, checksum, _ = data.PARTS["train"][2][0]
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(b"not pictures"))
    with pytest.raises(data.DataError, match=f"{path}.*{checksum}"):
        data.fashion_mnist(train=60_000)
    path.write_bytes(gzip.compress(b"not pictures")[:-6])
    with pytest.raises(data.DataError, match=f"{path}.*{checksum}"):
        data.fashion_mnist(train=60_000)


def test_a_missing_file_says_how_to_get_it_and_leaves_nothing(monkeypatch, tmp_path):
    nowhere(monkeypatch, tmp_path)
    monkeypatch.delenv("CNNLIB_DATA", raising=False)
    mirror = Path(tmp_path / "unreachable").as_uri() + "/"
    monkeypatch.setattr(data.FashionMNIST, "mirrors", [mirror])
    with pytest.raises(data.DataError, match=r"train-images-idx3-ubyte.*CNNLIB_DATA"):
        data.fashion_mnist(train=60_000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels.gz"])
@pytest.mark.parametrize("place", ["named", "named/FashionMNIST/raw", "usual"])
def test_files_are_found_gzipped_or_not_where_they_may_be(
    monkeypatch, tmp_path, name, place
):
    monkeypatch.setattr(data, "FOLDERS", (tmp_path / "nothing", tmp_path / "usual"))
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path / "named"))
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / name).touch()
    assert data._find(name.removesuffix(".gz")) == tmp_path / place / name


@pytest.fixture
def mirror(tmp_path):
    """A folder and the address at which this machine serves its files to itself."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_what_is_nowhere_is_downloaded(monkeypatch, tmp_path, mirror):
    nowhere(monkeypatch, tmp_path)
    monkeypatch.delenv("CNNLIB_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder, address = mirror
    contents, files, resources = [], [], []
    for part in data.PARTS.values():
        for (name, _, _), shape in zip(part[2], ((20, 28, 28), (20,)), strict=True):
            values = torch.randint(10, shape, dtype=torch.uint8)
            head = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            content = head + values.numpy().tobytes()
            packed = gzip.compress(content)
            (folder / f"{name}.gz").write_bytes(packed)
            contents.append(values)
            files.append((name, hashlib.sha256(content).hexdigest(), ""))
            resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(data.FashionMNIST, "resources", resources)
    monkeypatch.setattr(data.FashionMNIST, "mirrors", [address])
    parts = {"train": (20, 0, files[:2]), "test": (20, 0, files[2:])}
    monkeypatch.setattr(data, "PARTS", parts)
    train, test = data.fashion_mnist(20, 5)
    assert torch.equal(train.images, contents[0].unsqueeze(1))
    assert torch.equal(train.labels, contents[1].long())
    assert torch.equal(test.images, contents[2][:5].unsqueeze(1))
    assert torch.equal(test.labels, contents[3][:5].long())
    monkeypatch.setenv("CNNLIB_DATA", str(folder))  # they are gzipped there
    again, _ = data.fashion_mnist(20, 5)
    assert torch.equal(again.images, train.images)


def some(count=100):
    images = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8)
    return data.Images(images, torch.arange(count))


def test_batches_are_normalised_and_in_order():
    images = some()
    batches = data.Batches(images, 32)
    x, y = zip(*batches, strict=True)
    assert [len(part) for part in y] == [32, 32, 32, 4] and len(batches) == 4
    assert torch.equal(torch.cat(y), images.labels)
    restored = torch.cat(x) * data.STD + data.MEAN
    torch.testing.assert_close(restored * 255, images.images.float())


def test_another_mean_and_deviation_normalise_and_blacken_the_margin():
    # LeNet-5 wants -0.1 where there is no ink and 1.175 where there is most
    scale = {"mean": 0.1 / 1.275, "std": 1 / 1.275}
    blank = torch.zeros(50, 1, 28, 28, dtype=torch.uint8)
    inked = torch.full_like(blank, 255)
    pictures = torch.cat([blank, inked]), torch.arange(100)
    for crop in (0, 3):
        ((x, _),) = data.Batches(pictures, 100, crop=crop, **scale)
        torch.testing.assert_close(x[:50], torch.full_like(x[:50], -0.1))
        values = x[50:].unique()
        torch.testing.assert_close(values[-1], torch.tensor(1.175))
        torch.testing.assert_close(values[0], torch.tensor(-0.1 if crop else 1.175))


def test_batches_have_128_images_and_the_seed_is_0_unless_given():
    images = some(200)
    assert [len(y) for _, y in data.Batches(images)] == [128, 72]
    ours, theirs = (data.Batches(images, shuffle=True, **s) for s in ({}, {"seed": 0}))
    assert torch.equal(labels(ours), labels(theirs))


def test_shuffling_keeps_every_image_and_depends_on_the_seed_alone():
    images = some()
    orders = [
        torch.cat([y for _, y in data.Batches(images, 32, shuffle=True, seed=seed)])
        for seed in (1, 1, 2)
    ]
    assert torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[0].sort().values, images.labels)
    twice = data.Batches(images, 100, shuffle=True)
    (_, first), (_, second) = next(iter(twice)), next(iter(twice))
    assert not torch.equal(first, second)


def labels(batches):
    return torch.cat([y for _, y in batches])


def test_ranks_train_on_disjoint_shares_of_one_order():
    images = some(101)
    shares = [
        labels(data.Batches(images, 7, shuffle=True, rank=rank, world_size=4))
        for rank in range(4)
    ]
    assert [len(share) for share in shares] == [25] * 4
    assert len(torch.cat(shares).unique()) == 100
    with pytest.raises(ValueError, match="rank=4"):
        data.Batches(images, rank=4, world_size=4)


def test_the_images_left_over_are_others_in_each_pass():
    batches = data.Batches(some(5), shuffle=True, world_size=3)
    assert {index for _ in range(20) for index in labels(batches).tolist()} == {
        *range(5)
    }


@pytest.mark.parametrize("count", [1, 7, 8, 101])
@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_ranks_test_every_image_exactly_once(count, world_size):
    images, seen = some(count), []
    for rank in range(world_size):
        batches = data.Batches(images, 3, rank=rank, world_size=world_size)
        found = [y for _, y in batches]
        assert len(found) == len(batches) and all(len(y) for y in found)
        seen += torch.cat([torch.empty(0, dtype=torch.int64), *found]).tolist()
    assert sorted(seen) == list(range(count))


def test_too_few_images_to_train_on_are_refused():
    assert len(data.Batches(some(3), shuffle=True, world_size=3)) == 1
    with pytest.raises(
        ValueError, match="3 processes cannot share a training set of 2"
    ):
        data.Batches(some(2), shuffle=True, world_size=3)


def test_images_are_augmented_as_one_process_would():
    images = some(48)
    options = {"shuffle": True, "flip": True, "crop": 3, "seed": 5}
    shares = [
        list(data.Batches(images, 8, rank=rank, world_size=2, **options))
        for rank in (0, 1)
    ]
    alone = list(data.Batches(images, 16, **options))
    for (x0, y0), (x1, y1), (x, y) in zip(*shares, alone, strict=True):
        assert torch.equal(torch.stack([x0, x1], 1).flatten(0, 1), x)
        assert torch.equal(torch.stack([y0, y1], 1).flatten(), y)


def test_flips_mirror_about_half_of_the_images():
    images = some(1000)
    (x, _), (plain, _) = (
        next(iter(data.Batches(images, 1000, flip=flip))) for flip in (True, False)
    )
    mirrored = (x == plain.flip(-1)).flatten(1).all(1)
    kept = (x == plain).flatten(1).all(1)
    assert (mirrored ^ kept).all() and 400 < mirrored.sum() < 600


def test_crops_are_windows_of_the_padded_image():
    images = some(200)
    x, _ = next(iter(data.Batches(images, 200, crop=2)))
    plain, _ = next(iter(data.Batches(images, 200)))
    black = -data.MEAN / data.STD
    padded = torch.nn.functional.pad(plain, [2] * 4, value=black)
    places = set()
    for image, wide in zip(x, padded, strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(image, wide[:, top : top + 28, left : left + 28])
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 25


def test_resizing_keeps_constant_images_constant():
    images = torch.full((3, 1, 28, 28), 200, dtype=torch.uint8)
    x, _ = next(
        iter(data.Batches((images, torch.zeros(3, dtype=torch.int64)), size=32))
    )
    assert x.shape == (3, 1, 32, 32)
    torch.testing.assert_close(
        x, torch.full_like(x, (200 / 255 - data.MEAN) / data.STD)
    )


def test_resizing_is_bilinear_between_the_middles_of_pixels():
    image = torch.tensor([[[[0, 200], [0, 200]]]], dtype=torch.uint8)
    batches = data.Batches((image, torch.zeros(1, dtype=torch.int64)), size=4)
    ((x, _),) = batches
    row = (x[0, 0, 1] * data.STD + data.MEAN) * 255
    torch.testing.assert_close(row, torch.tensor([0.0, 50.0, 150.0, 200.0]))


def test_batches_are_made_on_the_device():
    options = {"shuffle": True, "flip": True, "crop": 2, "size": 32}
    x, y = next(iter(data.Batches(some(), 32, **options, device="meta")))
    assert x.device.type == y.device.type == "meta"
    assert (x.shape, x.dtype) == ((32, 1, 32, 32), torch.float32)


def test_wrong_shapes_and_types_are_refused_by_name():
    images = some()
    with pytest.raises(ValueError, match=r"uint8.*torch.float32 of shape \(100, 1, 28"):
        data.Batches((images.images.float(), images.labels))
    with pytest.raises(ValueError, match=r"got torch.uint8 of shape \(100, 28, 28\)"):
        data.Batches((images.images[:, 0], images.labels))
    with pytest.raises(ValueError, match=r"shape \(100,\); got torch.int64.*\(99,\)"):
        data.Batches((images.images, images.labels[1:]))
