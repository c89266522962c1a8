"""Plots become smaller on the site and look the same; photographs are left alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image


@pytest.fixture(scope="module")
def pictures(extension):
    return extension("pictures")


def test_a_plot_gets_smaller_and_keeps_its_look(pictures, tmp_path):
    path = tmp_path / "plot.png"
    figure, ax = plt.subplots()
    for shift in range(5):
        ax.plot(np.sin(np.arange(60) / 5 + shift), label=f"curve {shift}")
    ax.legend()
    figure.savefig(path, dpi=200)
    plt.close(figure)
    before, size = np.asarray(Image.open(path).convert("RGB")), path.stat().st_size
    pictures.compress(path)
    after = np.asarray(Image.open(path).convert("RGB"))
    assert path.stat().st_size < 0.6 * size
    assert np.abs(before.astype(int) - after).mean() < 0.5  # of 255 levels
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]


@pytest.mark.parametrize("channels", [3, 4])
def test_photographs_and_transparent_pictures_stay_as_they_are(
    pictures, tmp_path, channels
):
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 255, (99, 99, channels), np.uint8)
    noise[..., 3:] //= 2
    Image.fromarray(noise if channels == 3 else noise // 64 * 64).save(path)
    before = path.read_bytes()
    pictures.compress(path)
    assert path.read_bytes() == before


def test_weights_in_red_and_blue_are_marked_and_bars_in_them_are_not(
    pictures, tmp_path
):
    weights, bars, maps = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    values = np.random.default_rng(0).normal(size=(9, 9))
    for path, colours in ((weights, "RdBu_r"), (maps, "viridis")):
        plt.imsave(path, values.repeat(9, 0).repeat(9, 1), cmap=colours)
    figure, ax = plt.subplots()
    ax.bar(range(5), range(1, 6), color=["C0", "C1"])
    figure.savefig(bars)
    plt.close(figure)
    found = [pictures.is_signed(path) for path in (weights, bars, maps)]
    assert found == [True, False, False]


def test_a_plot_is_no_photograph_and_a_dark_picture_is_one(pictures, tmp_path):
    plot, photo, colours = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    figure, ax = plt.subplots()
    ax.bar(range(5), range(5), color="k")
    ax.imshow(np.eye(9), cmap="Blues", extent=(5, 9, 0, 4))
    figure.savefig(plot)
    plt.close(figure)
    shades = np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)
    Image.fromarray(shades).save(photo)
    hue = np.arange(256, dtype=np.uint8)[None].repeat(99, 0)
    value = np.tile(np.uint8([60, 200, 200, 200]), 64)[None].repeat(99, 0)
    patches = np.stack([hue, np.full_like(hue, 255), value], 2)
    Image.fromarray(patches, "HSV").convert("RGB").save(colours)
    assert [pictures.is_photograph(p) for p in (plot, photo, colours)] == [
        *(False, True, True)
    ]


def test_what_is_described_as_the_photograph_is_marked_as_one(pictures, tmp_path):
    Image.new("RGB", (9, 9), "white").save(tmp_path / "a.png")
    images = SimpleNamespace(images={"a.png": ({"x"}, "a.png")})
    app = SimpleNamespace(env=images, srcdir=tmp_path)
    for words, marked in ("Six.\nThe photograph; blurred", 1), ("A photograph", 0):
        context = {"body": f'<img alt="{words}" src="../_images/a.png" />'}
        pictures.mark(app, "x", None, context, None)
        assert context["body"].count('data-photograph=""') == marked
    context = {"body": '<img src="../_images/a.png" />'}
    pictures.mark(app, "x", None, context, None)
    assert "data-" not in context["body"]
