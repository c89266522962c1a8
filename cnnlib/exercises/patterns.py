"""What functions must do that readers write in the chapter on design patterns."""

import torch
import torch.nn.functional as F

from cnnlib.exercises import trials


@trials("patterns/exercise-path-lengths")
def path_lengths():
    """Every path walked, one by one."""

    def walked(columns):
        if columns == 1:
            return [1]
        halves = walked(columns - 1)
        return [1, *(first + second for first in halves for second in halves)]

    for columns in 1, 2, 3, 5:
        lengths = walked(columns)
        yield (columns,), torch.tensor(lengths).bincount()


@trials("patterns/exercise-transition")
def transition():
    """Windows cut out one by one, and every second place of a convolution."""
    for batch, channels, new, height, width in (1, 1, 1, 2, 2), (2, 3, 5, 6, 8):
        x = torch.randn(batch, channels, height, width)
        weight = torch.randn(new, channels, 3, 3)
        windows = x.unfold(2, 2, 2).unfold(3, 2, 2)  # (N, C, H/2, W/2, 2, 2)
        everywhere = F.conv2d(F.pad(x, (1, 1, 1, 1)), weight)
        right = windows.amax((-1, -2)), everywhere[:, :, ::2, ::2]
        yield (x, weight), torch.cat(right, 1)
