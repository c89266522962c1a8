"""Ascent: a picture that a network asks for, step by step, and what a judge says."""

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from cnnlib import data, measured
from cnnlib.figures.figure import Figure

WAYS = {"nothing": "no restraint", "all three": "all three restraints"}
JUDGES = {"own": "the network", "other seed": "the judge"}
SIDE = 28


def ascent(steps, rows, classes=data.CLASSES):
    """A `Figure` with a slider, steps of gradient ascent, that asks what a second
    network will say of the pictures before it shows that.

    `rows` are those of the experiment "seeing-steps", of which one has pictures, after
    each number of `steps`; `classes` are the names of the answers. Raises ValueError
    where none has pictures, or where they are not as many as the steps.
    """
    shown = next((row for row in rows if row["nothing"]["shown"]), None)
    if shown is None:
        raise ValueError("none of the rows has pictures: give that of seed 0 as well.")
    kinds = list(shown["nothing"]["shown"])
    counts = {
        len(parts)
        for row in rows
        for way in WAYS
        for parts in (
            *row[way]["shares"].values(),
            *(kind["pictures"] for kind in row[way]["shown"].values()),
        )
    }
    if counts != {len(steps)}:
        raise ValueError(
            f"give rows of {len(steps)} steps each, not of {sorted(counts)}."
        )
    said = {
        way: {
            kind: {who: shown[way]["shown"][kind][who] for who in JUDGES}
            for kind in kinds
        }
        for way in WAYS
    }
    shares = {
        way: {
            who: [[_whole(v) for v in row[way]["shares"][who]] for row in rows]
            for who in JUDGES
        }
        for way in WAYS
    }
    names = [classes[int(kind)] for kind in kinds]
    sheet = _sheet(
        [shown[way]["shown"][kind]["pictures"] for way in WAYS for kind in kinds]
    )
    still = (
        f"<p>{_in_words(names)}: pictures that a network asks for, after "
        f"{', '.join(map(str, steps[:-1]))} and {steps[-1]} steps. The upper "
        f"{len(kinds)} rows without restraint, the lower {len(kinds)} with all three."
        f"</p><!--{measured(f'-->{sheet}<!--')}-->{_table(steps, names, said, shares)}"
    )
    content = {
        "steps": list(steps),
        "classes": list(classes),
        "kinds": [int(kind) for kind in kinds],
        "said": said,
        "shares": shares,
    }
    line = "A slider over steps of gradient ascent, on the page."
    return Figure("ascent", still, content, line, ["guess"])


def _whole(share):
    """Thousandths."""
    return round(1000 * share)


def _in_words(names):
    return f"{', '.join(names[:-1])} and {names[-1]}".lower().capitalize()


def _sheet(rows):
    """An <img> of all pictures, a row of each; 15 of their grey values is ink."""
    tiles = [[_unpacked(picture) for picture in row] for row in rows]
    ink = np.concatenate([np.concatenate(row, 1) for row in tiles])
    file, sheet = io.BytesIO(), Image.fromarray(ink, "P")
    sheet.putpalette([grey for step in range(16) for grey in 3 * (255 - 17 * step,)])
    sheet.save(file, "PNG", optimize=True, bits=4)
    source = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    alt = escape(
        "Grey noise on the left becomes black and white speckle in the upper rows, and "
        "soft stripes on white in the lower ones."
    )
    height, width = ink.shape
    return f'<img src="{source}" alt="{alt}" width="{2 * width}" height="{2 * height}">'


def _unpacked(text):
    """uint8 (28, 28) from 0 to 15, of which two stand in a byte."""
    values = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.stack([values >> 4, values & 15], 1).reshape(SIDE, SIDE)


def _table(steps, names, said, shares):
    """The probability of the wanted class, and the share recognised, by steps."""
    lines = [
        (f"{name}, {WAYS[way]}, {JUDGES[who]}", words[who]["wanted"])
        for way, by_kind in said.items()
        for name, words in zip(names, by_kind.values(), strict=True)
        for who in JUDGES
    ] + [
        (f"all kinds, {WAYS[way]}, {JUDGES[who]}", np.mean(runs, 0))
        for way, by_judge in shares.items()
        for who, runs in by_judge.items()
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("after steps", *steps))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td align="right">{value / 10:.0f}</td>' for value in values)
        + "</tr>"
        for name, values in lines
    )
    return (
        "<p>In percent: the probability of the wanted class, says the network that the "
        "picture was made for and says the judge; in the last rows the share of all "
        "pictures that they recognise, a mean over the seeds.</p>"
        f'<table class="stages"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table>"
    )
