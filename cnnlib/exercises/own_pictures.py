"""What the functions of the exercises on one's own pictures must do."""

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy.sparse.csgraph import connected_components

from cnnlib.exercises import trials


@trials("own-pictures/exercise-upright")
def upright():
    """By Pillow, which reads the note of the camera itself."""
    for height, width in (2, 3), (4, 4), (1, 5):
        for orientation in (1, 3, 6, 8):
            stored = torch.randint(256, (height, width), dtype=torch.uint8)
            picture = Image.fromarray(stored.numpy())
            picture.getexif()[0x0112] = orientation
            turned = np.array(ImageOps.exif_transpose(picture))
            yield (stored, orientation), torch.from_numpy(turned)


@trials("own-pictures/exercise-groups")
def groups():
    chain = torch.zeros(6, 6, dtype=torch.bool)
    for i, j in (5, 0), (0, 3), (3, 1):
        chain[i, j] = chain[j, i] = True
    sparse = torch.rand(12, 12) < 0.06
    for linked in torch.eye(3, dtype=torch.bool), chain, sparse | sparse.T:
        _, labels = connected_components(linked.numpy())
        first = [np.flatnonzero(labels == label)[0] for label in labels]
        yield (linked,), torch.tensor(np.array(first))
