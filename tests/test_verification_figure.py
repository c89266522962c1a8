"""The still form and the data of the figure with a threshold."""

import itertools
import json
import re

import pytest
import torch

from cnnlib import experiments, figures
from cnnlib.experiments.verification import COMPARED
from cnnlib.figures.verification import summary


def made(seed, count=200):
    generator = torch.Generator().manual_seed(seed)
    draw = {"same": 300, "any": 900, "class": 600}
    return {
        kind: (torch.randn(count, generator=generator) * 250 + mean)
        .clamp(1, 3990)
        .int()
        .tolist()
        for kind, mean in draw.items()
    }


CODES = {"triplets": made(0), "pixels": made(1)}


def data(html):
    return json.loads(re.search(r'application/json">(.*?)</script>', html)[1])


def test_the_summary_is_what_scikit_learn_finds():
    metrics = pytest.importorskip("sklearn.metrics", reason="no scikit-learn here")
    for seed in range(10):
        same, strangers = made(seed)["same"], made(seed)["class"]
        right = [1] * len(same) + [0] * len(strangers)
        scores = [-distance for distance in [*same, *strangers]]
        accepts, hits, _ = metrics.roc_curve(right, scores, drop_intermediate=False)
        equal, rejected = summary(same, strangers)
        place = abs(1 - hits - accepts).argmin()
        assert equal == pytest.approx((1 - hits + accepts)[place] / 2)
        assert rejected == pytest.approx(1 - hits[accepts <= 0.01].max())


def test_the_still_form_has_every_code_with_both_kinds_of_strangers():
    html = figures.verification(CODES).form
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td>(.*?)</tr>', html)
    assert [(name, kind) for name, kind, _ in rows] == [
        (name, kind)
        for name in CODES
        for kind in ("any other garment", "another of the same class")
    ]
    equal, rejected = summary(CODES["pixels"]["same"], CODES["pixels"]["class"])
    assert f"{100 * equal:.1f} %" in rows[3][2]
    assert f"{100 * rejected:.1f} % rejected" in rows[3][2]


def test_the_script_gets_the_steps_between_sorted_whole_numbers():
    sent = data(figures.verification(CODES).form)
    assert [code["name"] for code in sent["codes"]] == list(CODES)
    for code in sent["codes"]:
        for kind in ("same", "any", "class"):
            found = list(itertools.accumulate(code[kind]))
            assert found == sorted(CODES[code["name"]][kind])


def test_a_code_without_one_kind_of_pairs_is_refused():
    without = {**made(0), "any": []}
    with pytest.raises(ValueError, match=r"'new' has no distances of \['any'\]: give"):
        figures.verification({"new": without})


def test_the_stored_pairs_are_below_32_kilobytes_and_ask_no_other_host():
    rows = experiments.load("verification-views")["rows"]
    codes = {
        row["setting"]["way"]: row["distances"] for row in rows if "distances" in row
    }
    assert sorted(codes) == sorted(COMPARED)
    figure = figures.verification(codes)
    assert figure.form == figures.verification(codes).form
    assert len(figure.form.encode()) < 32_000
    assert not re.search(r"src=.(?!data:)|href=|@import|url\(", figure.form)
    assert (
        repr(figure)
        == "A threshold to move over stored pairs of garments, on the page."
    )
