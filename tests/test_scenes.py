"""Scenes: garments on a canvas, and the boxes that are said to be theirs."""

import torch

from cnnlib import boxes, data, scenes


def overlaps(truth):
    """The largest IoU of each box with those before it."""
    found = boxes.iou(truth.boxes, truth.boxes).tril(-1)
    return found.amax(1)[1:].tolist()


def test_a_garment_is_cut_out_along_its_outermost_pixels():
    picture = torch.zeros(28, 28, dtype=torch.uint8)
    picture[5, 7] = picture[9, 20] = scenes.INK + 1
    picture[0, 0] = scenes.INK  # not more than background
    assert scenes.cut_out(picture).shape == (5, 14)


def test_boxes_are_known_to_the_pixel():
    """Where a white garment lies on the dark canvas can be seen without its box."""
    white = torch.full((12, 9), 255, dtype=torch.uint8)
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        picture, truth = scenes.scene([(white, 2)], random, count=(1, 1))
        rows, columns = (
            (picture > 200).any(axis).nonzero()[:, 0].tolist() for axis in (1, 0)
        )
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert truth.boxes.tolist() == [seen]
        assert truth.kinds.tolist() == [2] and truth.scores.tolist() == [1]


def test_real_garments_fill_their_boxes():
    pictures, truth = scenes.scenes(30, "test", 5, count=(1, 1))
    for picture, own in zip(pictures, truth, strict=True):
        left, top, right, bottom = own.boxes[0].int().tolist()
        for edge in (
            picture[top, left:right],
            picture[bottom - 1, left:right],
            picture[top:bottom, left],
            picture[top:bottom, right - 1],
        ):
            assert edge.max() > scenes.INK


def test_scenes_are_as_many_as_asked_and_the_same_again():
    pictures, truth = scenes.scenes(40, "train", 3)
    assert pictures.shape == (40, 96, 96) and pictures.dtype == torch.uint8
    assert {len(own.boxes) for own in truth} == {1, 2, 3, 4}
    assert max(max(overlaps(own), default=0) for own in truth) < 0.15
    everything = torch.cat([own.boxes for own in truth])
    assert everything.min() >= 0 and everything.max() <= 96
    again, _ = scenes.scenes(40, "train", 3)
    assert torch.equal(pictures, again)
    other, _ = scenes.scenes(40, "train", 4)
    assert not torch.equal(pictures, other)


def test_garments_can_be_of_one_kind_and_lie_upon_each_other():
    close = {"alike": True, "count": (2, 2), "apart": (0.3, 0.5)}
    _, truth = scenes.scenes(30, "test", 6, **close)
    assert sum(len(own.boxes) == 2 for own in truth) > 20
    for number, own in enumerate(truth):
        assert set(own.kinds.tolist()) == {number % 3}
        assert all(0.3 <= overlap < 0.5 for overlap in overlaps(own))


def test_a_scene_can_be_empty():
    pictures, truth = scenes.scenes(3, "test", 7, count=(0, 0))
    assert all(own.boxes.shape == (0, 4) and len(own.kinds) == 0 for own in truth)
    assert pictures.float().mean() < scenes.INK


def test_garments_to_train_and_test_with_are_different_pictures():
    train, test = data.fashion_mnist()
    seen = {image.numpy().tobytes() for image in train.images}
    twice = sum(image.numpy().tobytes() in seen for image in test.images)
    assert twice < 5
