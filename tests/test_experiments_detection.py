"""The grid, the losses and the measures of the experiment on detection."""

import base64
import io
import json

import pytest
import torch
from PIL import Image
from torchvision import ops

from cnnlib import boxes, costs, scenes, train
from cnnlib.boxes import Found
from cnnlib.experiments import detection


def truth_of(*rows):
    """`Found` of rows [left, top, right, bottom, kind]"""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Found(values[:, :4], values[:, 4].long(), torch.ones(len(values)))


def as_set(found):
    return {
        (*box, kind)
        for box, kind in zip(found.boxes.tolist(), found.kinds.tolist(), strict=True)
    }


def test_the_network_has_the_parameters_and_costs_that_the_chapter_counts():
    net = detection.network()
    assert sum(p.numel() for p in net.parameters()) == 163_584
    macs = [row.macs for row in costs.table(net, (1, 96, 96))]
    assert macs == [331_776, 2_654_208, 2_654_208, 1_990_656, 2_985_984, 55_296]
    assert net(torch.zeros(2, 1, 96, 96)).shape == (2, 16, 6, 6)


def test_a_target_by_hand():
    tall = detection.encode(truth_of([20, 10, 36, 50, 0]))  # centre (28, 30)
    row, column, anchor = (tall[..., 0] == 1).nonzero()[0].tolist()
    assert (row, column, anchor) == (1, 1, 0)
    assert tall[1, 1, 0].tolist() == [1, 0.75, 0.875, 2.5, 1, 1, 0, 0]
    wide = detection.encode(truth_of([40, 80, 80, 96, 2]))  # centre (60, 88)
    assert wide[5, 3, 1].tolist() == [1, 0.75, 0.5, 1, 2.5, 0, 0, 1]
    assert wide[..., 0].sum() == tall[..., 0].sum() == 1


@pytest.mark.parametrize("anchors", [1, 2])
def test_what_is_written_is_read_again_in_every_bit(anchors):
    _, truth = scenes.scenes(60, "test", 1)
    lost = 0
    for own in truth:
        read = detection.decode(detection.encode(own, anchors))
        assert as_set(read) <= as_set(own)
        slots = torch.stack(detection.slots(own, anchors)).unique(dim=1).T
        assert len(read.boxes) == len(slots)
        lost += len(own.boxes) - len(slots)
    assert lost < 10


def test_of_two_boxes_for_one_slot_the_one_in_front_is_kept():
    both = truth_of([10, 10, 26, 40, 0], [12, 12, 28, 42, 1])
    read = detection.decode(detection.encode(both))
    assert as_set(read) == {(12, 12, 28, 42, 1)}


def test_the_network_can_say_every_target():
    """Outputs that mean a target are found by inverting the functions by hand."""
    truth = truth_of([20, 10, 36, 50, 0], [40, 80, 80, 96, 2])
    target = detection.encode(truth)
    raw = torch.zeros_like(target)
    raw[..., 0] = 20 * (2 * target[..., 0] - 1)
    raw[..., 1:3] = target[..., 1:3].logit(1e-6)
    sizes = target[..., 3:5].clamp(min=0.1) / detection.sizes(2)
    raw[..., 3:5] = sizes.log()
    raw[..., 5:] = 40 * target[..., 5:]
    output = raw.permute(2, 3, 0, 1).flatten(0, 1)[None]
    said = detection.numbers(output)[0]
    there = target[..., 0] == 1
    torch.testing.assert_close(said[there], target[there], rtol=1e-4, atol=1e-4)
    (found,) = [detection.decode(said, 0.5)]
    torch.testing.assert_close(found.boxes, truth.boxes, rtol=1e-3, atol=1e-2)
    assert found.kinds.tolist() == [0, 2]
    small = detection.loss_of(output, target[None])
    assert small < 0.01 < detection.loss_of(torch.zeros_like(output), target[None])


def test_the_loss_of_2015_by_hand():
    target = torch.zeros(1, 6, 6, 1, 8)
    target[0, 2, 3, 0] = torch.tensor([1, 0.5, 0.5, 1.5, 1.5, 0, 1, 0])
    output = torch.zeros(1, 8, 6, 6)
    output[0, :, 2, 3] = torch.tensor([0.3, 0.7, 0.5, 0.5, 0.5, 0.2, 0.6, 0])
    output[0, 0, 0, 0] = 0.4  # presence where nothing is
    wide = detection.CELLS * 0.25  # 1.5 cells: the size is right
    overlap = (wide - 0.2) / (wide + 0.2)
    box = 5 * 0.2**2
    rest = (0.3 - overlap) ** 2 + 0.2**2 + 0.4**2 + 0.5 * 0.4**2
    found = detection.loss_of(output, target, "squared").item()
    assert found == pytest.approx(box + rest, rel=1e-4)


def test_cross_entropy_is_torchs():
    torch.manual_seed(0)
    output = torch.randn(3, 16, 6, 6)
    _, truth = scenes.scenes(3, "test", 2)
    target = torch.stack([detection.encode(own) for own in truth])
    raw = output.unflatten(1, (2, 8)).permute(0, 3, 4, 1, 2)
    there = target[..., 0] == 1
    total = torch.nn.BCEWithLogitsLoss(reduction="sum")(raw[..., 0], target[..., 0])
    kinds = target[there][:, 5:].argmax(1)
    total += torch.nn.CrossEntropyLoss(reduction="sum")(raw[there][:, 5:], kinds)
    ours, theirs = raw[there], target[there]
    total += 5 * (ours[:, 1:3].sigmoid() - theirs[:, 1:3]).square().sum()
    anchor = detection.sizes(2).expand(3, 6, 6, 2, 2)[there]
    total += 5 * (ours[:, 3:5] - (theirs[:, 3:5] / anchor).log()).square().sum()
    found = detection.loss_of(output, target)
    torch.testing.assert_close(found, total / 3, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_every_loss_gives_every_parameter_a_gradient(loss):
    torch.manual_seed(0)
    net = detection.network()
    pictures, truth = scenes.scenes(8, "train", 1)
    target = torch.stack([detection.encode(own) for own in truth])
    x = detection.inputs(pictures, torch.device("cpu"))
    detection.loss_of(net(x), target, loss).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_a_few_scenes_are_learnt_by_heart():
    torch.manual_seed(0)
    net = detection.network()
    pictures, truth = scenes.scenes(16, "train", 1)
    steps = detection.learn(net, pictures, truth, epochs=80, seed=0, rate=0.005)
    first, *_, last = steps
    assert last < 0.1 * first
    found = detection.detect(net, pictures, least=0.3)
    kept = [boxes.suppressed(own, 0.5) for own in found]
    assert boxes.mean_ap(kept, truth, range(3)) > 0.8
    assert {p.device.type for p in net.parameters()} == {train.device().type}


def test_own_iou_is_the_diagonal_of_torchvisions():
    random = torch.Generator().manual_seed(0)
    a, b = (0.1 + 3 * torch.rand(20, 8, generator=random) for _ in range(2))
    corners = [
        torch.cat([x[:, 1:3] - half, x[:, 1:3] + half], 1)
        for x in (a, b)
        for half in [x[:, 3:5].flip(1) / 2]
    ]
    torch.testing.assert_close(detection.own_iou(a, b), ops.box_iou(*corners).diag())


def test_turned_pictures_have_turned_boxes():
    pictures, truth = scenes.scenes(5, "test", 3, count=(1, 1))
    for picture, own in zip(pictures, truth, strict=True):
        left, top, right, bottom = detection.mirrored(own).boxes[0].int().tolist()
        there = own.boxes[0].int().tolist()
        part = picture.flip(1)[top:bottom, left:right].flip(1)
        assert torch.equal(part, picture[there[1] : there[3], there[0] : there[2]])


def test_recalled_counts_each_garment_once_and_of_its_own_kind():
    truth = truth_of([0, 0, 20, 20, 0], [50, 50, 70, 70, 1], [0, 60, 20, 80, 2])
    found = truth.where(torch.tensor([0, 0, 1, 2]))
    found = found._replace(
        kinds=torch.tensor([0, 0, 0, 2]), scores=torch.tensor([0.9, 0.8, 0.7, 0.2])
    )
    assert detection.recalled(found, truth).tolist() == [True, False, False]
    assert detection.recalled(found, truth, 0.1).tolist() == [True, False, True]


def test_gaps_are_zero_where_boxes_touch_and_infinite_for_one_alone():
    three = truth_of([0, 0, 20, 20, 0], [20, 5, 30, 30, 0], [36, 40, 50, 50, 0])
    assert detection.gaps(three).tolist() == [0, 0, 10]
    assert detection.gaps(three.where(three.scores > 1)).tolist() == []
    assert detection.gaps(truth_of([0, 0, 9, 9, 0])).tolist() == [float("inf")]


def test_a_moved_scene_keeps_its_garments_in_their_boxes():
    pictures, truth = detection.pairs(12, "test", 4)
    moved, moved_truth, number, shared = detection.shifted(pictures, truth)
    assert 0 < shared.sum() < len(shared) == len(number)
    for picture, own, place, one in zip(
        moved, moved_truth, number.tolist(), shared.tolist(), strict=True
    ):
        for box, before in zip(own.boxes.int(), truth[place].boxes.int(), strict=True):
            (a, b, c, d), (e, f, g, h) = box.tolist(), before.tolist()
            assert torch.equal(picture[b:d, a:c], pictures[place][f:h, e:g])
        assert len(detection.decode(detection.encode(own)).boxes) == (1 if one else 2)


def test_a_quarter_of_the_scenes_to_train_on_are_pairs():
    pictures, truth = detection.train_scenes(0, 40)
    assert len(pictures) == len(truth) == 40
    for own in truth[30:]:
        assert len(set(own.kinds.tolist())) == 1 and len(own.boxes) <= 2
    other, _ = detection.train_scenes(1, 40)
    assert not torch.equal(pictures, other)


def test_finding_everything_is_measured_as_such():
    pictures, truth = detection.pairs(12, "test", 4)
    by_picture = {}
    moved, moved_truth, *_ = detection.shifted(pictures, truth)
    for picture, own in zip(moved, moved_truth, strict=True):
        by_picture[picture.numpy().tobytes()] = own

    def find(pictures):
        return [by_picture[picture.numpy().tobytes()] for picture in pictures]

    assert detection.in_pairs(find, pictures, truth) == [1, 1]
    _, truth = scenes.scenes(20, "test", 5)
    total = sum(len(own.boxes) for own in truth)
    assert detection.counted(truth, truth) == [total] * 3
    assert set(detection.mean_aps(truth, truth).values()) == {1.0}


def test_unknown_garments_are_noticed_by_their_place():
    truth = [truth_of([0, 0, 20, 20, 0]), truth_of([0, 0, 20, 20, 0])]
    there, apart = truth_of([0, 0, 20, 22, 2]), truth_of([50, 50, 60, 60, 1])
    assert detection.mistaken([there, apart], truth) == [0.5, 0, 0, 0.5]


def test_the_scenes_shown_have_a_sheet_and_both_kinds_of_boxes():
    row = json.loads(json.dumps(detection.shown(seed=0, images=32, epochs=1)))
    sheet = Image.open(io.BytesIO(base64.b64decode(row["sheet"])))
    assert sheet.size == (4 * 96, 3 * 96)
    assert len(row["scenes"]) == 12
    for scene in row["scenes"]:
        assert all(len(box) == 5 for box in scene["true"])
        assert all(len(box) == 6 for box in scene["found"])


def test_every_way_is_run_with_the_same_seeds():
    ways = {}
    for setting in detection.run.settings:
        of = {key: value for key, value in setting.items() if key != "seed"}
        ways.setdefault(json.dumps(of), []).append(setting["seed"])
    assert len(ways) == 5 and all(seeds == [0, 1, 2] for seeds in ways.values())
