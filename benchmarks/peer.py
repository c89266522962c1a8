"""d2l's way: its own Trainer, Classifier and data class, told only where files lie."""

import contextlib
import math
import multiprocessing
import struct
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

from cnnlib import data, train

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

BATCH_SIZE = 128
EPOCHS = 10


class Classifier(d2l.Classifier):
    """`net`, trained by plain SGD at learning rate `lr`. The plot, which d2l renews
    while it trains, is off: it would cost time."""

    def __init__(self, net, lr):
        super().__init__()
        self.lr = lr
        self.net = net
        self.board.display = False


class OutOfTime(Exception):
    """The seconds that a `Trainer` was given are over."""


@contextlib.contextmanager
def forked():
    """Let workers start as d2l's readers had them: on Linux as copies of the process,
    which is no longer the default there since Python 3.14."""
    before = multiprocessing.get_start_method(allow_none=True)
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


class Trainer(d2l.Trainer):
    """d2l's, which keeps the test accuracy after every epoch and can be stopped.

    `points` holds pairs (seconds since the start, accuracy). `fit` ends after
    `max_epochs`, or after `seconds` and one more test, whose time does not count.
    """

    def __init__(self, max_epochs, seconds=math.inf):
        super().__init__(max_epochs, num_gpus=int(train.device().type == "cuda"))
        self.seconds = seconds
        self.points = []

    def fit(self, model, data):
        self.start = time.perf_counter()
        with forked(), warnings.catch_warnings():
            # four workers, however many cores
            warnings.filterwarnings("ignore", "This DataLoader will create")
            warnings.filterwarnings("ignore", ".* use of fork", DeprecationWarning)
            try:
                super().fit(model, data)
            except OutOfTime:
                self.points.append((self.seconds, self.accuracy()))

    def fit_epoch(self):
        super().fit_epoch()
        accuracy = float(self.model.board.data["val_acc"][-1].y)
        self.points.append((time.perf_counter() - self.start, accuracy))

    def prepare_batch(self, batch):
        """Called before every step, in training and in tests."""
        if self.model.training and time.perf_counter() - self.start > self.seconds:
            raise OutOfTime
        return super().prepare_batch(batch)

    @torch.no_grad()
    def accuracy(self):
        """Share of the test pictures that it puts into the right class."""
        self.model.eval()
        right = 0
        for batch in self.val_dataloader:
            x, y = self.prepare_batch(batch)
            right += (self.model(x).argmax(1) == y).sum().item()
        return right / len(self.val_dataloader.dataset)


def classifier(network):
    """The classifier of `network` as d2l's chapter makes it: of torch's initial
    weights, or of Xavier's."""
    net = Classifier(network.build(), network.rate)
    if network.xavier:
        net.net.apply(d2l.init_cnn)
    return net


def fashion_mnist(size, images=60_000, tests=10_000):
    """d2l's data, its pictures resized one by one as they are asked for: the first
    `images` and `tests` of them, which d2l finds where it would download all."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "data/FashionMNIST/raw")
        raw.mkdir(parents=True)
        Path(folder, "here").mkdir()
        training, test = data.fashion_mnist(images, tests)
        for part, given in {"train": training, "t10k": test}.items():
            write_idx(raw / f"{part}-images-idx3-ubyte", given.images.squeeze(1))
            write_idx(raw / f"{part}-labels-idx1-ubyte", given.labels.byte())
        with contextlib.chdir(Path(folder, "here")):  # d2l reads ../data, always
            return d2l.FashionMNIST(BATCH_SIZE, resize=(size, size))


def write_idx(path, array):
    """The format is described at the end of http://yann.lecun.com/exdb/mnist/"""
    head = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(head + array.numpy().tobytes())
