"""Garments and digits as tensors, and batches of them made on the device.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", 2017, https://arxiv.org/abs/1708.07747. The images are MIT
licensed (see datasets/fashion_mnist/LICENSE). The first 10,000 training and 2,000 test
images ship with this package; more are read from local IDX files or downloaded by
torchvision.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits". Of its images, CC
BY-SA 3.0, the first 10,000 training images ship with this package, 8,000 to train and
2,000 to test (see datasets/digits/LICENSE); there are no more.
"""

import gzip
import hashlib
import lzma
import os
import struct
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torchvision.datasets import FashionMNIST

CLASSES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

# Mean and standard deviation of the garments' 60,000 training images scaled to [0, 1]:
#   x = fashion_mnist(train=60_000)[0].images / 255; x.mean(), x.std(correction=0)
MEAN, STD = 0.2860, 0.3530

# Part: (images in the full set, images shipped, [(IDX file, SHA-256 of the full file,
# SHA-256 of the shipped head of it)]), both checksums of the uncompressed file.
PARTS = {
    "train": (
        60_000,
        10_000,
        [
            (
                "train-images-idx3-ubyte",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "ed2e37ed5a3a57d212141a69fe0a0de5a7126ffba14ac3f7e76f5f52cc04b1f0",
            ),
            (
                "train-labels-idx1-ubyte",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "a69f2dad024ca220a8c4d85f621fdf929042d40c444abde2868903e9220ad517",
            ),
        ],
    ),
    "test": (
        10_000,
        2_000,
        [
            (
                "t10k-images-idx3-ubyte",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "862035b0a96959b614c9574f4c2b0ae9584ca234813e8d6d7adb7838b12ca46b",
            ),
            (
                "t10k-labels-idx1-ubyte",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                "aa3f574d30afaf0d4d9da084a6f8541771e20693d6a97fae6e9a4953fca8f078",
            ),
        ],
    ),
}
# Part: (images, [(IDX file, SHA-256 of the uncompressed file)]); all of them ship.
DIGITS = {
    "train": (
        8_000,
        [
            (
                "train-images-idx3-ubyte",
                "5eea15653614b6dc2fddf7c9d32eb1bc5c4ab5b34432f424631b4187aa3d41cb",
            ),
            (
                "train-labels-idx1-ubyte",
                "12f410d03c9e332e324708e37ab09d3cd0c1810f080ca78f646b929a91a4c1e0",
            ),
        ],
    ),
    "test": (
        2_000,
        [
            (
                "t10k-images-idx3-ubyte",
                "4cc0ce8d47c6985a4c591cf0ecb8fb86eac931c9cf5e3c65feaa17c2ad95cb6c",
            ),
            (
                "t10k-labels-idx1-ubyte",
                "5be3be0996845010c4a732cbd9d231a7fec62e6d8e5f3a6071c1fbaa01be5e03",
            ),
        ],
    ),
}
DATASETS = Path(__file__).parent / "datasets"
SHIPPED = DATASETS / "fashion_mnist"
CACHE = Path("~/.cache/cnnlib").expanduser()  # where torchvision downloads to
FOLDERS = (
    Path("data/FashionMNIST/raw"),  # torchvision with root="data", its usual folder
    CACHE / "FashionMNIST" / "raw",
    Path("/usr/share/datasets/fashion-mnist"),  # Debian's dataset-fashion-mnist
)


class Images(NamedTuple):
    """Pictures and their classes: images uint8 (N, 1, 28, 28), labels int64 (N,)."""

    images: torch.Tensor
    labels: torch.Tensor


def fashion_mnist(train=10_000, test=2_000):
    """The first `train` training images and the first `test` test images.

    Returns a pair of `Images`. Up to 10,000 and 2,000 come with the package. Beyond
    that the IDX files are looked for in the folder named by the environment variable
    CNNLIB_DATA, then in `FOLDERS`, and at last downloaded; wherever they come from
    their checksums are the same, so results do not depend on the source.

    Raises ValueError for a number of images that does not exist, and DataError for a
    file that is missing and cannot be downloaded, or is corrupt.
    """
    return _part("train", train), _part("test", test)


def digits(train=8_000, test=2_000):
    """The first `train` and `test` of the 8,000 and 2,000 handwritten digits that come
    with the package, a pair of `Images`; no picture is in both sets.

    Raises ValueError for a number of images that does not exist, and DataError for a
    file that is missing or corrupt.
    """
    counts = {"train": train, "test": test}
    return tuple(_digits(part, count) for part, count in counts.items())


class DataError(OSError):
    """A data file is missing or corrupt; the message says which and what to do."""


def _part(part, count):
    total, shipped, files = PARTS[part]
    _available("Fashion-MNIST has", part, count, total)
    if count <= shipped:
        arrays = [_read(SHIPPED / f"{name}.xz", head) for name, _, head in files]
    else:
        arrays = [_read(_find(name), full) for name, full, _ in files]
    return _head(arrays, count)


def _digits(part, count):
    total, files = DIGITS[part]
    _available("Of the digits this package has", part, count, total)
    folder = DATASETS / "digits"
    arrays = [_read(folder / f"{name}.xz", checksum) for name, checksum in files]
    return _head(arrays, count)


def _available(there_are, part, count, total):
    if not 1 <= count <= total:
        raise ValueError(
            f"{there_are} {total:,} {part} images; {part}={count:,} is not between 1 "
            f"and {total:,}."
        )


def _head(arrays, count):
    images, labels = (array[:count].clone() for array in arrays)
    return Images(images.unsqueeze(1), labels.long())


def _find(name):
    """Path of an IDX file, gzipped or not; downloads the data set if it is nowhere."""
    named = os.environ.get("CNNLIB_DATA")
    folders = [Path(named), Path(named) / "FashionMNIST" / "raw"] if named else []
    for folder in [*folders, *FOLDERS]:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    _download(name)
    return CACHE / "FashionMNIST" / "raw" / name


def _download(name):
    try:
        FashionMNIST(CACHE, download=True)
    except (RuntimeError, OSError) as problem:
        raise DataError(
            f"{name} was found neither in CNNLIB_DATA nor in "
            f"{', '.join(map(str, FOLDERS))}, and the download failed ({problem}). "
            "Put the four IDX files of Fashion-MNIST "
            "(https://github.com/zalandoresearch/fashion-mnist) into one folder and "
            "set CNNLIB_DATA to it, or ask for no more than 10,000 training and "
            "2,000 test images."
        ) from problem


def _read(path, checksum):
    """IDX file -> uint8 tensor; the format is described at the end of
    http://yann.lecun.com/exdb/mnist/: magic number, sizes, bytes."""
    openers = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, lzma.LZMAError) as problem:
        raise DataError(_corrupt(path, checksum, str(problem))) from problem
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise DataError(_corrupt(path, checksum, f"SHA-256 {found}"))
    ndim = content[3]
    shape = struct.unpack(f">{ndim}I", content[4 : 4 + 4 * ndim])
    data = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * ndim)
    return data.reshape(shape)


def _corrupt(path, checksum, found):
    return (
        f"{path} is missing or damaged ({found}); its uncompressed content must have "
        f"SHA-256 {checksum}. Delete it and fetch it again."
    )


class Batches:
    """Batches of (x, y): x float32 (B, 1, H, W) normalised, y int64 (B,).

    The whole set stays on `device` as uint8 and a batch is an indexed tensor, so
    nothing is copied or decoded while training. Normalisation and augmentation happen
    per batch, on the device, in this order: resize to `size` x `size` pixels
    (bilinear), random crop of a picture padded by `crop` black pixels, and a
    left-right flip of half the pictures. Normalised is (grey / 255 - mean) / std, with
    the two numbers of the garments unless given.

    With `world_size` processes each sees the batches of its own `rank`, a `Share`.
    `seed` fixes order and augmentation, which are those that one process would make of
    the same images; every pass over the batches continues the random stream.
    """

    def __init__(
        self,
        data,
        batch_size=128,
        *,
        shuffle=False,
        flip=False,
        crop=0,
        size=None,
        device="cpu",
        seed=0,
        rank=0,
        world_size=1,
        mean=MEAN,
        std=STD,
    ):
        images, labels = data
        _check(images, labels)
        self.device = torch.device(device)
        self.images = images.to(self.device)
        self.labels = labels.to(self.device)
        self.batch_size = batch_size
        self.flip, self.crop, self.size = flip, crop, size
        self.mean, self.std = mean, std
        self.rank, self.world_size = rank, world_size
        self.generator = torch.Generator().manual_seed(seed)
        self.share = Share(len(images), shuffle, self.generator, rank, world_size)

    def __len__(self):
        return -(-len(self.share) // self.batch_size)

    def __iter__(self):
        mine = self.share.draw().to(self.device)
        for start in range(0, len(mine), self.batch_size):
            index = mine[start : start + self.batch_size]
            yield self._prepare(self.images[index]), self.labels[index]

    def _prepare(self, images):
        x = (images / 255 - self.mean) / self.std
        if self.size:
            size = (self.size, self.size)
            x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        if self.crop:
            x = self._crop(x)
        if self.flip:
            flipped = self._random(torch.rand, len(x)) < 0.5
            flipped = flipped.to(self.device).view(-1, 1, 1, 1)
            x = torch.where(flipped, x.flip(-1), x)
        return x

    def _crop(self, x):
        """A window of the original size at a random place of the padded picture."""
        height, width = x.shape[2:]
        padded = F.pad(x, [self.crop] * 4, value=-self.mean / self.std)
        offset = self._random(partial(torch.randint, 2 * self.crop + 1), len(x), 2)
        top, left = offset.to(self.device).T
        rows = top.view(-1, 1, 1) + torch.arange(height, device=self.device).view(-1, 1)
        columns = left.view(-1, 1, 1) + torch.arange(width, device=self.device)
        which = torch.arange(len(x), device=self.device).view(-1, 1, 1)
        return padded[which, :, rows, columns].permute(0, 3, 1, 2)

    def _random(self, draw, count, *shape):
        """Random numbers for `count` images of this process: drawn for the images of
        all processes, which have the same stream, and dealt out as the images are."""
        everyone = (count * self.world_size, *shape)
        return draw(everyone, generator=self.generator)[self.rank :: self.world_size]


class Share:
    """The images, of `total`, that process `rank` of `world_size` sees in a pass.

    Shuffled, to train: equally many for each process, because they take their steps
    together; the images left over, fewer than `world_size`, are others in each pass.
    In order, to evaluate: every image in exactly one share.

    Raises ValueError where a rank does not exist or would have nothing to train on.
    """

    def __init__(self, total, shuffle, generator, rank, world_size):
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} is not between 0 and {world_size - 1}.")
        if shuffle and total < world_size:
            raise ValueError(
                f"{world_size} processes cannot share a training set of {total}: start "
                "fewer, or give each at least one picture."
            )
        self.shuffle, self.generator = shuffle, generator
        self.rank, self.world_size = rank, world_size
        self.total = total
        self.used = total - total % world_size if shuffle else total  # in a pass

    def __len__(self):
        return len(range(self.rank, self.used, self.world_size))

    def draw(self):
        """The indices of one pass, int64 (len,)."""
        order = torch.arange(self.total)
        if self.shuffle:
            order = torch.randperm(self.total, generator=self.generator)
        return order[: self.used][self.rank :: self.world_size]


def _check(images, labels):
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            "Batches needs uint8 images of shape (N, C, H, W); got "
            f"{images.dtype} of shape {tuple(images.shape)}."
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"Batches needs one int64 label per image, shape ({len(images)},); got "
            f"{labels.dtype} of shape {tuple(labels.shape)}."
        )
