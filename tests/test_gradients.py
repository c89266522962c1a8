"""Gradients against closed forms: linear stacks, sines, and sums over all paths."""

import math

import pytest
import torch
from torch import nn

from cnnlib.gradients import (
    Standardise,
    autocorrelation,
    dense_stack,
    input_gradients,
    mean_cosine,
    one_path,
)
from cnnlib.models.resnet_cifar import Sum, preact_cifar


def linear_blocks(count, width):
    """Residual blocks whose layers are one matrix each."""
    blocks = [
        Sum(nn.Linear(width, width, bias=False).double(), nn.Identity())
        for _ in range(count)
    ]
    return nn.Sequential(*blocks)


@pytest.mark.parametrize("through", [set(), {1}, {0, 2}, {0, 1, 2}])
def test_a_path_multiplies_the_matrices_it_passes_through(through):
    torch.manual_seed(0)
    net = linear_blocks(3, 4)
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    expected = torch.eye(4, dtype=torch.float64)
    for index, block in enumerate(net):
        if index in through:
            expected = block.path.weight @ expected
    with one_path(net, through):
        inside = net(x)
        (gradient,) = torch.autograd.grad(inside[:, 0].sum(), x)
    torch.testing.assert_close(gradient, expected[0].expand(2, 4))
    torch.testing.assert_close(inside, net(x), rtol=0, atol=0)


def test_the_ways_are_open_again_behind_the_context_even_after_an_error():
    net = linear_blocks(2, 3)
    with pytest.raises(RuntimeError), one_path(net, {0}):
        raise RuntimeError
    assert not any(module._forward_hooks for module in net.modules())


def test_all_paths_of_a_convolutional_network_sum_to_its_gradient():
    torch.manual_seed(0)
    net = preact_cifar(8, in_channels=1).double().eval()
    blocks = [module for module in net.modules() if isinstance(module, Sum)]
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    total = 0
    for n in range(2 ** len(blocks)):
        with one_path(blocks, {i for i in range(len(blocks)) if n >> i & 1}):
            total = total + torch.autograd.grad(net(x).square().sum(), x)[0]
    torch.testing.assert_close(total, torch.autograd.grad(net(x).square().sum(), x)[0])


def test_standardised_values_have_mean_0_and_variance_1_and_constant_statistics():
    torch.manual_seed(0)
    x = torch.randn(16, 3, dtype=torch.float64, requires_grad=True)
    y = Standardise()(3 * x + 1)
    torch.testing.assert_close(y.mean(0), torch.zeros(3).double())
    torch.testing.assert_close(y.square().mean(0), torch.ones(3).double())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    expected = 1 / x.std(0, correction=0)
    torch.testing.assert_close(gradient, expected.expand(16, 3).detach())


def test_a_stack_keeps_the_mean_square_and_a_shortcut_doubles_it():
    torch.manual_seed(0)
    x = torch.randn(64, 512)
    for shortcut, expected in ((False, 1), (True, 2**4)):
        y = dense_stack(4, 512, shortcut=shortcut)(x)
        assert y.square().mean().item() == pytest.approx(expected, rel=0.25)
    small = dense_stack(1, 512, scale=0.1)(x)
    assert small.square().mean().item() == pytest.approx(0.01, rel=0.25)


def test_a_layer_of_a_stack_normalises_rectifies_and_multiplies_in_this_order():
    torch.manual_seed(0)
    x = torch.randn(16, 8, dtype=torch.float64)
    net = dense_stack(1, 8, norm=Standardise).double()
    (weight,) = net.parameters()  # and no bias
    normed = (x - x.mean(0)) / x.std(0, correction=0)
    torch.testing.assert_close(net(x), normed.relu() @ weight.T)


def test_a_linear_stack_has_one_gradient_everywhere():
    torch.manual_seed(0)
    net = dense_stack(5, 8, activation=nn.Identity).double()
    gradients = input_gradients(net, torch.randn(6, 8).double())
    torch.testing.assert_close(gradients, gradients[:1].expand(6, 8))
    assert mean_cosine(gradients) == pytest.approx(1)


def test_a_single_input_has_a_gradient():
    x = torch.randn(1, 8)
    assert input_gradients(nn.Linear(8, 4), x).shape == x.shape


def test_the_mean_cosine_is_that_of_all_pairs():
    torch.manual_seed(0)
    vectors = torch.randn(5, 3, dtype=torch.float64)
    pairs = [
        torch.cosine_similarity(vectors[i], vectors[j], dim=0).item()
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert mean_cosine(vectors) == pytest.approx(sum(pairs) / len(pairs))


def test_the_autocorrelation_of_a_sine_is_a_cosine():
    count, period = 4000, 40
    wave = torch.sin(2 * math.pi * torch.arange(count, dtype=torch.float64) / period)
    for lag in (1, 10, 20):
        expected = (1 - lag / count) * math.cos(2 * math.pi * lag / period)
        assert autocorrelation(3 + 2 * wave, lag) == pytest.approx(expected, abs=5e-3)
