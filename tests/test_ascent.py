"""The still form and the data of the figure of gradient ascent."""

import base64
import copy
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from cnnlib import data, figures

STEPS = (0, 1, 5, 200)
KINDS = (1, 4, 7)
WAYS = ("nothing", "all three")


def made_up(pairs=3, steps=STEPS):
    """Rows like those of the experiment, of random numbers."""
    random = np.random.default_rng(0)

    def picture():
        return base64.b64encode(random.bytes(28 * 28 // 2)).decode()

    def said(kind):
        answers = random.integers(0, 10, len(steps)).tolist()
        sure = random.integers(100, 1000, len(steps)).tolist()
        wanted = [
            share if answer == kind else share // 3
            for share, answer in zip(sure, answers, strict=True)
        ]
        return {"wanted": wanted, "sure": sure, "class": answers}

    def way(first):
        who = ("own", "other seed")
        shares = {name: random.uniform(0, 1, len(steps)).tolist() for name in who}
        shown = {
            str(kind): {"pictures": [picture() for _ in steps]}
            | {name: said(kind) for name in who}
            for kind in (KINDS if first else ())
        }
        return {"shares": shares, "shown": shown}

    return [{name: way(seed == 0) for name in WAYS} for seed in range(pairs)]


ROWS = made_up()


def grey(row, way, kind, step):
    """Ink of a picture from 0 to 15, unpacked digit by digit: (28, 28)"""
    packed = base64.b64decode(row[way]["shown"][str(kind)]["pictures"][step]).hex()
    return np.array([int(digit, 16) for digit in packed]).reshape(28, 28)


def content(html):
    return json.loads(re.search(r'application/json">(.*?)</script>', html)[1])


def test_the_still_form_shows_every_picture_at_its_place():
    html = figures.ascent(STEPS, ROWS).form
    source = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="[^"]+"', html)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(source[1]))).convert("L"))
    assert sheet.shape == (28 * 6, 28 * 4)
    for row, (way, kind) in enumerate((w, k) for w in WAYS for k in KINDS):
        for step in range(len(STEPS)):
            tile = sheet[28 * row :, 28 * step :][:28, :28]
            assert (tile == 255 - 17 * grey(ROWS[0], way, kind, step)).all()


def test_the_still_form_has_all_probabilities_and_the_shares_over_the_seeds():
    html = figures.ascent(STEPS, ROWS).form
    found = {
        name: re.findall("<td.*?>(.*?)</td>", cells)
        for name, cells in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', html)
    }
    assert len(found) == 12 + 4
    words = ROWS[0]["all three"]["shown"]["4"]["other seed"]["wanted"]
    name = "Coat, all three restraints, the judge"
    assert found[name] == [f"{value / 10:.0f}" for value in words]
    runs = np.array([row["nothing"]["shares"]["other seed"] for row in ROWS])
    means = [float(v) for v in found["all kinds, no restraint, the judge"]]
    assert means == pytest.approx(100 * runs.mean(0), abs=0.6)


def test_the_script_gets_what_was_said_and_the_shares_in_thousandths():
    found = content(figures.ascent(STEPS, ROWS).form)
    assert (found["steps"], found["kinds"]) == ([*STEPS], [*KINDS])
    assert found["classes"] == [*data.CLASSES]
    own = ROWS[0]["nothing"]["shown"]["7"]["own"]
    assert found["said"]["nothing"]["7"]["own"] == own
    for row, run in zip(ROWS, found["shares"]["all three"]["own"], strict=True):
        assert run == [round(1000 * v) for v in row["all three"]["shares"]["own"]]


def test_rows_without_pictures_or_of_other_steps_are_refused():
    with pytest.raises(ValueError, match="none of the rows has pictures"):
        figures.ascent(STEPS, ROWS[1:])
    short = copy.deepcopy(ROWS)
    short[1]["nothing"]["shares"]["own"].pop()
    with pytest.raises(ValueError, match=r"rows of 4 steps each, not of \[3, 4\]"):
        figures.ascent(STEPS, short)


def test_it_is_small_the_same_in_every_run_and_needs_no_other_host():
    html = figures.ascent(STEPS, ROWS).form
    assert html == figures.ascent(STEPS, ROWS).form
    nine = figures.ascent(range(9), made_up(steps=range(9))).form
    assert len(nine.encode()) < 52_000  # noise: the real pictures are smaller
    assert not re.search(r"https?://|src=.(?!data:)|href=|@import|url\(", html)
    line = "A slider over steps of gradient ascent, on the page."
    assert repr(figures.ascent(STEPS, ROWS)) == line
