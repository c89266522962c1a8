"""What functions must do that readers write in the chapter on style."""

import numpy as np
import torch

from cnnlib.exercises import trials


@trials("style/exercise-grams")
def grams():
    """Channel by channel, with NumPy."""
    for count, channels, height, width in (1, 2, 2, 2), (3, 4, 5, 2), (2, 1, 3, 3):
        maps = torch.randn(count, channels, height, width)
        right = [
            [[(one * other).mean() for other in picture] for one in picture]
            for picture in maps.numpy()
        ]
        yield (maps,), torch.tensor(np.array(right))


@trials("style/exercise-discrepancy")
def discrepancy():
    """Pair by pair, with NumPy."""
    for channels, many, others in (1, 1, 1), (2, 3, 5), (4, 6, 2):
        one, other = torch.randn(channels, many), torch.randn(channels, others)
        bags = [bag.numpy().T for bag in (one, other)]

        def like(a, b):
            return np.mean([(x @ y) ** 2 for x in a for y in b])

        right = like(bags[0], bags[0]) + like(bags[1], bags[1]) - 2 * like(*bags)
        yield (one, other), torch.tensor(right)
