"""Drawings against the modules that they show: boxes, lines, numbers, legibility."""

import re
from collections import Counter
from xml.etree import ElementTree

import pytest
import torch
from torch import fx, nn

from cnnlib import costs, diagrams, models
from cnnlib.diagrams import graph
from cnnlib.diagrams.layout import describe, followed, label
from cnnlib.models.bottlenecks import Gated, se_block
from cnnlib.models.densenet import bottleneck_layer
from cnnlib.models.googlenet import TABLE_1, Inception
from cnnlib.models.googlenet_torchvision import NormalisedInception
from cnnlib.models.lenet import C3_MAPS
from cnnlib.models.resnet import basic
from cnnlib.models.unet import Grid, needed, unet, unet_nested
from tools import form

MODULES = (Inception, NormalisedInception)
LETTERS = "{http://www.w3.org/2000/svg}text"


def network(name):
    with torch.device("meta"):
        return models.build(name), models.find(name).input_shape


def is_layer(module):
    return not any(module.children()) or hasattr(module, "maps")


class Layers(fx.Tracer):
    def is_leaf_module(self, module, name):
        return is_layer(module)


def lines_of_fx(net):
    """Pairs (from, to) of layers as torch.fx finds them in the code of `forward`."""
    traced = Layers().trace(net.train())
    modules = dict(net.named_modules())
    names, lines = {}, Counter()
    for node in traced.nodes:
        if node.op == "placeholder":
            names[node] = "input"
        elif node.op == "call_module" and isinstance(modules[node.target], nn.Identity):
            names[node] = names[node.args[0]]
        elif node.op != "output":
            module = node.op == "call_module"
            names[node] = node.target if module else node.target.__name__
            lines.update((names[s], names[node]) for s in node.all_input_nodes)
    return lines


@pytest.mark.parametrize("name", models.names())
def test_lines_are_those_that_torch_fx_finds(name):
    net, shape = network(name)
    parts = graph.chain(net, shape, fused=False, folded=False)
    drawn = Counter((a.name, b.name) for a, b in graph.edges(parts))
    assert drawn == lines_of_fx(net)


@pytest.mark.parametrize("name", models.names())
def test_every_layer_is_in_one_box_and_its_numbers_are_those_of_the_bill(name):
    net, shape = network(name)
    nodes = list(graph.boxes(graph.chain(net, shape)))
    layers = [n.name for m in nodes for n in (m, *m.before, *m.after) if n.module]
    assert sorted(layers) == sorted(
        path
        for path, module in net.named_modules()
        if is_layer(module)
        and not isinstance(module, nn.Identity | nn.ModuleDict)
        and ".filters" not in path
    )
    bill = costs.table(net, shape)
    shown = [node for node in nodes if not node.name.startswith("auxiliary.")]
    assert sum(node.macs for node in shown) == bill.macs  # heads are for training
    assert sum(node.parameters for node in nodes) == bill.parameters


def beyond_its_box(text, root):
    """Whether words are wider than the box in whose middle they stand."""
    x, y, size = (float(text.get(key)) for key in ("x", "y", "font-size"))
    wide = 0.52 * size * len(text.text)  # of sans-serif letters, on the average
    for box in root.findall(LETTERS.replace("text", "rect[@x]")):
        left, top, width, height = (
            float(box.get(key)) for key in ("x", "y", "width", "height")
        )
        if abs(left + width / 2 - x) < 1 and top < y < top + height:
            return wide > width
    return False


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_drawn_the_same_twice_and_fits_a_phone(name):
    net, shape = network(name)
    gates = name.startswith(("efficientnet", "regnet", "se_"))
    closed = MODULES if name.startswith("googlenet") else Gated if gates else ()
    towers = 2 if name == "alexnet" else 1
    drawings = [
        diagrams.draw(net, shape, closed=closed, towers=towers) for _ in range(2)
    ]
    assert drawings[0].svg == drawings[1].svg
    root = ElementTree.fromstring(drawings[0].svg)
    assert float(root.get("width")) == 360
    texts = root.findall(LETTERS)
    assert min(float(text.get("font-size")) for text in texts) >= 9
    assert max(float(text.get("x")) for text in texts) < 360
    assert "None" not in drawings[0].svg
    assert [text.text for text in texts if beyond_its_box(text, root)] == []
    parts = graph.chain(net, shape, closed)
    for node in graph.boxes(parts, once=True):
        assert describe(node) in drawings[0].words
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)|url\(", drawings[0].svg)
    assert len(drawings[0].svg.encode()) < 45_000


def test_a_shortcut_is_a_branch_without_boxes():
    split = graph.chain(basic(8, 8, 1), (8, 4, 4))[1]
    assert [len(branch) for branch in split.branches] == [2, 0]
    assert split.join.kind == "add" and split.join.after[0].kind == "relu"


def test_a_dense_layer_concatenates_its_input():
    split = graph.chain(bottleneck_layer(8, 4), (8, 4, 4))[-1]
    assert sorted(map(len, split.branches)) == [0, 2]
    assert split.join.kind == "cat" and split.join.shape == (12, 4, 4)


def test_a_gate_is_a_split_inside_the_branch_of_another():
    (_, outer) = graph.chain(se_block(64, 64, 1), (64, 4, 4))
    *_, inner = max(outer.branches, key=len)
    assert [part.join.kind for part in (outer, inner)] == ["add", "mul"]
    assert sorted(map(len, inner.branches)) == [0, 3]  # pooling and two layers


def test_groups_of_channels_are_named_in_the_box():
    convs = [nn.Conv2d(64, 64, 3, 1, 1, groups=n) for n in (1, 2, 32, 64)]
    parts = graph.chain(nn.Sequential(*convs), (64, 4, 4))
    assert [label(part) for part in parts[1:]] == [
        *("3x3, 64", "3x3, 64"),  # AlexNet's two are drawn as towers
        *("3x3, 64 in 32 groups", "3x3, 64 each"),
    ]


def test_equal_blocks_are_drawn_once_with_their_number():
    parts = graph.chain(*network("resnet34"))
    times = [part.times for part in parts if isinstance(part, graph.Repeat)]
    assert times == [3, 3, 5, 2]  # the first block of three stages has a projection


def test_plain_layers_are_folded_by_the_same_blocks():
    parts = graph.chain(*network("plain34"))
    times = [part.times for part in parts if isinstance(part, graph.Repeat)]
    assert times == [3, 3, 5, 2]


def test_googlenet_has_two_heads_behind_the_modules_of_the_paper():
    parts = graph.chain(*network("googlenet"), closed=Inception)
    before = [
        parts[i - 1].name for i, p in enumerate(parts) if isinstance(p, graph.Side)
    ]
    assert before == ["inception4a", "inception4d"]


def test_lines_of_a_module_are_as_thick_as_its_multiplications():
    svg = diagrams.draw(
        Inception(192, *TABLE_1["3a"]), (192, 28, 28), weigh=86_704_128
    ).svg
    widths = [float(w) for w in re.findall(r'stroke-width="([\d.]+)"', svg)]
    assert max(widths) == 24  # the 3x3 convolution, 86.7 M
    assert any(abs(w - 24 * 10.0352 / 86.704) < 0.06 for w in widths)  # 5x5


def test_table_one_is_drawn_as_lenet_reads_it():
    svg = diagrams.draw(*network("lenet5")).svg
    squares = re.search(r'<path [^>]*class="mark"[^>]*>', svg)[0]
    assert squares.count("h5v5h-5z") == sum(map(len, C3_MAPS)) == 60


def test_paths_that_cross_are_refused_with_the_remedy():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Conv2d(2, 2, 1) for _ in range(4))

        def forward(self, x):
            a, b = self.a(x), self.b(x)
            return (self.c(a) + b) + self.d(a)

    with pytest.raises(ValueError, match=r"paths of Crossed cross.*closed"):
        diagrams.draw(Crossed(), (2, 4, 4))


def test_a_normalisation_of_other_channels_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(4))
    with pytest.raises(RuntimeError, match="should contain 8 elements not 4"):
        diagrams.draw(net, (3, 8, 8))


def test_what_is_drawn_stays_as_it_was():
    net = basic(4, 4, 1).eval()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    diagrams.draw(net, (4, 8, 8))
    assert not net.training and not net.path[0][0]._forward_hooks
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())


def test_a_notebook_gets_a_picture_and_its_words():
    shown = diagrams.draw(basic(4, 4, 1), (4, 8, 8))._repr_mimebundle_()
    assert shown.keys() == {"image/svg+xml", "text/plain"}
    assert "convolution 3x3, 4, output 4 x 8 x 8" in shown["text/plain"]


def test_drawings_stand_in_the_pages_of_the_site_themselves():
    config = form.ROOT.joinpath("_config.yml").read_text(encoding="utf-8")
    assert "drawings: book/_ext" in config and "- drawings" in config


def test_norms_mark_the_maps_that_share_a_mean():
    words = diagrams.norms(pictures=3, channels=4, group=2).words
    counts = [int(word.split()[2]) for word in words]
    assert counts == [3, 4, 1, 2]  # a channel, a picture, a map, two of four channels


def test_the_size_of_a_convolution_in_space_is_that_of_torch():
    out = nn.Conv2d(3, 4, 3)(torch.zeros(1, 3, 7, 7)).shape[1:]
    words = diagrams.volumes(3, 7, 3, 4).words
    assert words[-1] == f"{out[0]} maps of {out[1]} x {out[2]}"


def test_a_box_says_as_much_of_what_follows_as_fits():
    assert followed("3x3, 64", "BN ReLU", 16) == "3x3, 64, BN ReLU"
    assert followed("dense 4,096", "ReLU dropout", 22) == "dense 4,096, ReLU"
    assert followed("3x3, 64", "BN ReLU", 15) == "3x3, 64"
    assert followed("11x11, 48 /4", "ReLU", 17) == "11x11, 48 /4"
    assert followed("3x3 max", "", 22) == "3x3 max"


def grid(build, **how):
    """A drawing of a grid of nodes, its elements, and the network."""
    net = build((8, 16, 32, 64), 1, in_channels=1, num_classes=1)
    drawing = diagrams.nodes(net, (1, 32, 32), **how)
    return drawing, ElementTree.fromstring(drawing.svg), net


@pytest.mark.parametrize("build", [unet, unet_nested])
def test_a_grid_has_a_box_for_each_module_and_a_line_for_each_map_it_reads(build):
    drawing, root, net = grid(build)
    bill = costs.table(net, (1, 32, 32))
    assert sorted(words.partition(":")[0] for words in drawing.words) == sorted(
        name for name, _ in net.named_children()
    )
    for row in bill:
        size = " x ".join(map(str, row.output_shape))
        said = f"{row.name}: output {size}, {row.parameters:,} parameters"
        assert f"{said}, {row.macs:,} MACs" in drawing.words
    lines = root.findall(LETTERS.replace("text", "path"))
    assert len(lines) == sum(map(len, net.reads.values())) + len(net.exits)
    assert not any(line.get("stroke-dasharray") for line in lines)
    assert float(root.get("width")) == 360
    texts = root.findall(LETTERS)
    assert min(float(text.get("font-size")) for text in texts) >= 9
    assert [text.text for text in texts if beyond_its_box(text, root)] == []
    assert drawing.svg == grid(build)[0].svg


class Small(Grid):
    """Runs otherwise than its table says."""

    def forward(self, x):
        first = self.x00(x)
        return (self.exit1(self.x01(first, self.x10(first))),)


def test_lines_of_a_grid_are_those_along_which_maps_went():
    _, _, net = grid(unet_nested)
    nodes = {(0, 0): net.x00, (1, 0): net.x10, (0, 1): net.x01}
    wrong = {(0, 0): [], (1, 0): [], (0, 1): [(0, 0)]}
    drawing = diagrams.nodes(Small(wrong, nodes, {1: net.exit1}), (1, 32, 32))
    lines = ElementTree.fromstring(drawing.svg).findall(LETTERS.replace("text", "path"))
    assert len(lines) == 3 + 1


@pytest.mark.parametrize("exit", [1, 2, 3])
def test_a_pruned_grid_shows_what_is_left_in_colour(exit):
    _, root, net = grid(unet_nested, exit=exit)
    kinds = [box.get("class") for box in root.findall(LETTERS.replace("text", "rect"))]
    left = len(needed(net.reads, (0, exit)))
    assert kinds.count("conv") == left == (exit + 1) * (exit + 2) // 2
    assert kinds.count("dense") == 1 and kinds.count("map") == 10 - left + 2
    lines = root.findall(LETTERS.replace("text", "path"))
    solid = sum(not line.get("stroke-dasharray") for line in lines)
    assert solid == 1 + sum(map(len, needed(net.reads, (0, exit)).values()))
