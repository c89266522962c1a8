"""LeNet-5 on digits: the variants are what they are called, and runs are counted."""

import pytest
import torch

from cnnlib import data
from cnnlib.experiments import lenet_digits
from cnnlib.models.lenet import C3_MAPS, ClassCodes, SparseConv


def test_one_convolution_sums_what_sixteen_do():
    sparse = SparseConv(C3_MAPS)
    quick, x = lenet_digits.OneConv(sparse), torch.randn(3, 6, 14, 14)
    torch.testing.assert_close(quick(x), sparse(x))
    count = sum(parameter.numel() for parameter in quick.parameters())
    assert count == 60 * 25 + 16


@pytest.mark.parametrize(
    ("part", "parameters"),
    [
        ("as in 1998", 60_000),
        ("dense C3", 60_000 + 900),
        ("plain average", 60_000 - 44),
        ("random codes", 60_000),
        ("trained output", 60_000 + 850),
    ],
)
def test_a_variant_differs_from_lenet5_by_its_part(part, parameters):
    net = lenet_digits.network(part)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 10)


def test_random_codes_are_ten_signs_that_are_always_the_same():
    one, two = (lenet_digits.random_codes().output.codes for _ in range(2))
    assert torch.equal(one, two) and one.abs().eq(1).all() and one.shape == (10, 84)
    assert not torch.equal(one, ClassCodes().codes)


def test_each_seed_chooses_other_digits_and_the_margin_is_empty():
    one, two, again = (lenet_digits.chosen(50, seed) for seed in (0, 1, 0))
    assert torch.equal(one.images, again.images) and len(one.labels) == 50
    assert not torch.equal(one.images, two.images)
    wide = lenet_digits.with_margin(one)
    assert torch.equal(wide.images[:, :, 2:30, 2:30], one.images)
    assert wide.images.sum() == one.images.sum() and wide.images.shape[2:] == (32, 32)


def test_misread_digits_are_listed_with_what_they_are_and_what_is_said():
    class Three(torch.nn.Module):
        def forward(self, x):
            return torch.eye(10)[[3]].expand(len(x), 10)

    test = data.digits(1, 40)[1]
    found = lenet_digits.wrong(Three(), test, torch.device("cpu"))
    labels = test.labels.tolist()
    assert found == [[i, label, 3] for i, label in enumerate(labels) if label != 3]


def test_a_short_run_says_what_it_found():
    setting = {"part": "as in 1998", "images": 64, "shifts": 2, "seed": 0}
    result = lenet_digits.read(**setting, passes=192, tests=60)
    assert len(result["losses"]) == 3 and 0 < result["train_error"] <= 1
    assert all(number < 60 for number, _, _ in result["wrong"])
