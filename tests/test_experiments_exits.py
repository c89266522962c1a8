"""Scenes, masks, heads and measures of the experiments on exits."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib import data, scenes
from cnnlib.experiments import early_exit, exits
from cnnlib.experiments.googlenet import Detach
from cnnlib.models.unet import pruned


def test_a_mask_is_known_to_the_pixel():
    """One white square garment on the canvas: its pixels and no others are of its
    kind, and where it is not, the picture is the canvas."""
    cut = torch.full((20, 10), 200, dtype=torch.uint8)
    for seed in range(5):
        random = torch.Generator().manual_seed(seed)
        picture, kinds = exits.scene([(8, [cut])], random, most=1)
        assert set(kinds.unique().tolist()) == {0, 9}
        assert torch.equal(kinds == 9, picture > 150)
        rows, columns = ((kinds == 9).any(axis) for axis in (1, 0))
        assert 8 <= rows.sum() <= 14 and 4 <= columns.sum() <= 7
        assert rows.sum() * columns.sum() == (kinds == 9).sum()


def test_where_a_garment_has_a_hole_the_canvas_is_seen():
    cut = torch.full((20, 20), 200, dtype=torch.uint8)
    cut[6:14, 6:14] = 0
    random = torch.Generator().manual_seed(0)
    picture, kinds = exits.scene([(8, [cut])], random, most=1)
    rows, columns = ((kinds == 9).any(axis) for axis in (1, 0))
    middle = (side.nonzero().float().mean().round().int() for side in (rows, columns))
    place = tuple(middle)
    assert kinds[place] == 0 and picture[place] < 60
    assert 0.5 < (kinds == 9).sum() / (rows.sum() * columns.sum()) < 0.95


def test_scenes_are_drawn_again_and_hold_what_they_should():
    pictures, kinds = exits.scenes(120, "test", 7)
    again = exits.scenes.__wrapped__(120, "test", 7)
    assert torch.equal(pictures, again[0]) and torch.equal(kinds, again[1])
    assert pictures.shape == kinds.shape == (120, exits.SIDE, exits.SIDE)
    assert pictures.dtype == torch.uint8
    assert set(kinds.unique().tolist()) == {0, *(1 + k for k in (8, *exits.TOPS))}
    ink = kinds > 0
    assert pictures[ink].float().mean() > 100 > 30 > pictures[~ink].float().mean()
    with_bags = (kinds == 9).flatten(1).any(1).float().mean()
    assert 0.5 < with_bags < 0.85
    assert not torch.equal(pictures, exits.scenes(120, "test", 8)[0])


def test_garments_of_training_and_test_are_others(monkeypatch):
    asked = []
    real = data.fashion_mnist()
    monkeypatch.setattr(exits.data, "fashion_mnist", lambda: asked.append(1) or real)
    cuts = []
    monkeypatch.setattr(
        exits,
        "scene",
        lambda garments, random: (
            cuts.append(garments) or (torch.zeros(1), torch.zeros(1))
        ),
    )
    for part in ("train", "test"):
        exits.scenes.__wrapped__(1, part, 0)
    for garments, images in zip(cuts, real, strict=True):
        assert [kind for kind, _ in garments] == [8, *exits.TOPS, 8, 8, 8]
        first = images.images[images.labels == 8][0, 0]
        assert torch.equal(garments[0][1][0], scenes.cut_out(first))


def test_masks_of_both_questions():
    kinds = torch.tensor([[[0, 1, 9], [9, 7, 3]]], dtype=torch.uint8)
    assert exits.masks(kinds, "any garment").int().tolist() == [[[0, 1, 1], [1, 1, 1]]]
    assert exits.masks(kinds, "bags only").int().tolist() == [[[0, 0, 1], [1, 0, 0]]]


def test_overlap_is_that_of_sets_of_places():
    torch.manual_seed(0)
    for share in (0.1, 0.5, 0.9):
        a, b = (torch.rand(3, 8, 8) < share for _ in range(2))
        places = [set(map(tuple, mask.nonzero().tolist())) for mask in (a, b)]
        expected = len(places[0] & places[1]) / len(places[0] | places[1])
        assert exits.overlap(a, b) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("way", exits.WAYS)
def test_networks_have_the_size_of_the_exit_that_they_stand_for(way):
    torch.manual_seed(0)
    net, whole = exits.network(way), exits.network("supervised")
    depth, _ = exits.WAYS[way]
    one = way not in ("supervised", "end only")
    assert net.exits == ((depth,) if one else (1, 2, 3))
    if "alone" in way:
        left = pruned(whole, depth)
        shapes = [
            [(name, p.shape) for name, p in n.named_parameters()] for n in (net, left)
        ]
        assert shapes[0] == shapes[1]


def few(question="bags only"):
    pictures, kinds = exits.scenes(48, "train", 3)
    return exits.inputs(pictures, torch.device("cpu")), exits.masks(kinds, question)


def test_inputs_are_normalised():
    pictures = torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8)
    x = exits.inputs(pictures, torch.device("cpu"))
    grey = torch.tensor([[0, 1], [0.2, 0.4]])
    torch.testing.assert_close(x[0, 0], (grey - data.MEAN) / data.STD)


def gradients(net, x, true, supervised):
    """Norms of the gradients of one step from the start, by parameter."""
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    exits.learn(net, x[:16], true[:16], 1, 0, 1e-9, supervised)
    assert list(start) == [name for name, _ in net.named_parameters()]  # heads are back
    assert not any(isinstance(module, Detach) for module in net.modules())
    return {name: p.grad.norm().item() for name, p in net.named_parameters()}


def test_without_supervision_only_the_last_loss_reaches_the_nodes():
    x, true = few()
    found = {}
    for supervised in (True, False):
        torch.manual_seed(0)
        net = exits.network("supervised")
        found[supervised] = gradients(net, x, true, supervised)
    torch.manual_seed(0)
    last = exits.network("supervised")
    generator = torch.Generator().manual_seed(0)
    index = torch.randperm(16, generator=generator)
    turned = (torch.rand(16, generator=generator) < 0.5).view(-1, 1, 1, 1)
    batch, wanted = x[index], true[index, None].float()
    batch, wanted = (torch.where(turned, p.flip(3), p) for p in (batch, wanted))
    F.binary_cross_entropy_with_logits(last.train()(batch)[-1], wanted).backward()
    for name, parameter in last.named_parameters():
        if not name.startswith(("exit1", "exit2")):
            expected = parameter.grad.norm().item()
            assert found[False][name] == pytest.approx(expected, rel=1e-3, abs=1e-6)
        else:  # but the heads learn, as with supervision
            assert found[False][name] == pytest.approx(found[True][name], rel=1e-3)
    assert found[True]["x00.0.weight"] > 1.05 * found[False]["x00.0.weight"]


def test_a_network_learns_and_reports_on_the_way():
    x, true = few("any garment")
    torch.manual_seed(0)
    net = exits.network("supervised")
    before = exits.judged(net, x, true)
    rows = exits.learn(
        net,
        x,
        true,
        30,
        0,
        3e-2,
        looks=(1 / 3, 1),
        look=lambda n: exits.judged(n, x, true),
    )
    assert [row[0] for row in rows] == [10, 30]
    assert len(before) == len(rows[0]) - 1 == 4
    assert min(rows[1][1:]) > 0.7 and rows[1][1:] == exits.judged(net, x, true)


def test_the_last_overlap_is_that_of_the_mean_probability():
    x, true = few()
    torch.manual_seed(1)
    net = exits.network("supervised")
    logits = exits.answers(net, x, size=20)
    assert logits.shape == (3, 48, 32, 32)
    found = exits.judged(net, x, true)
    mean = logits.sigmoid().mean(0) > 0.5
    assert found[:3] == [exits.overlap(one > 0, true) for one in logits]
    assert found[3] == pytest.approx(exits.overlap(mean, true), abs=2e-3)
    assert len(exits.judged(exits.network("U-Net"), x, true)) == 1


def test_training_is_the_same_twice():
    x, true = few()
    ends = []
    for _ in range(2):
        torch.manual_seed(4)
        net = exits.network("depth 1 alone")
        exits.learn(net, x, true, 5, 4, 1e-2)
        ends.append(exits.answers(net, x))
    assert torch.equal(*ends)


# Early exits


def test_bills_by_hand():
    """Convolutions on 28, 14, 7 and 3 pixels, and dense layers of ten."""
    first, second = 28 * 28 * 9 * 16, 14 * 14 * 9 * 16 * 32
    third, fourth = 7 * 7 * 9 * 32 * 64, 3 * 3 * 9 * 64 * 96
    at1 = first + second + 32 * 10
    at2 = at1 + third + 64 * 10
    at3 = at2 + fourth + 96 * 10
    assert early_exit.bills(early_exit.classifier()) == [at1, at2, at3]
    alone = early_exit.bills(early_exit.classifier(heads=False))
    assert alone == [first + second + third + fourth + 960]
    half = early_exit.classifier(False, 0.5)
    assert early_exit.bills(half)[0] == pytest.approx(alone[0] / 4, rel=0.05)


def test_who_leaves_where():
    confidence = torch.tensor([[0.9, 0.5, 0.2], [0.1, 0.8, 0.3], [0.0, 0.0, 0.1]])
    leave = early_exit.leaving
    assert leave(confidence, 0.8).tolist() == [0, 1, 2]
    assert leave(confidence, 0).tolist() == [0, 0, 0]
    assert leave(confidence, 1.01).tolist() == [2, 2, 2]


def test_a_curve_by_hand():
    """Four pictures, two exits: those that leave first are right, the others half."""
    confidence = torch.tensor([[0.95, 0.95, 0.45, 0.45], [1.0, 1.0, 1.0, 1.0]])
    right = torch.tensor([[True, True, False, False], [True, True, True, False]])
    rows = early_exit.curve(confidence, right, [10, 30])
    table = {row[0]: row[1:] for row in rows}
    assert list(table) == list(early_exit.THRESHOLDS)
    shares, among, accuracy, bill, lot = table[0.5]
    assert shares == [0.5, 0.5] and among == [1.0, 0.5]
    assert (accuracy, bill, lot) == (0.75, 20.0, 0.5 * 0.5 + 0.5 * 0.75)
    assert table[0] == [[1, 0], [0.5, None], 0.5, 10, 0.5]
    assert table[1.01] == [[0, 1], [None, 0.75], 0.75, 30, 0.75]


def test_confidence_is_the_largest_probability_of_each_exit():
    torch.manual_seed(0)
    net, x = early_exit.classifier(), torch.randn(6, 1, 28, 28)
    confidence, label = early_exit.said(net, x)
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        final, *first = net(x)
    for row, logits in enumerate([*first, final]):
        torch.testing.assert_close(confidence[row], logits.softmax(1).amax(1))
        assert torch.equal(label[row], logits.argmax(1))


def test_noise_stays_between_black_and_white():
    x = torch.full((4, 1, 28, 28), (0.5 - data.MEAN) / data.STD)
    found = early_exit.noisy(x, 3) * data.STD + data.MEAN
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6
    assert found.std() == pytest.approx(early_exit.NOISE, rel=0.1)
    assert torch.equal(early_exit.noisy(x, 3), early_exit.noisy(x, 3))


def test_a_classifier_with_exits_learns():
    torch.manual_seed(0)
    pictures = data.Images(*(part[:256] for part in data.fashion_mnist()[0]))
    net = early_exit.learn(early_exit.classifier(), pictures, seed=0, steps=30)
    x = (pictures.images / 255 - data.MEAN) / data.STD
    _, label = early_exit.said(net, x.to(next(net.parameters()).device))
    right = (label.cpu() == pictures.labels).float().mean(1)
    assert right[-1] > 0.7
