"""Plots become smaller on the site and look the same; photographs are left alone."""

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
