"""The networks of the experiments on pooling: what they must keep, and what not."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import data, init, train
from cnnlib.experiments import pooling


@pytest.mark.parametrize("kind", pooling.POOLINGS)
def test_a_global_average_ignores_shifts_by_the_total_stride(kind, monkeypatch):
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)
    torch.manual_seed(0)
    net = pooling.network(kind, "average").apply(init.he)
    x = torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        still, by_four, by_one = (net(x.roll(n, 3)) for n in (0, 4, 1))
    torch.testing.assert_close(by_four, still)
    assert (by_one - still).abs().max() > 1e-3
    pictures = pooling.with_margin(data.fashion_mnist(1, 50)[1])
    found = pooling.under_shifts(net, pictures)
    assert found["kept"][0] == found["kept"][4] == 1.0
    assert found["accuracy"][0] == found["accuracy"][4]


def test_with_a_margin_of_zeros_the_average_notices_shifts_by_the_total_stride():
    torch.manual_seed(0)
    net = pooling.network("max", "average", "zeros").apply(init.he)
    x = torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        still, by_four = (net(x.roll(n, 3)) for n in (0, 4))
    assert (by_four - still).abs().max() > 1e-3


def test_the_blurred_maximum_is_a_maximum_a_convolution_and_a_stride():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 12)
    highest = F.max_pool2d(F.pad(x, [0, 1, 0, 1], mode="circular"), 2, stride=1)
    blur = torch.tensor([1.0, 2, 1]) / 4
    kernel = torch.outer(blur, blur).expand(3, 1, 3, 3)
    wrapped = F.pad(highest, [1] * 4, mode="circular")
    expected = F.conv2d(wrapped, kernel, stride=2, groups=3)
    torch.testing.assert_close(pooling.BlurPool()(x), expected)
