"""The still form and the data of the figure with two thresholds."""

import itertools
import json
import re

import pytest

from cnnlib import boxes, experiments, figures
from cnnlib.figures.detection import STILL, measures, tensors

(ROW,) = experiments.load("detection-shown")["rows"]
HTML = figures.detection(ROW).form


def test_the_still_form_has_the_numbers_of_each_setting():
    cells = re.findall(r"<td.*?>(.*?)</td>", HTML)
    lines = [cells[place : place + 7] for place in range(0, len(cells), 7)]
    assert len(lines) == len(STILL)
    for line, (least, overlap) in zip(lines, STILL, strict=True):
        right, wrong, true, ap = measures(ROW, least, overlap)
        assert line[0] == f"{least:.2f}" and line[2:4] == [str(right), str(wrong)]
        assert line[4:] == [
            f"{share:.3f}" for share in (right / (right + wrong), right / true, ap)
        ]


def test_right_boxes_are_those_that_the_curves_count():
    found, truth = tensors(ROW)
    for least, overlap in STILL:
        kept = [boxes.suppressed(f.where(f.scores >= least), overlap) for f in found]
        total = 0
        for kind in range(3):
            precision, recall = boxes.precision_recall(kept, truth, kind)
            of = sum((own.kinds == kind).sum() for own in truth)
            total += round((recall[-1] * of).item())
            assert precision[-1] == pytest.approx(
                (recall[-1] * of).item() / len(recall)
            )
        assert total == measures(ROW, least, overlap)[0]


def test_a_higher_lowest_score_never_raises_the_precision():
    for overlap in (1.0, 0.5):
        aps = [measures(ROW, least / 20, overlap)[3] for least in range(1, 20)]
        assert all(after <= before for before, after in itertools.pairwise(aps))


def test_the_script_gets_the_scenes_of_the_call():
    found = json.loads(re.search(r'application/json">(.*?)</script>', HTML)[1])
    assert found["kinds"] == ["trouser", "sneaker", "bag"]
    assert found["scenes"] == ROW["scenes"]
    one = ROW | {"scenes": ROW["scenes"][:1]}
    (cells,) = re.findall(
        r"<p>Boxes in these (\d+) scenes", figures.detection(one).form
    )
    assert cells == "1"


def test_it_is_small_the_same_in_every_run_and_needs_no_other_host():
    assert figures.detection(ROW).form == HTML
    assert len(HTML.encode()) < 40_000
    elsewhere = r"https?://(?!www.w3.org/2000/svg)|src=(?!\"data:)|href=|@import|url\("
    assert not re.search(elsewhere, HTML)
    said = (
        "Two sliders, score and overlap, over the boxes of twelve scenes, on the page."
    )
    assert repr(figures.detection(ROW)) == said
