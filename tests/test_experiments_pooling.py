"""The networks of the experiment on shifts: what they must keep, and what not."""

import pytest
import torch

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
