"""Boxes: how far two overlap, which of many to keep, and how good a detector is.

A box is (left, top, right, bottom) in pixels, where the last pixel ends: a box of one
pixel is (0, 0, 1, 1). What a detector says of a scene, and what is there, are `Found`.

Average precision is that of COCO (Lin et al., https://arxiv.org/abs/1405.0312), as its
own program computes it, https://github.com/cocodataset/cocoapi; without its limit of
100 boxes in a picture and its classes of size.
"""

from typing import NamedTuple

import torch

RECALLS = 0.01 * torch.arange(101, dtype=torch.float64)  # as numpy divides 0 to 1


class Found(NamedTuple):
    """Boxes of a scene: boxes (n, 4), kinds int64 (n,), and scores (n,), which for the
    truth are all 1."""

    boxes: torch.Tensor
    kinds: torch.Tensor
    scores: torch.Tensor

    def where(self, mask):
        """Those of a mask, or of indices."""
        return Found(*(part[mask] for part in self))


def iou(a, b):
    """Intersection over union of each box with each: (n, 4), (m, 4) -> (n, m)"""
    a, b = a[:, None], b[None]
    corner = (
        torch.maximum(a[..., :2], b[..., :2]),
        torch.minimum(a[..., 2:], b[..., 2:]),
    )
    intersection = (corner[1] - corner[0]).clamp(min=0).prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    return intersection / (area_a + area_b - intersection)


def nms(boxes, scores, overlap):
    """Non-maximum suppression: the indices that stay, the highest score first. A box
    goes that has an IoU above `overlap` with one of a higher score that stays."""
    order, kept = scores.argsort(descending=True, stable=True), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        order = rest[iou(boxes[best][None], boxes[rest])[0] <= overlap]
    return torch.stack(kept) if kept else order


def suppressed(found, overlap):
    """`found` after non-maximum suppression within each kind."""
    kept = [found.kinds[:0]]
    for kind in found.kinds.unique():
        own = (found.kinds == kind).nonzero()[:, 0]
        kept.append(own[nms(found.boxes[own], found.scores[own], overlap)])
    return found.where(torch.cat(kept))


def matches(found, truth, overlap=0.5):
    """The true box of each found one, or -1 where it is wrong: int64 (n,).

    By falling score each takes, of those not taken yet, the true box that it overlaps
    most, if that is an IoU of `overlap` or more. Of two found boxes on one true box the
    second is wrong. Kinds are not looked at.
    """
    overlaps = iou(found.boxes.double(), truth.boxes.double())
    taken = torch.full((len(found.boxes),), -1)
    free = torch.ones(len(truth.boxes), dtype=torch.bool)
    for place in found.scores.argsort(descending=True, stable=True).tolist():
        candidates = torch.where(free, overlaps[place], 0)
        if free.any() and candidates.max() >= overlap:
            taken[place] = candidates.argmax()
            free[taken[place]] = False
    return taken


def precision_recall(found, truth, kind, overlap=0.5):
    """(precision, recall) after each box of a kind, over all scenes, by falling score.

    `found` and `truth` are lists of `Found`, one of each for a scene.
    """
    scores, right, total = [], [], 0
    for ours, theirs in zip(found, truth, strict=True):
        ours, theirs = (part.where(part.kinds == kind) for part in (ours, theirs))
        scores.append(ours.scores)
        right.append(matches(ours, theirs, overlap) >= 0)
        total += len(theirs.boxes)
    order = torch.cat(scores).argsort(descending=True, stable=True)
    right = torch.cat(right)[order].double().cumsum(0)
    return right / torch.arange(1, len(right) + 1), right / total


def average_precision(precision, recall):
    """The mean over 101 recalls of the best precision at that recall or above."""
    best = precision.flip(0).cummax(0).values.flip(0)
    place = torch.searchsorted(recall, RECALLS)
    return torch.cat([best, best.new_zeros(1)])[place].mean().item()


def mean_ap(found, truth, kinds, overlap=0.5):
    """The mean of the average precisions of all kinds that occur in the truth."""
    there = torch.cat([scene.kinds for scene in truth]).unique().tolist()
    curves = [precision_recall(found, truth, k, overlap) for k in kinds if k in there]
    return sum(average_precision(*curve) for curve in curves) / len(curves)
