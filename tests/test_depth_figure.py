"""The still form and the data of the figure of plain and residual networks by depth."""

import copy
import json
import re

import pytest

from cnnlib import experiments, figures
from cnnlib.figures.depth import KINDS

ROWS = experiments.load("depth")["rows"]


def still_rows(html):
    """{name: cells} of the still form."""
    found = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', html)
    return {name: re.findall(r"<td.*?>(.*?)</td>", cells) for name, cells in found}


def data(html):
    return json.loads(re.search(r'application/json">(.*?)</script>', html)[1])


def picked(kind, depth, rate=0.1):
    of = {"kind": kind, "depth": depth, "rate": rate}
    return [row for row in ROWS if of.items() <= row["setting"].items()]


def test_the_still_form_has_every_network_its_ends_and_two_epochs():
    found = still_rows(figures.depth(ROWS).form)
    assert list(found) == [
        *("plain-8", "residual-8", "plain-20", "residual-20"),
        *("plain-32", "residual-32", "plain-56", "plain-56, rate 0.03", "residual-56"),
    ]
    (row,) = picked("plain", 8)
    ends = (row["end_train_error"], row["end_test_error"])
    early = (row["train_error"][4], row["train_error"][9])
    assert found["plain-8"] == ["1", *(f"{100 * e:.2f}" for e in (*ends, *early))]
    low, middle, high = sorted(r["end_test_error"] for r in picked("residual", 56))
    spread = f"{100 * middle:.2f} ({100 * low:.2f}-{100 * high:.2f})"
    assert found["residual-56"][:3:2] == ["3", spread]


def test_the_script_gets_every_run_in_hundredths_of_a_percent():
    found = data(figures.depth(ROWS).form)
    assert (found["depths"], found["epochs"], found["rate"]) == (
        [8, 20, 32, 56],
        20,
        0.1,
    )
    assert {of["kind"] for of in found["series"]} == {*KINDS}
    assert sum(len(of["train"]["runs"]) for of in found["series"]) == 17
    for of in found["series"]:
        rows = picked(of["kind"], of["depth"], of["rate"])
        for error in ("train", "test"):
            curves = [[v / 10_000 for v in run] for run in of[error]["runs"]]
            assert curves == [row[f"{error}_error"] for row in rows]
            ends = [row[f"end_{error}_error"] for row in rows]
            assert [v / 10_000 for v in of[error]["ends"]] == pytest.approx(ends)


def test_the_data_are_those_of_the_call():
    rows = copy.deepcopy(ROWS)
    rows[0]["end_train_error"] = 0.5
    assert "(5.92-50.00)" in still_rows(figures.depth(rows).form)["plain-20"][1]


def test_another_rate_can_be_the_main_one():
    rows = [row for row in ROWS if row["setting"]["depth"] == 56]
    slow = [
        row | {"setting": row["setting"] | {"rate": 0.03}}
        for row in rows
        if row["setting"]["kind"] == "residual"
    ]
    found = data(figures.depth([*rows, *slow], rate=0.03).form)
    assert [(of["kind"], of["rate"]) for of in found["series"]] == [
        *(("plain", 0.03), ("plain", 0.1)),
        *(("residual", 0.03), ("residual", 0.1)),
    ]


def test_a_depth_without_one_of_the_kinds_is_refused():
    rows = [row for row in ROWS if row["setting"]["depth"] != 8]
    message = "no residual network of 8 layers at a rate of 0.1: give rows of both"
    with pytest.raises(ValueError, match=message):
        figures.depth([*rows, *picked("plain", 8)])


def test_runs_of_other_lengths_are_refused():
    short = copy.deepcopy(ROWS)
    short[1]["train_error"].pop()
    with pytest.raises(ValueError, match=r"equally many epochs, not of \[19, 20\]"):
        figures.depth(short)


def test_it_is_small_the_same_in_every_run_and_needs_no_other_host():
    html = figures.depth(ROWS).form
    assert html == figures.depth(ROWS).form
    assert len(html.encode()) < 24_000
    elsewhere = r"https?://(?!www.w3.org/2000/svg)|src=|href=|@import|url\("
    assert not re.search(elsewhere, html)
    said = "Plain against residual networks of 8, 20, 32 or 56 layers, on the page."
    assert repr(figures.depth(ROWS)) == said
