"""U-Net and U-Net++ against their papers, by hand, and node by node."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlib import costs, init, models
from cnnlib.models.unet import (
    Grid,
    needed,
    nested_reads,
    pruned,
    unet,
    unet_nested,
    unet_reads,
)

WIDTHS = (4, 8, 16, 32)


def small(build=unet_nested, widths=WIDTHS, convs=1):
    torch.manual_seed(0)
    return build(widths, convs, in_channels=1, num_classes=1)


@pytest.fixture(scope="module")
def tables():
    with torch.device("meta"):
        nets = {name: row.builder() for name, row in models.MASKS.items()}
    return {
        name: {row.name: row for row in costs.table(net, models.MASKS[name][1])}
        for name, net in nets.items()
    }


def test_masks_have_a_source_and_the_order_of_the_years():
    rows = list(models.MASKS.values())
    assert [row.year for row in rows] == [2015, 2018]
    assert all(row.source.startswith("https://arxiv.org/abs/") for row in rows)
    assert not set(models.MASKS) & set(models.names())


def test_what_a_node_reads_by_hand():
    assert unet_reads(2) == {
        (0, 0): [],
        (1, 0): [(0, 0)],
        (2, 0): [(1, 0)],
        (1, 1): [(1, 0), (2, 0)],
        (0, 2): [(0, 0), (1, 1)],
    }
    assert nested_reads(2) == {
        (0, 0): [],
        (1, 0): [(0, 0)],
        (0, 1): [(0, 0), (1, 0)],
        (2, 0): [(1, 0)],
        (1, 1): [(1, 0), (2, 0)],
        (0, 2): [(0, 0), (0, 1), (1, 1)],
    }


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_both_have_as_many_nodes_and_lines_as_their_drawings(depth):
    plain, nested = unet_reads(depth), nested_reads(depth)
    assert len(plain) == 2 * depth + 1
    assert len(nested) == (depth + 1) * (depth + 2) // 2
    assert sum(map(len, plain.values())) == 3 * depth
    for reads in plain, nested:
        seen = []
        for node, sources in reads.items():
            assert set(sources) <= set(seen)  # each runs after what it reads
            seen.append(node)


def test_each_node_of_the_paper_has_its_size_and_channels(tables):
    """Figure 1 of U-Net, with its convolutions padded; U-Net++ has half the widths."""
    assert {name: row.output_shape for name, row in tables["unet"].items()} == {
        "x00": (64, 512, 512),
        "x10": (128, 256, 256),
        "x20": (256, 128, 128),
        "x30": (512, 64, 64),
        "x40": (1024, 32, 32),
        "x31": (512, 64, 64),
        "x22": (256, 128, 128),
        "x13": (128, 256, 256),
        "x04": (64, 512, 512),
        "exit4": (2, 512, 512),
    }
    for name, row in tables["unet_nested"].items():
        if name[0] == "x":
            height = int(name[1])
            assert row.output_shape == (32 * 2**height, *2 * (96 // 2**height,))


def test_parameters_by_hand(tables):
    """Twice 3x3 with batch normalisation, and 2x2 with a bias on the way up."""
    found = {name: row.parameters for name, row in tables["unet_nested"].items()}
    assert found["x00"] == 9 * (3 * 32 + 32 * 32) + 2 * 2 * 32
    assert found["x10"] == 9 * (32 * 64 + 64 * 64) + 2 * 2 * 64
    up = 4 * 64 * 32 + 32
    for column in range(1, 5):
        convs = 9 * ((column + 1) * 32 * 32 + 32 * 32) + 2 * 2 * 32
        assert found[f"x0{column}"] == up + convs
    assert found["exit1"] == 32 + 1


def test_parameters_are_those_of_the_papers(tables):
    """U-Net has 31.0 million, with half the widths 7.76; U-Net++ 9.04."""
    sums = {
        name: sum(row.parameters for row in rows.values())
        for name, rows in tables.items()
    }
    assert sums == {"unet": 31_036_546, "unet_nested": 9_045_924}
    with torch.device("meta"):
        half = unet((32, 64, 128, 256, 512), in_channels=3, num_classes=1)
    weights = sum(
        p.numel()
        for module in half.modules()
        if not isinstance(module, nn.BatchNorm2d)
        for p in module.parameters(recurse=False)
    )
    assert weights / 1e6 == pytest.approx(7.76, abs=0.005)
    assert sums["unet_nested"] / 1e6 == pytest.approx(9.04, abs=0.01)


@pytest.mark.parametrize("name", models.MASKS)
def test_macs_are_half_of_what_torchs_counter_counts(name, tables):
    with torch.device("meta"):
        net = models.MASKS[name].builder().eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, *models.MASKS[name].input_shape))
    macs = sum(row.macs for row in tables[name].values())
    assert counter.get_total_flops() == 2 * macs


def test_nodes_of_a_column_cost_the_same_and_by_how_much():
    """With one convolution: 9 (j + 1) for it and 2 for the way up, times C^2 H W."""
    rows = {r.name: r for r in costs.table(small(), (1, 40, 40))}
    unit = 4 * 4 * 40 * 40
    for row in range(3):
        for column in range(1, 4 - row):
            assert rows[f"x{row}{column}"].macs == unit * (9 * (column + 1) + 2)
    assert rows["x10"].macs == rows["x20"].macs == rows["x30"].macs == unit * 4.5


def order(net, x):
    """Names of the nodes and layers, in the order in which they ran."""
    ran, handles = [], []
    for name, module in net.named_modules():
        if not any(module.children()):
            run = lambda *_, name=name: ran.append(name)  # noqa: E731
            handles.append(module.register_forward_hook(run))
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return ran


def test_order_of_the_layers():
    net = small(widths=(4, 8), convs=2)
    kinds = [net.get_submodule(name) for name in order(net, torch.ones(2, 1, 4, 4))]
    letters = {
        **{nn.Conv2d: "c", nn.BatchNorm2d: "b", nn.ReLU: "r"},
        **{nn.MaxPool2d: "m", nn.ConvTranspose2d: "u"},
    }
    ran = "".join(letters[type(kind)] for kind in kinds)
    assert ran == "cbrcbr" + "m" + "cbrcbr" + "u" + "cbrcbr" + "c"


def formula(net, x):
    """Equation 1 of U-Net++ as loops over x[i][j], in the paper's notation."""
    depth = max(row for row, _ in net.reads)
    made = {}
    for j in range(depth + 1):
        for i in range(depth + 1 - j):
            node = net.get_submodule(f"x{i}{j}")
            if j == 0:
                made[i, j] = (
                    node(x) if i == 0 else node[1](F.max_pool2d(made[i - 1, 0], 2))
                )
                continue
            row = [made[i, k] for k in range(j)]
            weight, bias = node.up.weight, node.up.bias
            below = F.conv_transpose2d(made[i + 1, j - 1], weight, bias, stride=2)
            made[i, j] = node.convs(torch.cat([*row, below], 1))
    return [net.get_submodule(f"exit{j}")(made[0, j]) for j in range(1, depth + 1)]


def test_the_outputs_are_those_of_the_papers_equation():
    net = small(convs=2).eval()
    x = torch.randn(2, 1, 16, 24)
    with torch.no_grad():
        ours, theirs = net(x), formula(net, x)
    assert len(ours) == len(theirs) == 3
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == (2, 1, 16, 24)
        torch.testing.assert_close(a, b)


def test_a_u_net_is_down_and_up_with_one_skip_a_row():
    net = small(unet).eval()
    x, kept = torch.randn(2, 1, 16, 16), []
    with torch.no_grad():
        y = x
        for row in range(4):
            y = net.get_submodule(f"x{row}0")(y)
            kept.append(y)
        for row in reversed(range(3)):
            node = net.get_submodule(f"x{row}{3 - row}")
            y = node.convs(torch.cat([kept[row], node.up(y)], 1))
        expected = net.exit3(y)
        assert torch.equal(net(x)[0], expected)


@pytest.mark.parametrize("exit", [1, 2, 3])
def test_pruning_leaves_nodes_out_and_changes_no_output(exit):
    net = small().eval()
    left = pruned(net, exit).eval()
    assert list(left.reads) == [n for n in net.reads if sum(n) <= exit]
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        everything, one = net(x), left(x)
    assert len(one) == 1 and torch.equal(one[0], everything[exit - 1])
    own = {id(p) for p in net.parameters()}
    assert {id(p) for p in left.parameters()} <= own  # no copies


def test_what_a_node_needs_is_what_can_change_it():
    """The gradient of one number in it reaches just those nodes."""
    net, made = small().eval(), {}
    for node in net.reads:
        keep = partial(
            lambda node, module, args, output: made.update({node: output}), node
        )
        net.get_submodule("x{}{}".format(*node)).register_forward_hook(keep)
    net(torch.randn(1, 1, 16, 16))
    for node in net.reads:
        reached = torch.autograd.grad(
            made[node].sum(), list(made.values()), retain_graph=True, allow_unused=True
        )
        found = {n for n, g in zip(made, reached, strict=True) if g is not None}
        assert found == set(needed(net.reads, node))


@pytest.mark.parametrize("build", [unet, unet_nested])
def test_every_parameter_gets_a_finite_gradient(build):
    net = small(build)
    outputs = net(torch.randn(2, 1, 16, 16))
    sum(logits.square().sum() for logits in outputs).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


@pytest.mark.parametrize("build", [unet, unet_nested])
def test_learns_a_small_batch_by_heart(build):
    net = small(build).apply(init.he)
    x = torch.randn(4, 1, 16, 16)
    wanted = (F.avg_pool2d(x, 5, stride=1, padding=2) > 0).float()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(150):
        outputs = net(x)
        if all(
            ((logits > 0) == (wanted > 0)).float().mean() > 0.98 for logits in outputs
        ):
            return
        optimizer.zero_grad()
        sum(F.binary_cross_entropy_with_logits(o, wanted) for o in outputs).backward()
        optimizer.step()
    pytest.fail("150 steps were not enough")


@pytest.mark.parametrize("build", [unet, unet_nested])
def test_pictures_that_do_not_fit_are_refused_in_one_sentence(build):
    net = small(build)
    assert net(torch.randn(2, 1, 8, 24))[-1].shape == (2, 1, 8, 24)
    for wrong in (2, 1, 12, 16), (2, 1, 16, 0), (2, 2, 16, 16), (1, 16, 16):
        with pytest.raises(ValueError) as error:
            net(torch.randn(wrong))
        assert str(error.value) == (
            f"{build.__name__} needs images of shape (N, 1, 8, 8) or multiples of it; "
            f"got {wrong}."
        )


def test_a_grid_has_the_exits_it_is_given():
    net = small()
    nodes = {n: net.get_submodule("x{}{}".format(*n)) for n in net.reads}
    some = Grid(net.reads, nodes, {2: net.exit2})
    assert len(some(torch.randn(2, 1, 8, 8))) == 1 and some.exits == (2,)
