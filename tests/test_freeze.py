"""The still form and the data of the figure with frozen stages."""

import json
import re

import numpy as np
import pytest

from cnnlib import figures

SIZES = (5, 100)
# seeds x four to none frozen x sizes
LEARNT = np.linspace(0.4, 0.8, 30).reshape(3, 5, 2)
SHARES = {"learnt": LEARNT, "random": LEARNT - 0.1}


def test_the_still_form_has_every_start_number_and_size():
    html = figures.freeze(SIZES, SHARES).form
    rows = re.findall(r'<th scope="row">(.*?)</th><td.*?>(.*?)</td>', html)
    assert len(rows) == 10
    assert rows[0][0] == "learnt, 4 frozen" and rows[4][0] == "learnt, none frozen"
    assert rows[9][0] == "from scratch"
    low, mean, high = 40, 100 * LEARNT[:, 0, 0].mean(), 100 * LEARNT[2, 0, 0]
    assert rows[0][1] == f"{mean:.1f} ({low:.1f}-{high:.1f})"


def test_the_script_gets_thousandths_by_size_and_number():
    html = figures.freeze(SIZES, SHARES).form
    found = json.loads(re.search(r'application/json">(.*?)</script>', html)[1])
    assert found["sizes"] == [5, 100]
    assert found["learnt"][1][4] == [round(1000 * share) for share in LEARNT[:, 4, 1]]
    assert np.shape(found["random"]) == (2, 5, 3)


@pytest.mark.parametrize("shape", [(3, 4, 2), (3, 5, 3), (5, 2)])
def test_accuracies_of_another_shape_are_refused(shape):
    message = rf"'random' has accuracies of shape {re.escape(str(shape))}: give"
    with pytest.raises(ValueError, match=message):
        figures.freeze(SIZES, SHARES | {"random": np.zeros(shape)})


def test_the_figure_is_smaller_than_12_kilobytes_and_asks_no_other_host():
    shares = np.zeros((5, 5, 4)) + 0.123
    html = figures.freeze((5, 20, 100, 500), {"learnt": shares, "random": shares}).form
    assert len(html.encode()) < 12_000
    assert not re.search(r"https?://|src=.(?!data:)|href=|@import|url\(", html)
