"""Pictures that are turned, scaled and moved, and networks that are shown them."""

import pytest
import torch

from cnnlib import data, init
from cnnlib.experiments import convolution


@pytest.fixture
def garments():
    return next(iter(data.Batches(data.fashion_mnist(1, 6)[1], 6)))[0]


def test_changes_are_those_that_the_words_say(garments):
    changed = convolution.changed
    torch.testing.assert_close(changed(garments), garments)
    turned = changed(garments, degrees=90)
    torch.testing.assert_close(turned, garments.rot90(1, (2, 3)), atol=1e-4, rtol=0)
    moved = changed(garments, pixels=3)
    torch.testing.assert_close(moved[..., 4:], garments[..., 1:-3], atol=1e-4, rtol=0)
    assert (moved[..., :3] - convolution.BLACK).abs().max() < 1e-5
    small = changed(torch.ones(1, 1, 28, 28), scale=0.5)
    bright = (small > 0.9)[0, 0]
    assert bright.sum() == 14 * 14 and bright[7:21, 7:21].all()


def test_each_picture_has_its_own_change(garments):
    degrees = torch.tensor([0.0, 90, 0, 0, 0, 0])
    turned = convolution.changed(garments, degrees=degrees)
    torch.testing.assert_close(turned[0], garments[0])
    torch.testing.assert_close(
        turned[1], garments[1].rot90(1, (1, 2)), atol=1e-4, rtol=0
    )


def test_changing_batches_repeat_with_their_seed():
    pictures = data.fashion_mnist(8, 1)[0]
    first, again, other = (
        next(iter(convolution.Changing(pictures, 8, seed=seed)))[0]
        for seed in (0, 0, 1)
    )
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("kind", convolution.NETWORKS)
def test_nothing_changes_without_a_change(kind):
    torch.manual_seed(0)
    net = convolution.NETWORKS[kind]().apply(init.he)
    found = convolution.under_changes(net, data.fashion_mnist(1, 50)[1])
    assert {kind: len(found[kind]["kept"]) for kind in found} == {
        kind: len(amounts) for kind, amounts in convolution.CHANGES.items()
    }
    assert all(found[kind]["kept"][0] == 1 for kind in found)
    assert all(found[kind]["kept"][-1] < 1 for kind in found)
