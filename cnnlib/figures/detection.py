"""Detection: what two thresholds do to the boxes of stored scenes, and to precision."""

import torch

from cnnlib import boxes, data, scenes
from cnnlib.boxes import Found
from cnnlib.figures.figure import Figure

KINDS = [data.CLASSES[kind].lower() for kind in scenes.KINDS]
LEAST, FREE = 0.05, 1.0  # where the sliders stand first: all boxes, none suppressed
STILL = ((0.05, 1.0), (0.05, 0.5), (0.05, 0.1), (0.5, 1.0), (0.5, 0.5), (0.8, 0.5))


def detection(row):
    """A `Figure` with two sliders, the lowest score and the largest overlap of the
    boxes that stay, over the scenes of `row`, one of the experiment "detection-shown":
    their boxes, precision and recall, and the average precision after a guess."""
    heads = "score from", "overlap up to", "right", "wrong", "precision", "recall", "AP"
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td align="right">{value}</td>' for value in _line(row, *setting))
        + "</tr>"
        for setting in STILL
    )
    count = len(row["scenes"])
    said = f"{count} scenes, the last third of them with two overlapping garments."
    still = (
        f'<img alt="{said}" src="data:image/jpeg;base64,{row["sheet"]}">'
        f"<p>Boxes in these {count} scenes that have a score and, after suppression, "
        "an overlap as given: right and wrong ones at an IoU of 0.5, and the average "
        "precision, a mean over the kinds.</p>"
        f'<table class="stages"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody>'
        "</table>"
    )
    line = (
        "Two sliders, score and overlap, over the boxes of twelve scenes, on the page."
    )
    values = {"kinds": KINDS, "least": LEAST, "scenes": row["scenes"]}
    return Figure("detection", still, values, line, ["drawing", "guess"])


def tensors(row):
    """The scenes of a row as two lists of `Found`: what was found, and the truth."""
    return tuple(
        [_found(scene[name]) for scene in row["scenes"]] for name in ("found", "true")
    )


def _found(rows):
    """`Found` in float64, as JavaScript computes; the truth has scores of 1."""
    width = len(rows[0]) if rows else 6
    values = torch.tensor(rows, dtype=torch.float64).reshape(-1, width)
    scores = values[:, 5] if width == 6 else torch.ones(len(rows))
    return Found(values[:, :4], values[:, 4].long(), scores)


def measures(row, least, overlap):
    """(right boxes, wrong ones, true ones, AP) with these two thresholds."""
    found, truth = tensors(row)
    kept = [boxes.suppressed(one.where(one.scores >= least), overlap) for one in found]
    right = sum(
        (boxes.matches(*(x.where(x.kinds == kind) for x in both)) >= 0).sum().item()
        for both in zip(kept, truth, strict=True)
        for kind in range(len(KINDS))
    )
    wrong = sum(len(one.boxes) for one in kept) - right
    ap = boxes.mean_ap(kept, truth, range(len(KINDS)))
    return right, wrong, sum(len(one.boxes) for one in truth), ap


def _line(row, least, overlap):
    right, wrong, true, ap = measures(row, least, overlap)
    shares = right / max(right + wrong, 1), right / true, ap
    limits = f"{least:.2f}", "all stay" if overlap == 1 else f"{overlap:.2f}"
    return (*limits, right, wrong, *(f"{share:.3f}" for share in shares))
