"""Costs by hand. tests/test_costs_torchvision.py has torch's and torchvision's numbers,
tests/test_fields.py the receptive fields."""

from functools import partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from cnnlib import costs

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


def test_a_window_moves_by_one_and_nothing_is_padded_unless_said():
    assert costs.output_size(7, 3) == 7 - 3 + 1
    assert costs.output_size_tensorflow(7, 3) == 7


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


class Apply(nn.Module):
    """A function of x and of tensors of the shapes given."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.ones(shape) for shape in shapes)

    def forward(self, x):
        return self.function(x, *self.weights)


@pytest.mark.parametrize(
    ("function", "input_shape", "shapes", "macs"),
    [
        (torch.matmul, (5, 3), [(3, 4)], 5 * 3 * 4),
        (torch.matmul, (2, 5, 3), [(2, 3, 4)], 2 * 5 * 3 * 4),
        (torch.matmul, (5, 3), [(3,)], 5 * 3),
        (lambda x, w: w @ x[0], (3,), [(5, 3)], 5 * 3),
        (lambda x, w: w @ x[0], (3,), [(3,)], 3),
        (lambda x, w: torch.dot(x[0], w), (3,), [(3,)], 3),
        (lambda x, w: torch.vdot(x[0], w), (3,), [(3,)], 3),
        (lambda x, w: torch.bmm(x, w), (5, 3), [(1, 3, 4)], 5 * 3 * 4),
        (lambda x, b, w: torch.addmm(b, x, w), (3,), [(1, 4), (3, 4)], 3 * 4),
        (lambda x, b, w: torch.addmv(b, w, x[0]), (3,), [(5,), (5, 3)], 5 * 3),
        (lambda x, w: torch.addr(w, w[0], x[0]), (3,), [(3, 3)], 3 * 3),
        (torch.addbmm, (3,), [(2, 1, 5), (2, 5, 3)], 2 * 5 * 3),
        (lambda x, a, b: (x + 1).addbmm_(a, b), (3,), [(2, 1, 5), (2, 5, 3)], 30),
        (lambda x, b, w: torch.baddbmm(b, x, w), (5, 3), [(1,), (1, 3, 4)], 5 * 3 * 4),
        (lambda x, a, w: torch.empty_like(x).addmm_(a, w), (3,), [(1, 5), (5, 3)], 15),
        (partial(torch.einsum, "nchw,oc->nohw"), (3, 4, 5), [(6, 3)], 3 * 4 * 5 * 6),
        (partial(torch.einsum, "nij,njk,nkl->nil"), (2, 3), [(1, 3, 4), (1, 4, 5)], 64),
        (torch.conv_tbc, (5, 3), [(1, 3, 4), (4,)], 5 * 3 * 4),
        (F.conv_transpose1d, (3, 5), [(3, 2, 4)], 5 * 3 * 2 * 4),
        (F.conv1d, (3, 5), [(2, 3, 4)], 2 * 2 * 3 * 4),
        (F.conv3d, (3, 4, 5, 6), [(2, 3, 1, 2, 3)], 2 * (4 * 4 * 4) * 3 * 2 * 3),
        (lambda x: F.scaled_dot_product_attention(x, x, x), (2, 5, 3), [], 2 * 2 * 75),
        (lambda x: x * x + x.softmax(1) + x.cumsum(1), (7,), [], 0),
    ],
)
def test_products_of_every_kind_by_hand(function, input_shape, shapes, macs):
    assert costs.table(Apply(function, *shapes), input_shape).macs == macs


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3
        )

    def forward(self, x):
        return self.encoder(self.attention(x, x, x, need_weights=False)[0])


def test_attention_is_counted_though_torch_would_take_its_fused_path():
    attention, encoder = costs.table(Attending(), (6, 8))
    one = 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8  # query, key, value, output; scores, mean
    assert attention.macs == one
    assert encoder.macs == 3 * (one + 2 * 6 * 8 * 16)


def outside_torch(x):
    return torch.ops.testing.triple(x)


@torch.library.custom_op("testing::triple", mutates_args=())
def triple(x: torch.Tensor) -> torch.Tensor:
    return 3 * x


triple.register_fake(torch.empty_like)


@pytest.mark.parametrize("function", [torch.fft.fft, outside_torch, torch.cdist])
def test_an_operation_without_a_formula_leaves_the_macs_open(function):
    arguments = [(3, 3)] if function is torch.cdist else []
    net = nn.Sequential(nn.Linear(3, 3), Apply(function, *arguments), nn.ReLU())
    table = costs.table(net, (3,))
    assert [row.macs for row in table] == [9, None, 0]
    assert table.macs is None and table.parameters is not None
    assert [line.split()[-2] for line in repr(table).splitlines()[1:]] == [
        *["9", "-", "0", *[str(table.parameters)]],
    ]


class Twice(nn.Module):
    """A layer that is used twice, on maps of two sizes; a head that is never used."""

    def __init__(self, size):
        super().__init__()
        self.layer, self.pool = nn.Conv2d(2, 2, 3, padding=1), nn.AvgPool2d(size)
        self.unused = nn.LazyLinear(2)

    def forward(self, x):
        return self.layer(self.pool(self.layer(x)))


def test_a_layer_used_twice_shows_a_shape_only_if_it_has_one():
    layer, pool, unused = costs.table(Twice(2), (2, 8, 8))
    assert layer.macs == 36 * (8 * 8 + 4 * 4) and layer.parameters == 38
    assert layer.activations == 2 * (8 * 8 + 4 * 4)
    assert layer.output_shape is layer.receptive_field is layer.start is None
    assert (pool.output_shape, pool.receptive_field) == ((2, 4, 4), (4, 4))
    assert (unused.output_shape, unused.macs, unused.parameters) == ((), 0, None)
    table = costs.table(Twice(1), (2, 8, 8))
    assert table[0].output_shape == (2, 8, 8) and table[0].receptive_field is None
    assert table.parameters is None
    assert "layer" in repr(table) and repr(table).splitlines()[1].split()[1] == "2"


def test_shared_weights_count_once_and_stand_in_the_first_row():
    first, second = nn.Conv2d(2, 2, 3, bias=False), nn.Conv2d(2, 2, 3)
    second.weight = first.weight
    table = costs.table(nn.Sequential(first, nn.Sequential(second), first), (2, 9, 9))
    assert [row.parameters for row in table] == [36, 2]
    assert table.macs == 36 * (7 * 7 + 5 * 5 + 3 * 3)


class Answers(nn.Module):
    """Returns its inputs in the given way."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return self.form(x)


class Chosen(nn.Sequential):
    def forward(self, x):
        answer = self[0](x)
        answer = answer if isinstance(answer, list | tuple) else [*answer.values()]
        return self[1](answer[0])


@pytest.mark.parametrize(
    "form",
    [
        lambda x: (x, x + 1),
        lambda x: [x, None],
        lambda x: {"out": x, "aux": [x]},
        lambda x: {"out": x, "aux": (x[:, :1], x[..., 1:])},
    ],
)
def test_a_stage_may_return_several_tensors(form):
    several, last = costs.table(Chosen(Answers(form), nn.Conv2d(2, 1, 3)), (2, 9, 9))
    answers = [x for x in tree_leaves(form(torch.ones(1, 2, 9, 9))) if x is not None]
    assert several.activations == sum(x.numel() for x in answers)
    shapes = {tuple(x.shape[1:]) for x in answers}
    assert several.output_shape == (None if len(shapes) > 1 else (2, 9, 9))
    assert (last.macs, last.receptive_field) == (7 * 7 * 18, (3, 3))


def test_lazy_layers_find_their_sizes_in_a_copy_only():
    layers = nn.LazyConv2d(6, 5), nn.LazyBatchNorm2d(), nn.MaxPool2d(2), nn.Flatten()
    net = nn.Sequential(*layers, nn.LazyLinear(10))
    before = torch.get_rng_state()
    table = costs.table(net, (1, 28, 28))
    assert [row.parameters for row in table] == [156, 12, 0, 0, 6 * 12 * 12 * 10 + 10]
    assert table.macs == 6 * 24 * 24 * 25 + 6 * 12 * 12 * 10
    assert all(map(is_lazy, net.parameters())) and type(net[0]) is nn.LazyConv2d
    assert torch.equal(before, torch.get_rng_state())
    net(torch.zeros(2, 1, 28, 28))
    assert costs.table(net, (1, 28, 28)) == table


def test_a_frozen_lazy_layer_stays_frozen():
    net = nn.Sequential(nn.LazyLinear(2))
    net[0].weight.requires_grad = False
    assert costs.table(net, (3,)).parameters == 2


class Reordered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("order", torch.tensor([1, 0]))

    def forward(self, x):
        return x[:, self.order]


def test_an_index_stays_one_and_weights_of_any_precision_are_counted():
    net = nn.Sequential(Reordered(), nn.PReLU(2).double(), nn.Linear(2, 3))
    first, _, last = costs.table(net, (4,))
    assert (first.output_shape, last.macs) == ((2,), 6)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_the_members_of_a_list_make_one_stage():
    (row,) = costs.table(Listed(), (4,))
    assert row == costs.Row("blocks", (4,), 60, 48, 12, None, None, None)


def test_layers_inside_of_a_stage_have_no_row_and_no_output_of_their_own():
    inside = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6))
    (row,) = costs.table(nn.Sequential(inside), (4,))
    assert row == costs.Row("0", (6,), 25 + 36, 20 + 30, 6, None, None, None)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x[0, 0].item(),
    ],
)
def test_a_net_that_asks_for_values_is_refused_in_a_sentence(function):
    with pytest.raises(ValueError, match="Apply decides by the values of a picture"):
        costs.table(Apply(function), (3,))


def test_the_mistakes_of_a_net_are_reported_as_they_are():
    with pytest.raises(NotImplementedError, match="forward"):
        costs.table(nn.Sequential(nn.ModuleList()), (3,))
    with pytest.raises(RuntimeError, match="same reduction dim"):
        costs.table(nn.Sequential(nn.Linear(3, 2)), (4,))


class Outside(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 3))
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        x = self.last(F.linear(input=x, weight=self.weight))
        return x @ x.new_ones(2, 7)


def test_work_outside_the_children_has_a_row_of_its_own():
    last, own = costs.table(Outside(), (3,))
    assert (last.name, last.macs) == ("last", 10)
    assert (own.name, own.parameters, own.macs) == ("(net)", 15, 15 + 14)


def test_the_net_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    costs.table(net, (1, 8, 8))
    assert net.training and not net[0]._forward_hooks
    assert all(torch.equal(before[key], net.state_dict()[key]) for key in before)


TEXT = """\
stage        output  parameters     MACs  receptive field
0      20 x 21 x 21       1,300  564,480            8 x 8
1              8820           0        0            8 x 8
total                     1,300  564,480"""
HTML = """\
<table>
<thead><tr>
<th scope="col">stage</th>
<th scope="col">output</th>
<th scope="col">parameters</th>
<th scope="col">MACs</th>
<th scope="col">receptive field</th>
</tr></thead>
<tbody>
<tr><th row>0</th><td>20 x 21 x 21</td><td>1,300</td><td>564,480</td><td>8 x 8</td></tr>
<tr><th row>1</th><td>8820</td><td>0</td><td>0</td><td>8 x 8</td></tr>
<tr><th row>total</th><td></td><td>1,300</td><td>564,480</td><td></td></tr>
</tbody></table>"""


def test_the_table_reads_as_text_and_as_html():
    net = nn.Sequential(nn.Conv2d(1, 20, 8), nn.Flatten())
    table = costs.table(net, (1, 28, 28))
    assert repr(table) == TEXT
    assert table._repr_html_() == HTML.replace("<td>", '<td align="right">').replace(
        "<th row>", '<th scope="row">'
    )
