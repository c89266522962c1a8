"""What readers write for the chapters on the backward pass and the Inception bill."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import exercises


def gradients(error, x, w, *options):
    """Both gradients by PyTorch; the options are those of the exercise."""
    x, w = x.requires_grad_(), w.requires_grad_()
    return torch.autograd.grad(F.conv2d(x, w, None, *options), (w, x), error)


def fold(columns, height, width, size, stride, padding):
    return F.fold(columns, (height, width), size, 1, padding, stride)


def fused(reduce, neck_bias, expand, bias):
    kernel = torch.einsum("owij,wc->ocij", expand, reduce[:, :, 0, 0])
    return kernel, bias + expand.sum((2, 3)) @ neck_bias


@pytest.mark.parametrize(
    ("id", "function"),
    [
        ("backpropagation/exercise-write-backward", gradients),
        ("backpropagation/exercise-write-col2im", fold),
        ("inception-bill/exercise-fuse", fused),
    ],
)
def test_a_right_function_passes_every_trial(id, function):
    assert exercises.mistake(id, function) is None


@pytest.mark.parametrize("forgotten", range(4))
def test_no_option_of_a_convolution_can_be_forgotten(forgotten):
    """Stride, padding, dilation and groups are each needed in some trial."""

    def function(error, x, w, *options):
        neutral = (1, 0, 1, 1)
        options = [*options]
        options[forgotten] = neutral[forgotten]
        return gradients(error, x, w, *options)

    fault = exercises.mistake("backpropagation/exercise-write-backward", function)
    assert fault is not None


def test_neither_the_bias_of_the_neck_nor_an_overlap_can_be_forgotten():
    def without_neck(reduce, neck_bias, expand, bias):
        return fused(reduce, neck_bias, expand, bias)[0], bias

    fault = exercises.mistake("inception-bill/exercise-fuse", without_neck)
    assert "is off by" in fault

    def last_window_only(columns, height, width, size, stride, padding):
        ones = fold(torch.ones_like(columns), height, width, size, stride, padding)
        shares = fold(columns, height, width, size, stride, padding)
        return shares / ones.clamp_min(1)

    id = "backpropagation/exercise-write-col2im"
    assert "is off by" in exercises.mistake(id, last_window_only)


def test_groups_count_in_the_work_of_a_convolution():
    def work(shape, out_channels, size, stride, padding, groups):
        weight = torch.zeros(out_channels, shape[1] // groups, size, size)
        y = F.conv2d(torch.zeros(shape), weight, None, stride, padding, 1, groups)
        read = torch.zeros(shape).numel() + weight.numel() + y.numel()
        return y.numel() * weight[0].numel(), 4 * read

    id = "inception-bill/exercise-work"
    assert exercises.mistake(id, work) is None
    fault = exercises.mistake(id, lambda *given: work(*given[:-1], 1))
    assert "it returned" in fault
