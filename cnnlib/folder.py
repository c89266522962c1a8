"""A folder of pictures as batches, decoded while training.

The layout is that of torchvision's ImageFolder: FOLDER/train/CLASS/picture.jpg and
FOLDER/val/CLASS/picture.jpg, with the same classes in both. What is hidden (a name with
a leading dot, or the __MACOSX of unpacked archives) is left out.
"""

import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import v2

from cnnlib.data import DataError, Share
from cnnlib.pictures import begins_as_picture, open_picture

# Of the ImageNet training set, in RGB; as everywhere in torchvision.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def image_folder(root, size, **options):
    """The training and test `FolderBatches` of pictures of `size` x `size` pixels.

    Raises DataError, naming the folder, where the layout is another one.
    """
    root = Path(root)
    if not (root / "train").is_dir():
        raise DataError(f"{root} has no folder train{_elsewhere(root)}.")
    train, test = (
        FolderBatches(root / part, size, training=part == "train", **options)
        for part in ("train", "val")
    )
    if train.classes != test.classes:
        odd = sorted({*train.classes} ^ {*test.classes})
        raise DataError(
            f"{root}: train and val differ in their classes ({', '.join(odd[:3])}); "
            "give both a folder for each class."
        )
    return train, test


def _elsewhere(root):
    """Where the folder that was meant may be, for the end of a message."""
    if root.is_dir():
        for near in (root.resolve().parent, *sorted(root.iterdir())):
            if (near / "train").is_dir() and (near / "val").is_dir():
                return f"; {near} has one: name that folder"
    wanted = (
        ": it needs train/CLASS/... and val/CLASS/... with the pictures of each class"
    )
    inside = sorted(root.iterdir()) if root.is_dir() else []
    kinds = [path.name for path in inside if path.is_dir() and not _hidden(path.name)]
    if not kinds or "val" in kinds:
        return wanted
    return (
        f"{wanted}; put most of those in {kinds[0]} into train/{kinds[0]}, the others "
        f"into val/{kinds[0]}, and so on"
    )


class FolderBatches:
    """Batches of (x, y): x float32 (B, C, size, size) normalised, y int64 (B,).

    In training a picture is a random window of 8 to 100 % of its area, flipped in half
    of the cases, and the order is shuffled; else it is the middle of the picture,
    scaled so that `size` pixels are 7/8 of its shorter side. Order and windows come
    from `generator`, and a window depends on nothing but its stream and the picture:
    neither on the number of `workers`, the processes that decode, nor on the
    `world_size` processes that train, of which `rank` sees its `data.Share`.

    Normalised is with `mean` and `std`, one for each channel: three of colour, or one
    of grey. They are ImageNet's unless given.

    `counts` is the number of pictures of each class, `others` that of files by their
    endings which are not among torchvision's for pictures.

    Raises DataError, naming folder or picture, for what is no such data.
    """

    def __init__(
        self,
        folder,
        size,
        batch_size,
        *,
        training,
        workers=0,
        device="cpu",
        rank=0,
        world_size=1,
        mean=MEAN,
        std=STD,
    ):
        self.mean, self.std = mean, std
        self.classes, files, self.others = find(folder)
        labels = Counter(label for _, label in files)
        self.counts = {name: labels[i] for i, name in enumerate(self.classes)}
        self.device = torch.device(device)
        self.rank, self.world_size = rank, world_size
        self.generator = torch.Generator()
        self.share = Share(len(files), training, self.generator, rank, world_size)
        self.loader = DataLoader(
            _Pictures(files, window(size, training, len(mean))),
            batch_size,
            sampler=_Keys(self.share),
            num_workers=workers,
            persistent_workers=workers > 0,  # to start one takes seconds
            collate_fn=_collate,
            generator=torch.Generator(),  # for seeds of workers, which nothing asks
        )

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for batch in self.loader:
            if isinstance(batch, DataError):
                raise DataError(f"{batch}{self._others(batch)}") from batch
            x, y = batch
            x = normalised(x.to(self.device), self.mean, self.std)
            yield x, y.to(self.device)

    def _others(self, problem):
        """Whoever has to mend one picture wants to know of the others: those whose
        first bytes say already that they cannot be read."""
        paths = [path for path, _ in self.loader.dataset.files]
        bad = [path for path in paths if not begins_as_picture(path)]
        bad = [path for path in bad if not str(problem).startswith(f"{path} ")]
        more = ", ..." * (len(bad) > 5)
        return f" {len(bad)} more: {', '.join(bad[:5])}{more}." * bool(bad)


def window(size, training, channels=3):
    """RGB picture -> uint8 (channels, size, size): see `FolderBatches`."""
    if training:
        steps = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
    else:
        steps = [v2.Resize(size * 8 // 7), v2.CenterCrop(size)]
    return v2.Compose([*_colours(channels), *steps])


def whole(size, channels=3):
    """RGB picture -> uint8 (channels, size, size): all of it, stretched to a square."""
    return v2.Compose([*_colours(channels), v2.Resize((size, size))])


def _colours(channels):
    """Grey for one channel: Pillow's, which rounds, so that grey pictures stay."""
    return [*[v2.Grayscale()] * (channels == 1), v2.ToImage()]


def normalised(x, mean=MEAN, std=STD):
    """uint8 (N, C, H, W) -> float32: (x / 255 - mean) / std, for each channel."""
    x = v2.functional.to_dtype(x, torch.float32, scale=True)
    return v2.functional.normalize(x, mean, std)


class _Keys:
    """What `_Pictures` is asked for in one pass: (index, stream), the stream the same
    for all."""

    def __init__(self, share):
        self.share = share

    def __len__(self):
        return len(self.share)

    def __iter__(self):
        order = self.share.draw().tolist()
        stream = torch.randint(2**62, (), generator=self.share.generator).item()
        return iter([(index, stream) for index in order])


class _Pictures(Dataset):
    def __init__(self, files, window):
        self.files, self.window = files, window

    def __getitem__(self, key):
        """The window and label of a picture, or the DataError that it met with: as a
        value, because an exception leaves a worker as the text of its traceback."""
        path, label = self.files[key[0]]
        try:
            picture = open_picture(path)
        except DataError as problem:
            return problem
        with _random_stream(key):
            return self.window(picture), label


def _collate(samples):
    for sample in samples:
        if isinstance(sample, DataError):
            return sample
    return default_collate(samples)


@contextmanager
def _random_stream(key):
    """Random numbers on the CPU that depend on `key`, integers, alone; afterwards the
    common stream goes on as if none had been drawn."""
    generator = torch.default_generator
    state = generator.get_state()
    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64).tolist()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


def find(folder):
    """The classes in alphabetical order, a pair (path, label) for each picture, and
    how many other files there are by their endings."""
    folder = Path(folder)
    try:
        inside = sorted(path for path in folder.iterdir() if not _hidden(path.name))
    except OSError as problem:
        raise DataError(
            f"{folder} is not a folder of pictures ({problem.strerror}); it needs a "
            "folder for each class with the pictures of that class in it."
        ) from problem
    classes = [path for path in inside if path.is_dir()]
    others = Counter(_ending(path.name) for path in inside if path.is_file())
    files = [
        (picture, label)
        for label, path in enumerate(classes)
        for picture in _pictures(path, others)
    ]
    if len(classes) < 2:
        found = f"only {classes[0].name}" if classes else "none"
        raise DataError(
            f"{folder} needs a folder for each of two or more classes and has {found}."
        )
    return [path.name for path in classes], files, others


def _pictures(folder, others):
    """Paths of the pictures of one class; the other files are counted in `others`."""
    found, skipped = [], Counter()
    for parent, inside, names in os.walk(folder, followlinks=True):
        inside[:] = sorted(name for name in inside if not _hidden(name))
        for name in sorted(name for name in names if not _hidden(name)):
            if _ending(name) in IMG_EXTENSIONS:
                found.append(os.path.join(parent, name))
            else:
                skipped[_ending(name)] += 1
    others.update(skipped)
    if not found:
        kinds = f", but files with {', '.join(skipped)}" if skipped else ""
        raise DataError(
            f"{folder} has no pictures ({' '.join(IMG_EXTENSIONS)}){kinds}: give it "
            "some or delete it."
        )
    parts = {Path(path).relative_to(folder).parts[:-1][:1] for path in found}
    if len(parts) > 1 and () not in parts:
        names = ", ".join(sorted(name for (name,) in parts)[:3])
        raise DataError(
            f"{folder} has no pictures of its own, only folders of them ({names}): if "
            f"these are the classes, they belong into {folder.parent}, else their "
            f"pictures into {folder}."
        )
    return found


def _hidden(name):
    return name.startswith(".") or name == "__MACOSX"


def _ending(name):
    return Path(name).suffix.lower() or "no ending"
