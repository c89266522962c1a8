"""Boxes and their measures, against torchvision and COCO's own program."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision import ops

from cnnlib import boxes
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


def scenes(random, ties, whole):
    """Random truth, and what was found of it: near boxes, duplicates, and others."""
    found, truth = [], []
    for _ in range(15):
        count = int(torch.randint(0, 5, (), generator=random))
        other = int(torch.randint(0, 6, (), generator=random))
        true = some(count, random).round()
        kinds = torch.randint(3, (count,), generator=random)
        near = true.repeat(2, 1) + 2.5 * torch.randn(2 * count, 4, generator=random)
        corners = torch.cat([near, some(other, random)])
        corners[:, 2:] = torch.maximum(corners[:, 2:], corners[:, :2] + 1)
        corners = corners.round() if whole else corners
        scores = torch.rand(len(corners), generator=random)
        scores = (10 * scores).round() / 10 if ties else scores
        rest = torch.randint(3, (other,), generator=random)
        truth.append(Found(true, kinds, torch.ones(count)))
        found.append(Found(corners, torch.cat([kinds, kinds, rest]), scores))
    return found, truth


def listed(scene, number):
    """Boxes as COCO writes them: left, top, width, height."""
    for (left, top, right, bottom), kind, score in zip(
        *(part.tolist() for part in scene), strict=True
    ):
        wide, high = right - left, bottom - top
        box = {"bbox": [left, top, wide, high], "area": wide * high, "iscrowd": 0}
        yield box | {"image_id": number, "category_id": kind, "score": score}


def coco(found, truth, overlap):
    """The mean average precision that pycocotools computes."""
    both = [
        [box for number, scene in enumerate(part, 1) for box in listed(scene, number)]
        for part in (found, truth)
    ]
    real = COCO()
    real.dataset = {
        "images": [{"id": number + 1} for number in range(len(truth))],
        "categories": [{"id": kind} for kind in range(3)],
        "annotations": [box | {"id": place + 1} for place, box in enumerate(both[1])],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        real.createIndex()
        program = COCOeval(real, real.loadRes(both[0]), "bbox")
        program.params.iouThrs = np.array([overlap])
        program.evaluate()
        program.accumulate()
    precision = program.eval["precision"][0, :, :, 0, -1]
    return precision[precision > -1].mean()


@pytest.mark.parametrize("overlap", [0.5, 0.75])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_average_precision_is_cocos_to_twelve_digits(overlap, ties, whole):
    random = torch.Generator().manual_seed(3)
    for _ in range(5):
        found, truth = scenes(random, ties, whole)
        ours = boxes.mean_ap(found, truth, range(3), overlap)
        assert 0 < ours < 1
        assert ours == pytest.approx(coco(found, truth, overlap), abs=1e-12)


def test_average_precision_by_hand():
    right = torch.tensor([1.0, 0, 1, 1]).double().cumsum(0)
    precision, recall = right / torch.arange(1, 5), right / 4
    wanted = (26 * 1 + 50 * 0.75) / 101
    assert boxes.average_precision(precision, recall) == pytest.approx(wanted)


def test_perfect_boxes_have_a_precision_of_one_and_none_have_zero():
    _, truth = scenes(torch.Generator().manual_seed(4), False, True)
    assert boxes.mean_ap(truth, truth, range(3)) == 1
    none = [scene.where(scene.scores > 1) for scene in truth]
    assert boxes.mean_ap(none, truth, range(3)) == 0
