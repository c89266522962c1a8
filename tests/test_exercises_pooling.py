"""Likely mistakes in the functions that the chapters channels and pooling ask for."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import exercises


def padded_with_zeros(x, size, stride, padding):
    x = F.pad(x, [padding] * 4)
    return x.unfold(2, size, stride).unfold(3, size, stride).amax((4, 5))


def without_turns(x, kernel):
    return F.conv2d(x[None, None], kernel[None, None]).mean()


def only_half_turns(x, kernel):
    bank = torch.stack([kernel, kernel.rot90(2)])[:, None]
    return F.conv2d(x[None, None], bank).amax(1).mean()


def groups_in_the_wrong_order(x, w, groups):
    parts = zip(x.chunk(groups, 1), w.chunk(groups, 0), strict=True)
    return torch.cat([F.conv2d(*part) for part in reversed(list(parts))], 1)


@pytest.mark.parametrize(
    ("id", "function"),
    [
        ("pooling/exercise-max-pool", padded_with_zeros),
        ("pooling/exercise-relu", lambda a, b: F.relu(b - a)),
        ("pooling/exercise-turns", without_turns),
        ("pooling/exercise-turns", only_half_turns),
        ("channels/exercise-grouped", groups_in_the_wrong_order),
        (
            "channels/exercise-multiplications",
            lambda c, m, k, size, stride: size**2 * (c * k**2 + c * m),
        ),
        (
            "channels/exercise-multiplications",
            lambda c, m, k, size, stride: (size // stride) ** 2 * (c * k**2 + c * m),
        ),
    ],
)
def test_a_likely_mistake_is_noticed(id, function):
    assert isinstance(exercises.mistake(id, function), str)
