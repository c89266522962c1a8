"""A folder of pictures as batches, decoded while training.

The layout is that of torchvision's ImageFolder: FOLDER/train/CLASS/picture.jpg and
FOLDER/val/CLASS/picture.jpg, with the same classes in both.
"""

from pathlib import Path

import torch
from torch.utils.data import DataLoader, Sampler
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import default_loader
from torchvision.transforms import v2

from cnnlib.data import DataError

# Of the ImageNet training set, in RGB; as everywhere in torchvision.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def image_folder(root, size, **options):
    """The training and test `FolderBatches` of pictures of `size` x `size` pixels.

    Raises DataError, naming the folder, where the layout is another one.
    """
    train, test = (
        FolderBatches(Path(root) / part, size, training=part == "train", **options)
        for part in ("train", "val")
    )
    if train.classes != test.classes:
        odd = sorted({*train.classes} ^ {*test.classes})
        raise DataError(
            f"{root}: train and val differ in their classes ({', '.join(odd[:3])}); "
            "give both a folder for each class."
        )
    return train, test


class FolderBatches:
    """Batches of (x, y): x float32 (B, 3, size, size) normalised, y int64 (B,).

    In training a picture is a random window of 8 to 100 % of its area, flipped in half
    of the cases, and the order is shuffled; else it is the middle of the picture,
    scaled so that `size` pixels are 7/8 of its shorter side. `workers` processes decode
    them. `rank` and `world_size` are those of `data.Batches`; order and windows come
    from `generator`.
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
    ):
        try:
            pictures = ImageFolder(folder, _transform(size, training), loader=_open)
        except OSError as problem:
            raise DataError(
                f"{folder} is not a folder of pictures ({problem}); it needs a folder "
                "for each class with the pictures of that class in it."
            ) from problem
        self.classes = pictures.classes
        self.device = torch.device(device)
        self.rank, self.world_size = rank, world_size
        self.generator = torch.Generator()
        share = _Share(len(pictures), rank, world_size, training, self.generator)
        self.count = len(share)
        self.loader = DataLoader(
            pictures,
            batch_size,
            sampler=share,
            num_workers=workers,
            generator=self.generator,
        )

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for x, y in self.loader:
            yield x.to(self.device), y.to(self.device)


class _Share(Sampler):
    """The indices that one process of several sees, as `data.Batches` deals them."""

    def __init__(self, total, rank, world_size, shuffle, generator):
        self.total, self.rank, self.world_size = total, rank, world_size
        self.shuffle, self.generator = shuffle, generator

    def __len__(self):
        return self.total // self.world_size

    def __iter__(self):
        order = torch.arange(self.total)
        if self.shuffle:
            order = torch.randperm(self.total, generator=self.generator)
        return iter(order[self.rank :: self.world_size][: len(self)].tolist())


def _transform(size, training):
    if training:
        window = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
    else:
        window = [v2.Resize(size * 8 // 7), v2.CenterCrop(size)]
    scale = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.ToImage(), *window, scale, v2.Normalize(MEAN, STD)])


def _open(path):
    try:
        return default_loader(path)
    except OSError as problem:
        raise DataError(
            f"{path} cannot be read as a picture ({problem}); delete or replace it."
        ) from problem
