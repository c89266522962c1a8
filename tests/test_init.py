"""Initial weights: the variance and the shape of the distribution of each paper."""

import pytest
import torch
from torch import nn

from cnnlib import init

# fan_in 900 and fan_out 1800 of the layer below
VARIANCES = {
    init.lecun: (2.4 / 900) ** 2 / 3,
    init.glorot: 2 / (900 + 1800),
    init.he: 2 / 900,
}


@pytest.mark.parametrize("scheme", VARIANCES)
def test_initialisation_has_the_variance_of_its_paper(scheme):
    torch.manual_seed(0)
    layer, variance = nn.Conv2d(100, 200, 3), VARIANCES[scheme]
    layer.apply(scheme)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.02)
    assert layer.bias.abs().max() == 0
    assert abs(layer.weight.mean().item()) < variance**0.5 / 100


@pytest.mark.parametrize("scheme", VARIANCES)
def test_he_is_normal_and_the_others_are_uniform(scheme):
    torch.manual_seed(0)
    layer = nn.Linear(300, 300)
    layer.apply(scheme)
    kurtosis = (layer.weight.pow(4).mean() / layer.weight.var() ** 2).item()
    assert kurtosis == pytest.approx(3 if scheme is init.he else 9 / 5, rel=0.05)


@pytest.mark.parametrize("scheme", VARIANCES)
def test_a_layer_of_one_unit_has_weights_too(scheme):
    layer = nn.Linear(3, 1)
    layer.apply(scheme)
    assert layer.weight.isfinite().all() and layer.bias.item() == 0


@pytest.mark.parametrize("scheme", VARIANCES)
def test_other_layers_and_missing_biases_are_left_alone(scheme):
    norm = nn.BatchNorm1d(3)
    nn.init.constant_(norm.weight, 7)
    nn.init.constant_(norm.bias, 7)
    nn.Sequential(nn.Linear(3, 3, bias=False), norm).apply(scheme)
    assert norm.weight.tolist() == norm.bias.tolist() == [7, 7, 7]
