"""Receptive fields against what small networks really look at."""

import copy
import random
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import models

from cnnlib import costs, fields


class Following(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        fields.follow(func, args, kwargs or {}, out)
        return out


def followed(net, shape):
    """The fields of the output of `net` for a picture of `shape` (C, ...)."""
    x = torch.empty(1, *shape, device="meta")
    fields.start(x)
    net = copy.deepcopy(net).to("meta")
    with torch.no_grad(), Following():
        return fields.of(net(x))


def seen(net, shape, axis):
    """First and last row (`axis` 0, or column, ...) that each row of the output sees.

    The weights are made positive. Each picture of a batch is black but for one row of
    ones: the output rows that are not zero see it, by any path and any window.
    """
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1)
    rows = shape[1 + axis]
    x = torch.zeros(rows, *shape, dtype=torch.double)
    for row in range(rows):
        x[row].select(1 + axis, row).fill_(1)
    with torch.no_grad():
        out = net.double()(x).abs().movedim(2 + axis, 1).flatten(2).amax(2)
    return [
        (int(lit.min()), int(lit.max())) if len(lit) else None
        for lit in (column.nonzero() for column in out.T)
    ]


def agrees(net, shape, edges=True):
    """Compare all output rows; how many of their fields lie inside of the picture.
    Fields that go beyond its `edges` must contain what is seen."""
    inside = 0
    looks = [seen(net, shape, axis) for axis in range(len(shape) - 1)]
    for field, look, rows in zip(followed(net, shape), looks, shape[1:], strict=True):
        for position, span in enumerate(look):
            first, last = field.at(position)
            assert last - first < field.size
            if first > last:  # between the strides of an enlarging convolution
                assert span is None
            elif first >= 0 and last < rows:
                assert span == (first, last), (position, field)
                inside += 1
            elif span and edges:
                assert first <= span[0] and span[1] <= last, (position, field)
    return inside


class Sum(nn.Module):
    """Parallel paths, their outputs added or concatenated."""

    def __init__(self, *paths, joint=torch.add):
        super().__init__()
        self.paths, self.joint = nn.ModuleList(paths), joint

    def forward(self, x):
        one, other = (path(x) for path in self.paths)
        if self.joint is torch.add:
            return one + other
        return torch.cat([one, other], 1)[:, ::2]


def window(chance, n):
    """A random layer of 2 channels with windows along `n` axes."""

    def each(*values):
        return tuple(chance.choice(values) for _ in range(n))

    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
    wider = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n - 1]
    largest = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[n - 1]
    mean = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[n - 1]
    zeros = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)[n - 1]
    kernel, stride, dilation = each(1, 2, 3, 4), each(1, 2, 3), each(1, 2)
    padding = tuple(chance.randrange(k // 2 + 1) for k in kernel)
    kind = chance.choice(["conv", "wider", "largest", "mean", "zeros", "nearest"])
    if kind == "conv":
        return conv(2, 2, kernel, stride, each(0, 1, 2), dilation, bias=False)
    if kind == "wider":
        return wider(2, 2, kernel, stride, dilation=dilation, bias=False)
    if kind == "largest":
        return largest(
            kernel, stride, padding, dilation, ceil_mode=chance.random() < 0.5
        )
    if kind == "mean":
        return mean(kernel, stride, padding, ceil_mode=chance.random() < 0.5)
    if kind == "zeros":
        return zeros(tuple(chance.randrange(3) for _ in range(2 * n)), 0)
    return nn.Upsample(scale_factor=chance.choice([2, 3]), mode="nearest")


def network(seed):
    """A random network whose layers fit each other, and the shape of its pictures."""
    chance = random.Random(seed)
    while True:
        n = chance.choice([1, 1, 2])
        shape = (2, *chance.choices([20, 31, 40], k=n))
        layers = [window(chance, n) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.5:
            joint = chance.choice([torch.add, torch.cat])
            layers += [Sum(window(chance, n), window(chance, n), joint=joint)]
            layers += [window(chance, n)]
        net = nn.Sequential(*layers).double()
        try:
            out = net(torch.zeros(1, *shape, dtype=torch.double))
        except RuntimeError:  # a window or two paths that do not fit
            continue
        if max(out.shape) < 150 and min(out.shape[2:]) > 1:
            found = followed(net, shape)
            if all(field and field.size for field in found):  # known, and not empty
                return net, shape


@pytest.mark.parametrize("seed", range(80))
def test_random_networks_see_the_pixels_that_their_fields_say(seed):
    agrees(*network(seed))


def test_the_random_networks_are_not_trivial():
    assert sum(agrees(*network(seed)) for seed in range(8)) > 50


class Pixelwise(nn.Module):
    """A function of a feature map, between two convolutions."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.before = nn.Conv2d(2, 2, 3, 2, 1, bias=False)
        self.after = nn.Conv2d(2, 1, 3, bias=False)

    def forward(self, x):
        return self.after(self.function(self.before(x)))


@pytest.mark.parametrize(
    "function",
    [
        nn.ReLU(inplace=True),
        nn.ZeroPad2d((1, 2, 0, 3)),
        nn.ReplicationPad2d((2, 1, 0, 1)),
        nn.ConstantPad2d(-1, 0),
        lambda x: F.pad(x, (0, 1, 1, 1)),
        lambda x: x[:, :, 1:, ::2],
        lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        lambda x: torch.stack([x, x], 1).sum(1),
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
        lambda x: x[:, [1, 0]],
        lambda x: x.unflatten(1, (1, 2)).squeeze(1),
        lambda x: x + x.amax(1, keepdim=True),
        lambda x: F.local_response_norm(x, 2),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(x, size=(25, 7), mode="bilinear", align_corners=True),
        lambda x: F.interpolate(x, scale_factor=3, mode="bicubic"),
        lambda x: F.interpolate(x, size=(20, 6), mode="nearest"),
        lambda x: F.interpolate(x, size=(20, 6), mode="nearest-exact"),
        lambda x: F.pixel_shuffle(x.repeat_interleave(4, 1), 2),
        lambda x: F.pixel_unshuffle(x[..., :12, :16], 2).unflatten(1, (2, 4)).sum(2),
        nn.AdaptiveAvgPool2d((5, 7)),
        nn.AdaptiveMaxPool2d(6),
        nn.AvgPool2d(3, 1, 1),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, (2, 3)),
        nn.MaxPool2d((3, 2), (1, 2), (1, 0), (2, 1), ceil_mode=True),
        nn.ConvTranspose2d(2, 2, 4, 2, bias=False),
        nn.ConvTranspose2d(2, 2, 3, 2, dilation=2, bias=False),
        nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False),
        nn.ConvTranspose2d(2, 2, 5, 3, (1, 2), dilation=2, bias=False),
        lambda x: F.max_pool2d(x.transpose(1, 2), (1, 2)).transpose(1, 2),
    ],
)
def test_layers_between_two_convolutions_keep_or_widen_the_field(function):
    assert agrees(Pixelwise(function), (2, 26, 33)) > 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_path_that_enlarges_joins_one_that_does_not(order):
    enlarged = nn.Conv1d(2, 2, 6, 2, 2, bias=False), nn.Upsample(scale_factor=2)
    other = nn.Conv1d(2, 2, 3, padding=1, bias=False)
    both = [nn.Sequential(*enlarged), other][::order]
    assert agrees(Sum(*both), (2, 32)) > 20


@pytest.mark.parametrize(
    ("layer", "larger", "shape"),
    [
        (nn.Conv1d, nn.Upsample(scale_factor=2, mode="linear"), (2, 10)),
        (nn.Conv3d, nn.Upsample(scale_factor=2, mode="trilinear"), (2, 6, 7, 8)),
        (nn.Conv2d, nn.Upsample((9, 15), None, "bicubic", True), (2, 7, 10)),
    ],
)
def test_enlarging_looks_at_the_neighbours_that_it_weighs(layer, larger, shape):
    assert agrees(nn.Sequential(layer(2, 2, 3, bias=False), larger), shape) > 12


@pytest.mark.parametrize(
    "function",
    [
        nn.Hardswish(inplace=True),
        lambda x: torch.empty(x.shape, device=x.device).copy_(x),
        lambda x: x.prod(1, keepdim=True).expand_as(x),
        lambda x: x.max(1).values.unsqueeze(1).expand_as(x),
        lambda x: torch.stack([x, x], 1).sum(1),
        lambda x: torch.stack([x, x], 2).sum(2),
        lambda x: x[0] + torch.zeros(50, 1, 1, 1, device=x.device),
        lambda x: x[0].sum(0).expand(1, 2, -1, -1),
        lambda x: x.mT.mT,
    ],
)
@pytest.mark.parametrize("shape", [(2, 26, 33), (2, 5, 6)])
def test_what_leaves_positions_where_they_are_keeps_the_field(function, shape):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2, 1), Whole(function), nn.Conv2d(2, 2, 2))
    assert followed(net, shape) == followed(nn.Sequential(net[0], net[2]), shape)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean(3, keepdim=True),
        lambda x: x.max(3).values,
        lambda x: x.log_softmax(3),
        lambda x: F.layer_norm(x, x.shape[3:]),
        lambda x: x[0] @ ones(x, 2, x.shape[3], 4),
        lambda x: torch.addmm(ones(x, 5), x[0, 0], ones(x, x.shape[3], 5)),
        lambda x: torch.baddbmm(ones(x, 5), x[0], ones(x, 2, x.shape[3], 5)),
        lambda x: F.conv2d(x.transpose(1, 3), ones(x, 1, x.shape[3], 1, 1)),
    ],
)
def test_what_depends_on_a_whole_row_sees_it_and_no_other(function):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), Whole(function))
    rows, columns = followed(net, (2, 27, 31))
    assert (rows.whole, rows.size, rows.jump, rows.start) == ((0, 26), 3, 2, 0)
    assert (columns.whole, columns.size, columns.dims) == ((0, 30), 31, frozenset())


def ones(x, *shape):
    return torch.ones(shape, device=x.device)


def test_a_picture_sees_itself_and_no_memory_is_taken_for_it():
    sides = 2**22, 2**21
    fields_of_both = followed(nn.Flatten(2), (2, *sides))
    assert [(f.whole, f.size) for f in fields_of_both] == [
        ((0, side - 1), 1) for side in sides
    ]


def test_a_single_row_that_is_repeated_is_seen_from_everywhere():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), Whole(lambda x: x + ones(x, 4, 1)))
    rows, columns = followed(net, (2, 3, 9))
    assert (rows.whole, rows.start, rows.dims) == ((0, 2), 0, frozenset())
    assert (columns.size, columns.jump, columns.start) == (3, 2, 0)


def test_a_row_of_unknown_place_that_is_repeated_is_lost():
    def repeated(x):
        return torch.cat([x], 2) + ones(x, 4, 1)

    assert followed(nn.Sequential(nn.Conv2d(2, 2, 3), Whole(repeated)), (2, 3, 9)) == (
        None,
        fields.Field((0, 8), 3, frozenset({3}), ((0, 2),), 1),
    )


@pytest.mark.parametrize(
    ("function", "size", "dims"),
    [
        (lambda x: torch.cat([x, x], 2), 3, {2}),
        (lambda x: split(x), 3, {2, 3}),
        (lambda x: split(x)[:, :1], 3, {2, 3}),
        (lambda x: split(x).mean(2), None, {2}),
        (lambda x: x.flatten(1, 2), 3, {1}),
    ],
)
def test_reshaped_rows_keep_what_is_known_of_them(function, size, dims):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), Whole(function))
    rows, _ = followed(net, (2, 25, 9))
    assert (rows.whole, rows.size, rows.dims, rows.spans) == ((0, 24), size, dims, ())


@pytest.mark.parametrize(
    "function", [lambda x: split(x)[:, :, :1], lambda x: x.diagonal(0, 2, 3)]
)
def test_what_is_cut_of_reshaped_rows_or_goes_across_them_is_lost(function):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), Whole(function))
    assert followed(net, (2, 25, 25))[0] is None


def split(x):
    """12 rows as 2 x 6."""
    return x.unflatten(2, (2, 6))


def test_a_single_value_of_an_enlarged_map_is_the_first():
    larger = nn.Upsample((1, 1), None, "bilinear", align_corners=True)
    found = followed(nn.Sequential(nn.Conv2d(2, 2, 3, 2), larger), (2, 29, 29))
    assert [(f.whole, f.size, f.start) for f in found] == [((0, 2), 3, 0)] * 2


def test_mirrored_padding_keeps_the_field_inside_of_the_picture():
    assert agrees(Pixelwise(nn.ReflectionPad2d(2)), (2, 26, 33), edges=False) > 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.roll(1, 2),
        lambda x: x[:, :, [3, 1, 2, 4]],
        lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
        lambda x: F.grid_sample(x, x.permute(0, 2, 3, 1), align_corners=True),
        lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2).sum(-1),
        lambda x: x.flatten(2).flip(2).unflatten(2, x.shape[2:]),
        lambda x: x.clone().index_fill_(2, torch.tensor([1], device=x.device), 0),
        lambda x: F.conv2d(x, x[:, :, :3, :3].repeat(2, 1, 1, 1)),
        lambda x: F.conv2d(ones(x, *x.shape), x[:, :, :3, :3].expand(2, -1, -1, -1)),
        lambda x: x[0][:, [3, 1, 2, 4]].unsqueeze(0),
        lambda x: x.unsqueeze(3)[nothing(x), :, :, nothing(x)][0],  # rows move
        lambda x: F.interpolate(x, scale_factor=1.5),  # 13 rows become 19, not 19.5
    ],
)
def test_what_is_not_followed_is_lost_and_not_guessed(function):
    assert None in followed(Pixelwise(function), (2, 26, 33))


def nothing(x):
    """An index of the first place."""
    return torch.zeros(1, 1, dtype=torch.long, device=x.device)


def test_writing_into_a_part_loses_the_field_of_the_whole():
    def shifted(x):
        y = x.clone()
        y[:, :, 1:] = x[:, :, :-1]
        return y

    assert followed(Pixelwise(shifted), (2, 26, 33)) == (None, None)


@pytest.mark.parametrize(
    "function",
    [
        nn.AdaptiveAvgPool2d(1),
        lambda x: x * x.mean((2, 3), keepdim=True),
        lambda x: F.group_norm(x, 1),
        lambda x: F.instance_norm(x),
        lambda x: F.batch_norm(x[0].permute(1, 0, 2), None, None, training=True),
        lambda x: x.flatten(1) @ torch.ones(x[0].numel(), 3, device=x.device),
        lambda x: x.flatten(2).softmax(2).unflatten(2, x.shape[2:]),
        lambda x: x.amax((2, 3)),
        lambda x: F.scaled_dot_product_attention(*[x.flatten(2).mT] * 3)[:, 0],
        lambda x: x.mean(),
    ],
)
def test_what_depends_on_all_positions_sees_the_whole_picture(function):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), Whole(function))
    assert [(f.whole, f.size) for f in followed(net, (2, 27, 31))] == [
        ((0, 26), 27),
        ((0, 30), 31),
    ]


class Whole(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_reshaped_values_keep_the_size_of_their_fields():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), nn.Flatten())
    assert [(f.size, f.jump, f.start) for f in followed(net, (2, 27, 31))] == [
        (3, None, None),
        (3, None, None),
    ]


def test_branches_with_other_starts_see_from_the_smallest_to_the_largest():
    left, right = nn.ZeroPad1d((4, 0)), nn.ZeroPad1d((0, 4))
    net = nn.Sequential(nn.Conv1d(2, 2, 3, 2, 1), Sum(left, right), nn.Conv1d(2, 2, 3))
    (field,) = followed(net, (2, 31))
    # positions 4 to the left and 0 to 2 to the right, each 3 pixels wide, 2 apart
    assert (field.size, field.jump, field.start) == (3 + 2 * (4 + 2), 2, -1 - 2 * 4)


def test_enlarged_maps_have_a_jump_of_a_fraction():
    net = nn.Sequential(nn.Conv1d(2, 2, 3, 1, 1), nn.Upsample(scale_factor=2))
    (field,) = followed(net, (2, 31))
    assert (field.size, field.jump, field.start) == (3, Fraction(1, 2), -1)


def test_volumes_and_sequences_have_fields_of_their_own():
    cube = nn.Sequential(nn.Conv3d(2, 2, (1, 3, 5)), nn.MaxPool3d(2, (1, 2, 2)))
    assert costs.table(cube, (2, 9, 9, 9))[-1].receptive_field == (2, 4, 6)
    line = nn.Sequential(nn.Conv1d(2, 2, 5), nn.MaxPool1d(2), nn.AvgPool1d(3, 1))
    assert costs.table(line, (2, 40))[-1].receptive_field == (10,)
    assert costs.table(nn.Sequential(nn.Linear(3, 3)), (3,))[0].receptive_field is None


def convolution(kernel, stride):
    """With TensorFlow's padding for even sides: nothing on the left of stride 2."""
    padding = nn.ZeroPad2d((0, 1, 0, 1)) if stride == 2 else nn.ZeroPad2d(kernel // 2)
    return [padding, nn.Conv2d(1, 1, kernel, stride)]


class Bottleneck(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 1, 3, stride, 1), nn.Conv2d(1, 1, 1))
        self.shortcut = nn.MaxPool2d(1, stride)

    def forward(self, x):
        return self.layers(x) + self.shortcut(x)


def published():
    """Networks of the paper's table as TensorFlow's "slim" builds them, widths of 1:
    field, stride, and padding (how far the first field begins before the picture)."""
    pool, conv = nn.MaxPool2d(3, 2), nn.Conv2d
    three = [conv(1, 1, 3, padding=1) for _ in range(3)]
    alexnet = [conv(1, 1, 11, 4), pool, conv(1, 1, 5, padding=2), pool, *three, pool]
    yield "alexnet_v2", alexnet, (195, 32, 64)
    vgg = [conv(1, 1, 3, padding=1), conv(1, 1, 3, padding=1), nn.MaxPool2d(2)] * 2
    for _ in range(3):
        vgg += [*three, nn.MaxPool2d(2)]
    yield "vgg_16", vgg, (212, 32, 90)
    mobile = convolution(3, 2)
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        mobile += convolution(3, stride)
    yield "mobilenet_v1", mobile, (315, 32, 126)
    for depth, found in (50, (483, 32, 239)), (101, (1027, 32, 511)):
        units = [conv(1, 1, 7, 2, 3), nn.ZeroPad2d((0, 1, 0, 1)), pool]
        blocks = (3, 2), (4, 2), (6 if depth == 50 else 23, 2), (3, 1)
        for count, stride in blocks:  # the last unit of a block has its stride
            units += [Bottleneck(1) for _ in range(count - 1)] + [Bottleneck(stride)]
        yield f"resnet_v1_{depth}", units, found


@pytest.mark.parametrize(
    ("layers", "found"),
    [pytest.param(layers, found, id=name) for name, layers, found in published()],
)
def test_receptive_fields_are_those_that_araujo_and_others_published(layers, found):
    row = costs.table(nn.Sequential(nn.Sequential(*layers)), (1, 224, 224))[0]
    size, stride, padding = found
    assert row.receptive_field == (size, size)
    assert row.jump == (stride, stride)
    assert row.start == (-padding, -padding)


def test_torchvisions_inception_has_the_published_field():
    with torch.device("meta"):
        net = models.inception_v3(init_weights=False)
    rows = {row.name: row for row in costs.table(net, (3, 299, 299))}
    assert rows["Mixed_7c"].receptive_field == (1311, 1311)
    assert rows["Mixed_7c"].jump == (32, 32)
