"""The convolution of the experiment on wrong kernels: right but for its way back."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib.experiments.backpropagation import (
    KERNELS,
    WrongConv,
    cosines,
    four_convolutions,
)


def backward(layer, x, error):
    """Output of `layer`, and the gradients of weight, bias and x."""
    x = x.clone().requires_grad_()
    out = layer(x)
    return out, torch.autograd.grad(out, (layer.weight, layer.bias, x), error)


@pytest.fixture
def pieces():
    torch.manual_seed(0)
    x, error = torch.randn(2, 3, 7, 7), torch.randn(2, 4, 7, 7)
    return x.double(), error.double()


@pytest.mark.parametrize("kernel", KERNELS)
def test_output_and_own_gradients_are_those_of_a_convolution(kernel, pieces):
    x, error = pieces
    layer = WrongConv(3, 4, kernel).double()
    out, (weight, bias, _) = backward(layer, x, error)
    wanted = F.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(out, wanted)
    right = torch.autograd.grad(wanted, (layer.weight, layer.bias), error)
    torch.testing.assert_close((weight, bias), right)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_error_goes_back_through_the_kernel_that_is_named(kernel, pieces):
    x, error = pieces
    layer = WrongConv(3, 4, kernel).double()
    weight = layer.weight.detach()
    through = {
        "rotated": weight,
        "signs": weight.abs().mean() * weight.sign(),
        "not rotated": weight.flip(2, 3),
        "random": layer.random,
        "none": torch.zeros_like(weight),
    }[kernel]
    _, (_, _, sent_back) = backward(layer, x, error)
    wanted = F.conv_transpose2d(error, through, padding=1)
    torch.testing.assert_close(sent_back, wanted)


def test_the_right_kernel_has_cosine_one_and_no_kernel_cosine_zero():
    torch.manual_seed(0)
    x, y = torch.randn(4, 1, 28, 28), torch.arange(4)
    assert cosines(four_convolutions("rotated"), x, y) == pytest.approx([1, 1, 1, 1])
    none = four_convolutions("none")
    assert cosines(none, x, y) == pytest.approx([0, 0, 0, 1])
    assert {layer.kernel for layer in none if isinstance(layer, WrongConv)} == {"none"}
