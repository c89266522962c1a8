"""Average precision, against COCO's own program."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cnnlib import boxes
from cnnlib.boxes import Found


def some(count, random):
    corner = 60 * torch.rand(count, 2, generator=random)
    size = 5 + 30 * torch.rand(count, 2, generator=random)
    return torch.cat([corner, corner + size], 1)


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
