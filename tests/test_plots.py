"""Figures draw the numbers they are given."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cnnlib import plots


@pytest.fixture(autouse=True)
def closed():
    plots.use_style()
    yield
    plt.close("all")


def test_pictures_are_laid_out_in_rows_with_their_titles():
    axes = plots.pictures(np.arange(20.0).reshape(5, 2, 2), list("abcde"), columns=3)
    assert [ax.get_title() for ax in axes] == list("abcde")
    assert axes[4].images[0].get_array().tolist() == [[16, 17], [18, 19]]
    assert len(plt.gcf().axes) == 6


def test_bars_stand_from_top_to_bottom_with_their_values():
    ax = plots.bars(["first", "second"], [1234, 10])
    assert [bar.get_width() for bar in ax.patches] == [1234, 10]
    assert [text.get_text() for text in ax.texts] == ["1,234", "10"]
    bottom, top = ax.get_ylim()
    assert bottom > top, "the first bar is on top"


def test_two_charts_that_share_an_axis_keep_the_first_bar_on_top():
    _, axes = plt.subplots(1, 2, sharey=True)
    for ax in axes:
        plots.bars(["first", "second"], [1, 2], ax)
    bottom, top = axes[0].get_ylim()
    assert bottom > top


def test_spread_shows_every_value_and_its_range():
    ax = plots.spread({"a": [3, 1, 2], "b": [5]})
    assert [list(line.get_xdata()) for line in ax.lines] == [[3, 1, 2], [5]]
    ranges = [lines.get_segments()[0][:, 0].tolist() for lines in ax.collections]
    assert ranges == [[1, 3], [5, 5]]


def test_confusion_writes_counts_and_shades_shares_of_the_true_class():
    ax = plots.confusion([[8, 2], [0, 1]], ["x", "y"])
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts == {(0, 0): "8", (1, 0): "2", (1, 1): "1"}
    assert ax.images[0].get_array().tolist() == [[0.8, 0.2], [0, 1]]
