"""Scenes: some garments on a canvas, each with a box that is known to the pixel.

The garments are real, their places are not: nobody had to draw a box by hand, and how
many there are, how large and how close together, is ours to choose.
"""

import torch
import torch.nn.functional as F

from cnnlib import data
from cnnlib.boxes import Found, iou

SIDE = 96  # pixels of the canvas
KINDS = (1, 7, 8)  # trousers, sneakers and bags: tall, wide and about square
INK = 40  # grey values above are the garment, others its background
TRIES = 200  # places for a garment, before it is left out


def cut_out(picture):
    """The part of a picture (28, 28) within the tight box of its garment: (h, w)"""
    rows, columns = ((picture > INK).any(axis).nonzero()[:, 0] for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scene(garments, random, apart=(0, 0.15), count=(1, 4)):
    """(picture uint8 (96, 96), `Found`) with so many garments, from `count[0]` to
    `count[1]`, of a list of pairs (cut-out, kind), drawn with the generator `random`.

    The largest IoU that a garment has with those before it is in the range `apart`,
    the upper end excluded; where `TRIES` places do not do, the garment is left out.
    Later ones lie in front.
    """
    canvas = 20 + 10 * torch.randn(SIDE, SIDE, generator=random)
    boxes, kinds = torch.zeros(0, 4), []
    for _ in range(int(torch.randint(count[0], count[1] + 1, (), generator=random))):
        which = int(torch.randint(len(garments), (), generator=random))
        cut, kind = garments[which]
        zoom = 0.8 + 0.7 * float(torch.rand((), generator=random))
        size = [max(round(zoom * length), 4) for length in cut.shape]
        drawn = F.interpolate(cut[None, None].float(), size, mode="bilinear")[0, 0]
        drawn = cut_out(drawn)
        height, width = drawn.shape
        for _ in range(TRIES):
            top, left = (
                int(torch.randint(SIDE - size + 1, (), generator=random))
                for size in (height, width)
            )
            box = torch.tensor([[left, top, left + width, top + height]]).float()
            closest = iou(box, boxes).amax() if len(boxes) else None
            if closest is None or apart[0] <= closest < apart[1]:
                part = canvas[top : top + height, left : left + width]
                part.copy_(torch.where(drawn > INK, drawn, part))
                boxes, kinds = torch.cat([boxes, box]), [*kinds, kind]
                break
    truth = Found(boxes, torch.tensor(kinds, dtype=torch.int64), torch.ones(len(kinds)))
    return canvas.clamp(0, 255).byte(), truth


def scenes(number, part, seed, kinds=KINDS, alike=False, **how):
    """(pictures uint8 (number, 96, 96), list of `Found`), made of the "train" or "test"
    garments of these classes; a kind is its place in `kinds`. `alike`: all garments of
    a scene are of one kind; the rest is for `scene`."""
    images, labels = data.fashion_mnist()[part == "test"]
    garments = [
        [(cut_out(image[0]), kind) for image in images[labels == label]]
        for kind, label in enumerate(kinds)
    ]
    random = torch.Generator().manual_seed(seed)
    everything = [garment for kind in garments for garment in kind]
    found = [
        scene(garments[place % len(kinds)] if alike else everything, random, **how)
        for place in range(number)
    ]
    return torch.stack([picture for picture, _ in found]), [truth for _, truth in found]
