"""The comparison of outputs passes a picture rendered anew and notices another one."""

import base64
import io
import itertools
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_output

from cnnlib import data, plots
from tools import comparison, form
from tools.comparison import differences

HOUSE = form.ROOT / "cnnlib/house.mplstyle"


def output(draw, **style):
    """A figure that `draw(rng)` fills, as a cell's output; `style` has a seed and what
    another machine's matplotlib may do otherwise."""
    rng = np.random.default_rng(style.pop("seed", 0))
    dpi = style.pop("dpi", 100)
    with plt.style.context([HOUSE, style]):
        file = io.BytesIO()
        plt.figure()
        draw(rng)
        plt.savefig(file, format="png", dpi=dpi, bbox_inches="tight")
        plt.close("all")
    content = base64.b64encode(file.getvalue()).decode()
    return new_output("display_data", {"image/png": content, "text/plain": "<Figure>"})


@cache
def photographs():
    return data.fashion_mnist()[1].images[:, 0].numpy()


def curves(rng):
    for rate in (0.1, 0.2, 0.4):
        loss = np.exp(-rate * np.arange(20)) + rng.normal(0, 0.02, 20)
        plt.plot(loss, marker="o", label=f"learning rate {rate}")
    plt.gca().set(xlabel="epoch", ylabel="training loss", title="Three rates")
    plt.legend()


def rising_curves(rng):
    for rate in (0.1, 0.2, 0.4):
        plt.plot(1 - np.exp(-rate * np.arange(20)), marker="o", label=f"rate {rate}")
    plt.gca().set(xlabel="epoch", ylabel="accuracy")
    plt.legend(loc="lower right")


def axes_alone(rng):
    plt.gca().set(
        xlabel="epoch", ylabel="training loss", title="Three rates", xlim=(0, 20)
    )


def bars(rng):
    plots.bars(["conv1", "conv2", "fc1", "fc2"], [150, 2400, 48_000, 10_080])


def garments(rng):
    images = photographs()[:4]
    plots.pictures(images + rng.integers(0, 9, images.shape) * (images < 240))


def other_garments(rng):
    plots.pictures(photographs()[4:8])


def confusion(rng):
    plots.confusion(np.eye(5, dtype=int) * 90 + rng.integers(0, 9, (5, 5)), "abcde")


ANEW = {
    "seed": {"seed": 1},
    "font": {"font.family": "DejaVu Serif", "font.size": 10.5},
    "pixels": {"dpi": 102},
    "lines": {
        "lines.linewidth": 1.6,
        "lines.antialiased": False,
        "text.hinting": "none",
    },
}


@pytest.mark.parametrize("style", ANEW.values(), ids=ANEW)
@pytest.mark.parametrize("draw", [curves, bars, garments, confusion])
def test_the_same_picture_rendered_anew_passes(draw, style):
    stored, new = output(draw), output(draw, **style)
    if draw is curves:
        assert new != stored
    assert list(differences([new], [stored])) == []


@pytest.mark.parametrize(
    ("draw", "other"),
    [
        (curves, rising_curves),
        (curves, axes_alone),
        (curves, bars),
        (garments, other_garments),
        (garments, confusion),
    ],
)
def test_another_picture_is_noticed(draw, other):
    assert list(differences([output(other)], [output(draw)]))


def test_of_a_measured_picture_the_size_alone_counts():
    stored, other, wider = (
        output(curves),
        output(rising_curves),
        output(curves, dpi=120),
    )
    assert list(differences([other], [stored], measured=True)) == []
    faults = list(differences([wider], [stored], measured=True))
    assert [fault.split(" of ")[0] for fault in faults] == ["the width", "the height"]


def test_the_pictures_of_the_book_are_told_apart():
    fingerprints = []
    for stem in form.stems(folder=form.NOTEBOOKS, suffix=".ipynb"):
        for cell in form.read_notebook(form.ROOT, stem).cells:
            for shown in cell.get("outputs", []):
                if content := shown.get("data", {}).get("image/png"):
                    picture = comparison._picture(content)
                    fingerprints.append(comparison._fingerprint(picture))
    pairs = list(itertools.combinations(fingerprints, 2))
    alike = sum((a != b).sum() <= comparison.BITS for a, b in pairs)
    assert len(pairs) > 2000 and alike <= len(pairs) / 1000


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    kinds = {"html": "text/html", "plain": "text/plain"}
    return new_output("display_data", {kinds[kind]: data[kind] for kind in data})


@pytest.mark.parametrize(
    ("new", "stored"),
    [
        ([shown(plain="a"), stream("b")], [stream("b"), shown(plain="a")]),
        ([stream("b")], [stream("b"), shown(plain="a")]),
        ([stream("b"), shown(plain="a")], [stream("b")]),
        ([shown(plain="a")], [shown(plain="a", html="a")]),
        ([stream("b")], [stream("b", "stderr")]),
    ],
)
def test_other_kinds_or_another_order_of_outputs_is_noticed(new, stored):
    (fault,) = differences(new, stored)
    assert fault.startswith("the outputs are [") and ", but those stored are [" in fault
    assert list(differences(new, new)) == list(differences(stored, stored)) == []


def test_every_measured_value_that_is_not_finite_is_quoted():
    found = [stream("⟨0.1⟩ ⟨nan⟩"), shown(plain="nan ⟨-inf to 1⟩", html="⟨CPU, info⟩")]
    assert [fault.split(": ")[1] for fault in differences(found, found)] == [
        "⟨nan⟩",
        "⟨-inf to 1⟩",
    ]
