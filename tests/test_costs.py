"""Costs against torchvision's numbers, torch's counter, autograd and hand."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from cnnlib import costs

PUBLISHED = [
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg16_bn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_equals_torchvision_and_half_of_torchs_flop_counter(name):
    with torch.device("meta"):
        net = models.get_model(name)
    facts = models.get_model_weights(name).IMAGENET1K_V1.meta
    table = costs.table(net, (3, 224, 224))
    assert table.parameters == facts["num_params"]
    assert round(table.macs / 1e9, 3) == facts["_ops"]
    with FlopCounterMode(display=False) as counter:
        net.eval()(torch.empty(1, 3, 224, 224, device="meta"))
    assert 2 * table.macs == counter.get_total_flops()


SMALL = list(product(range(1, 12), range(1, 5), range(1, 4), range(3), range(1, 3)))


def test_output_size_is_that_of_pytorchs_convolution_over_all_small_cases():
    for size, kernel, stride, padding, dilation in SMALL:
        x, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
        if size + 2 * padding <= dilation * (kernel - 1):
            with pytest.raises(
                ValueError, match=f"kernel of {kernel}.*input of {size}"
            ):
                costs.output_size(size, kernel, stride, padding, dilation)
            continue
        ours = costs.output_size(size, kernel, stride, padding, dilation)
        assert ours == F.conv1d(x, weight, None, stride, padding, dilation).shape[2]


def test_output_size_with_ceil_mode_is_that_of_pytorchs_pooling():
    for size, kernel, stride, padding, dilation in SMALL:
        fits = size + 2 * padding > dilation * (kernel - 1)
        if fits and padding <= kernel // 2:
            x = torch.zeros(1, 1, size)
            theirs = F.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode=True)
            ours = costs.output_size(size, kernel, stride, padding, dilation, True)
            assert ours == theirs.shape[2], (size, kernel, stride, padding, dilation)


def test_tensorflow_same_and_valid_count_windows_as_its_documentation_says():
    for size, kernel, stride in product(range(1, 14), range(1, 6), range(1, 5)):
        starts = range(0, size, stride)  # SAME: a window may begin at every s-th pixel
        assert costs.output_size_tensorflow(size, kernel, stride) == len(starts)
        whole = [start for start in starts if start + kernel <= size]
        if size >= kernel:
            valid = costs.output_size_tensorflow(size, kernel, stride, "VALID")
            assert valid == len(whole)
    with pytest.raises(ValueError, match="'FULL'"):
        costs.output_size_tensorflow(5, 3, 1, "FULL")


class Branches(nn.Module):
    """Parallel paths of different reach, joined by addition and by concatenation."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(2, 2, 5, 2, 2), nn.Conv2d(2, 2, 3, 1, 1))
        self.narrow = nn.Conv2d(2, 2, 1, 2)

    def forward(self, x):
        x = F.max_pool2d(x, 3, 2, 1)
        return torch.cat([self.wide(x) + self.narrow(x), self.narrow(x)], 1)


class Uneven(nn.Sequential):
    """Kernels, strides and dilations that differ between height and width."""

    def __init__(self):
        layers = [nn.Conv2d(2, 3, (1, 5), (1, 2), (0, 2)), nn.AvgPool2d((3, 1), 1)]
        super().__init__(*layers, nn.Conv2d(3, 2, 3, dilation=(2, 1), padding=2))


@pytest.mark.parametrize("net", [Branches(), Uneven(), nn.Conv2d(2, 1, 3, groups=1)])
def test_receptive_field_is_the_support_of_the_gradient(net):
    net = net.double()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1)
    side = 65
    # distinct values everywhere: max-pooling then passes gradients to single pixels,
    # so the support is collected over many random pictures
    torch.manual_seed(0)
    x = torch.rand(200, 2, side, side, dtype=torch.double, requires_grad=True)
    out = net(x)
    out[:, 0, out.shape[2] // 2, out.shape[3] // 2].sum().backward()
    touched = (x.grad != 0).any(0).any(0)
    reach = tuple(
        int(axis.nonzero().max() - axis.nonzero().min()) + 1
        for axis in (touched.any(1), touched.any(0))
    )
    wrapped = nn.Sequential(net)
    assert costs.table(wrapped, (2, side, side))[-1].receptive_field == reach


def test_receptive_fields_of_published_networks():
    with torch.device("meta"):
        alexnet, vgg = models.alexnet(), models.vgg16()
        resnet = nn.Sequential(*list(models.resnet18().children())[:8])
    rows = [costs.table(net.features, (3, 224, 224))[-1] for net in (alexnet, vgg)]
    rows.append(costs.table(resnet, (3, 224, 224))[-1])
    # Araujo, Norris and Sim, Distill 2019, table of receptive fields
    assert [row.receptive_field[0] for row in rows] == [195, 212, 435]


def test_a_layer_by_hand():
    net = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2, bias=False), nn.Flatten())
    net.append(nn.Linear(6 * 5 * 5, 7))
    convolution, flat, dense = costs.table(net, (4, 9, 9))
    assert convolution.output_shape == (6, 5, 5)
    assert convolution.parameters == 6 * 2 * 3 * 3
    assert convolution.macs == 6 * 5 * 5 * 2 * 3 * 3
    assert convolution.activations == 6 * 5 * 5
    assert (flat.parameters, flat.macs) == (0, 0)
    assert (dense.parameters, dense.macs) == (150 * 7 + 7, 150 * 7)


def test_weights_that_are_not_trained_are_not_parameters():
    net = nn.Sequential(nn.Linear(3, 2))
    net[0].bias.requires_grad_(False)
    assert costs.table(net, (3,)).parameters == 6


class Outside(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 3))
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        return self.last(F.linear(input=x, weight=self.weight))


def test_work_outside_the_children_has_a_row_of_its_own():
    last, own = costs.table(Outside(), (3,))
    assert (last.name, last.macs) == ("last", 10)
    assert (own.name, own.parameters, own.macs) == ("(net)", 15, 15)


def test_the_net_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    costs.table(net, (1, 8, 8))
    assert net.training and not net[0]._forward_hooks
    assert all(torch.equal(before[key], net.state_dict()[key]) for key in before)


def test_the_table_reads_as_text_and_as_html():
    table = costs.table(nn.Sequential(nn.Conv2d(1, 20, 8)), (1, 28, 28))
    assert repr(table).splitlines()[1].split() == [
        *["0", "20", "x", "21", "x", "21"],
        *["1,300", "564,480", "8", "x", "8"],
    ]
    assert '<td align="right">564,480</td>' in table._repr_html_()
