"""Boxes and their measures, against torchvision and by hand."""

import pytest
import torch
from torchvision import ops

from cnnlib import boxes, scenes
from cnnlib.boxes import Found


def some(count, random, size=30):
    corner = 60 * torch.rand(count, 2, generator=random)
    return torch.cat(
        [corner, corner + 5 + size * torch.rand(count, 2, generator=random)], 1
    )


def test_iou_is_torchvisions_and_that_of_hand():
    random = torch.Generator().manual_seed(0)
    a, b = some(40, random), some(25, random)
    assert torch.equal(boxes.iou(a, b), ops.box_iou(a, b))
    moved = torch.tensor([[5.0, 5, 25, 15], [30, 20, 40, 30]])
    found = boxes.iou(torch.tensor([[0.0, 0, 20, 10]]), moved)
    assert torch.equal(found, torch.tensor([[75 / 325, 0]]))  # apart in both directions


def test_suppression_is_torchvisions_at_every_limit():
    random = torch.Generator().manual_seed(1)
    for count in (0, 1, 2, 40):
        for limit in (0.0, 0.3, 0.5, 0.9, 1.0):
            corners, scores = some(count, random), torch.rand(count, generator=random)
            kept = boxes.nms(corners, scores, limit)
            assert torch.equal(kept, ops.nms(corners, scores, limit))


def test_suppression_looks_at_each_kind_alone():
    random = torch.Generator().manual_seed(2)
    found = Found(
        some(60, random, 60),
        torch.randint(3, (60,), generator=random),
        torch.rand(60, generator=random),
    )
    kept = boxes.suppressed(found, 0.3)
    wanted = ops.batched_nms(found.boxes, found.scores, found.kinds, 0.3)
    order = kept.scores.argsort(descending=True)
    assert torch.equal(kept.boxes[order], found.boxes[wanted])
    assert torch.equal(kept.kinds[order], found.kinds[wanted])
    assert len(boxes.suppressed(found.where(found.scores > 2), 0.3).boxes) == 0


def test_one_garment_can_be_found_once():
    true = Found(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]), torch.ones(1))
    corners = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [40, 40, 50, 50]])
    found = Found(corners, torch.zeros(3).long(), torch.tensor([0.5, 0.9, 0.8]))
    assert boxes.matches(found, true).tolist() == [-1, 0, -1]
    none = true.where(true.scores > 1)
    assert boxes.matches(found, none).tolist() == [-1, -1, -1]


def test_average_precision_by_hand():
    right = torch.tensor([1.0, 0, 1, 1]).double().cumsum(0)
    precision, recall = right / torch.arange(1, 5), right / 4
    wanted = (26 * 1 + 50 * 0.75) / 101
    assert boxes.average_precision(precision, recall) == pytest.approx(wanted)


def test_perfect_boxes_have_a_precision_of_one_and_none_have_zero():
    _, truth = scenes.scenes(10, "test", 0)
    assert boxes.mean_ap(truth, truth, range(3)) == 1
    none = [scene.where(scene.scores > 1) for scene in truth]
    assert boxes.mean_ap(none, truth, range(3)) == 0
