"""What functions must do that readers write in the chapter on detection."""

import torch
from torchvision import ops

from cnnlib.exercises import trials


def _boxes(count):
    corner = 30 * torch.rand(count, 2)
    return torch.cat([corner, corner + 4 + 20 * torch.rand(count, 2)], 1)


@trials("detection/exercise-generalised-iou")
def generalised_iou():
    for n, m in (1, 1), (3, 5), (20, 8):
        a, b = _boxes(n), _boxes(m) + 15 * torch.rand(1)
        yield (a, b), ops.generalized_box_iou(a, b)


@trials("detection/exercise-soft-nms")
def soft_nms():
    """In plain loops, over torchvision's overlaps."""
    for count in (1, 2, 6, 15):
        corners, scores = _boxes(count), torch.rand(count)
        overlaps = ops.box_iou(corners, corners).tolist()
        left, waiting = scores.tolist(), list(range(count))
        while waiting:
            best = max(waiting, key=lambda place: left[place])
            waiting.remove(best)
            for place in waiting:
                left[place] *= 1 - overlaps[best][place]
        yield (corners, scores), torch.tensor(left)
