"""The likely mistakes of readers on convolution, sizes and fields are noticed."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import exercises


def undilated(x, kernel, stride, dilation):
    return F.conv2d(x[None, None], kernel[None, None], stride=stride)[0, 0]


def turned(x, kernel, stride, dilation):
    given = x[None, None], kernel.flip(0, 1)[None, None]
    return F.conv2d(*given, stride=stride, dilation=dilation)[0, 0]


def always_in_two_steps(kernel, height, width):
    h, w = kernel.shape
    rows = height - h + 1
    return rows * width * h + rows * (width - w + 1) * w


def only_directly(kernel, height, width):
    h, w = kernel.shape
    return (height - h + 1) * (width - w + 1) * h * w


def as_if_one_apart(step):
    return torch.tensor([1.0, -2, 1])


def divided_once(step):
    return as_if_one_apart(step) / step


def first_derivative(step):
    return torch.tensor([-1.0, 0, 1]) / (2 * step)


def not_rounded(shape, kernel, stride, padding, dilation):
    sides = zip(shape, kernel, stride, padding, dilation, strict=True)
    return tuple((n + 2 * p - d * (f - 1) - 1) / s + 1 for n, f, s, p, d in sides)


def padded_before(x, weight, stride):
    height, width = (
        max((-(-n // stride) - 1) * stride + f - n, 0)
        for n, f in zip(x.shape[2:], weight.shape[2:], strict=True)
    )
    odd_first = [width - width // 2, width // 2, height - height // 2, height // 2]
    return F.conv2d(F.pad(x, odd_first), weight, stride=stride)


def without_padding(layers, m):
    size, jump = 1, 1
    for kernel, stride, _, dilation in layers:
        size += (kernel - 1) * dilation * jump
        jump *= stride
    return m * jump, m * jump + size - 1


def first_layer_first(layers, count):
    for kernel, stride, _, dilation in layers:
        count = (count - 1) * stride + dilation * (kernel - 1) + 1
    return count


@pytest.mark.parametrize(
    ("slug", "wrong"),
    [
        ("convolution/exercise-write-correlate", undilated),
        ("convolution/exercise-write-correlate", turned),
        ("convolution/exercise-write-multiplications", always_in_two_steps),
        ("convolution/exercise-write-multiplications", only_directly),
        ("convolution/exercise-write-second-derivative", as_if_one_apart),
        ("convolution/exercise-write-second-derivative", divided_once),
        ("convolution/exercise-write-second-derivative", first_derivative),
        ("padding-stride/exercise-write-shape", not_rounded),
        ("padding-stride/exercise-write-same", padded_before),
        ("receptive-field/exercise-write-pixels", without_padding),
        ("receptive-field/exercise-write-backwards", first_layer_first),
    ],
)
def test_a_likely_mistake_is_noticed(slug, wrong):
    assert exercises.mistake(slug, wrong)


def test_unanswered_functions_are_told_from_wrong_ones():
    slug = "padding-stride/exercise-write-shape"
    assert exercises.mistake(slug, lambda *given: ...) is ...
