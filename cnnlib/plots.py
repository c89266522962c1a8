"""Figures of the book: functions of numbers that draw into `ax` and return it.

`use_style` is called once per chapter; the looks live in house.mplstyle.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np


def use_style():
    """Use the book's style; in a notebook also draw at twice the resolution."""
    plt.style.use(Path(__file__).parent / "house.mplstyle")
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def pictures(images, titles=None, columns=8, side=0.8):
    """A grid of grey images (N, H, W), drawn dark on light; returns the axes (N,).

    `side` is the width of one image in inches.
    """
    count = len(images)
    columns = min(columns, count)
    rows = -(-count // columns)
    size = columns * side, rows * (side + (0.06 if titles is None else 0.22))
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image in zip(axes.flat, images, strict=False):
        ax.imshow(image, cmap="gray_r")
    for ax, title in zip(axes.flat, titles or (), strict=False):
        ax.set_title(title, pad=2)
    return axes.flatten()[:count]


def bars(labels, values, ax=None, unit=""):
    """Horizontal bars, the first on top, each with its value written beside it."""
    ax = ax or plt.gca()
    places = np.arange(len(values))
    drawn = ax.barh(places, values)
    ax.set_yticks(places, labels)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.bar_label(drawn, [f"{value:,}{unit}" for value in values], padding=3)
    ax.set_xlim(0, 1.3 * max(values))  # room for the longest label
    ax.set_xticks([])
    return ax


def spread(groups, ax=None):
    """One line per group of values: every value a dot, min to max a bar.

    `groups` maps a label to its values, one per seed.
    """
    ax = ax or plt.gca()
    for place, values in enumerate(groups.values()):
        ax.hlines(place, min(values), max(values), linewidth=5, alpha=0.3)
        ax.plot(values, [place] * len(values), "o", color="C0")
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    return ax


def confusion(counts, classes, ax=None):
    """A confusion matrix of counts (K, K), true class by row, predicted by column."""
    ax = ax or plt.gca()
    counts = np.asarray(counts)
    shares = counts / counts.sum(1, keepdims=True)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            ax.text(column, row, count, ha="center", va="center", color=colour)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=45, ha="right")
    ax.set_yticks(ticks, classes)
    ax.set(xlabel="predicted", ylabel="true")
    ax.grid(visible=False)
    return ax
