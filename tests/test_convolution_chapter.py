"""The function that the chapter on convolution builds, against libraries and d2l."""

import pytest
import torch
import torch.nn.functional as F
from scipy.signal import correlate2d

from cnnlib.claims import CODE_CELL
from tools import form


@pytest.fixture(scope="module")
def corr2d():
    """`corr2d` as a reader of the chapter gets it."""
    text = (form.ROOT / "book/chapters/convolution.md").read_text(encoding="utf-8")
    (cell,) = (cell for cell in CODE_CELL.findall(text) if "def corr2d(" in cell)
    names = {}
    exec(cell.partition("\n")[2].removesuffix("```"), names)
    return names["corr2d"]


@pytest.fixture(scope="module")
def examples():
    generator = torch.Generator().manual_seed(0)
    shapes = [((6, 6), (3, 3)), ((7, 5), (2, 4)), ((4, 4), (4, 4)), ((9, 1), (1, 1))]
    return [
        tuple(torch.randn(*shape, generator=generator) for shape in pair)
        for pair in shapes
    ]


def test_it_equals_pytorchs_and_scipys(corr2d, examples):
    for x, kernel in examples:
        y = corr2d(x, kernel)
        torch.testing.assert_close(y, F.conv2d(x[None, None], kernel[None, None])[0, 0])
        torch.testing.assert_close(y, torch.tensor(correlate2d(x, kernel, "valid")))


def test_it_equals_d2ls(corr2d, examples):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    for x, kernel in examples:
        torch.testing.assert_close(corr2d(x, kernel), d2l.corr2d(x, kernel))
