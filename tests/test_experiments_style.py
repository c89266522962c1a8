"""Looks, Gram matrices, textures and judges of the experiment on style."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import models as theirs

from cnnlib import experiments, folder, train
from cnnlib.experiments import seeing, style

FEW = ((3, 5), 4)  # sizes and number of filters, for a quick test


def few(seed=0):
    return style.bank(style.filters(*FEW, seed))


def small(name="gravel"):
    return style.piece(name, side=32)


# Photographs


def test_the_photographs_are_grey_and_their_pieces_do_not_overlap():
    for name in style.TEXTURES:
        whole = style.photograph(name)
        assert whole.shape == (1, 1, 256, 256) and 0 <= whole.min() < whole.max() <= 1
        for top, left in style.CORNERS:
            piece = style.piece(name, (top, left))
            assert torch.equal(piece, whole[..., top : top + 96, left : left + 96])
        (a, b), (c, d) = style.CORNERS
        assert c - a >= style.SIDE or d - b >= style.SIDE
    assert style.photograph("cat").shape == (1, 1, 96, 96)


def test_every_photograph_has_its_source_and_licence():
    text = (style.PHOTOGRAPHS / "LICENSE").read_text("utf-8")
    pictures = sorted(path.name for path in style.PHOTOGRAPHS.glob("*.png"))
    assert pictures == ["brick.png", "cat.png", "grass.png", "gravel.png"]
    assert all(name in text for name in pictures) and "CC0" in text


def test_photographs_are_those_of_scikit_image_made_smaller():
    data = pytest.importorskip("skimage.data", reason="no scikit-image here")
    for name in style.TEXTURES:
        large = np.asarray(Image.fromarray(getattr(data, name)()), float)
        means = large.reshape(256, 2, 256, 2).mean((1, 3))
        ours = style.photograph(name)[0, 0].cpu().numpy() * 255
        assert np.abs(ours - means).max() <= 0.51


# Looks


def test_filters_have_length_one_and_come_from_their_seed():
    for kernel, size in zip(style.filters(seed=3), style.SIZES, strict=True):
        assert kernel.shape == (style.EACH, 1, size, size)
        lengths = kernel.flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(style.EACH))
        assert kernel.min() < 0 < kernel.max()
    for one, other in zip(style.filters(seed=3), style.filters(seed=3), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(style.filters(seed=3)[0], style.filters(seed=4)[0])


def test_a_bank_is_a_convolution_of_the_picture_less_grey_and_a_relu():
    x, kernels = small(), style.filters(*FEW)
    for kernel, maps in zip(kernels, style.bank(kernels)(x), strict=True):
        right = F.conv2d(x - 0.5, kernel.to(x.device)).clamp(min=0)
        torch.testing.assert_close(maps, right, rtol=1e-2, atol=1e-3)
    for maps in style.bank(kernels, style.straight)(x):
        assert maps.min() < 0


def test_with_joined_edges_a_rolled_picture_has_rolled_maps():
    x, look = small(), few()
    for maps, moved in zip(
        look(x, joined=True), look(x.roll((5, 9), (2, 3)), joined=True), strict=True
    ):
        assert maps.shape[2:] == x.shape[2:]
        torch.testing.assert_close(
            moved, maps.roll((5, 9), (2, 3)), rtol=1e-2, atol=1e-3
        )


def test_the_stages_of_a_network_are_its_own_maps():
    torch.manual_seed(0)
    net = seeing.still(seeing.network().to(train.device()))
    found = style.stages(net)(small())
    assert [tuple(maps.shape[1:]) for maps in found] == [
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (96, 8, 8),
    ]
    with torch.no_grad():
        x = seeing.normal(small())
        right = net.stage2(net.stage1(net.stem(x)))
    torch.testing.assert_close(found[2], right)


def test_a_deep_look_has_the_first_map_of_every_stage():
    look = style.deep(seed=0, widths=(3, 5))
    first, second = look(small())
    assert first.shape == (1, 3, 32, 32) and second.shape == (1, 5, 16, 16)
    (alone,) = style.only(look, 1)(small())
    assert torch.equal(alone, second)
    again = style.deep(seed=0, widths=(3, 5))(small())[1]
    assert torch.equal(again, second)


def test_a_vgg_is_read_from_a_file_of_torchvisions_format(tmp_path):
    """Against torchvision's own layers, its maximum poolings made means."""
    torch.manual_seed(0)
    vgg = theirs.vgg11(weights=None, init_weights=False)
    small_head = nn.ModuleDict({"features": vgg.features})
    path = tmp_path / "vgg11.pth"
    torch.save(small_head.state_dict(), path)
    found = style.vgg_look(path, "vgg11")(small())
    x = small().cpu().expand(-1, 3, -1, -1)
    mean, std = (
        torch.tensor(part)[:, None, None] for part in (folder.MEAN, folder.STD)
    )
    x, right = (x - mean) / std, []
    with torch.no_grad():
        after_pooling = True
        for layer in vgg.features:
            pools = isinstance(layer, nn.MaxPool2d)
            x = F.avg_pool2d(x, 2) if pools else layer(x)
            if isinstance(layer, nn.ReLU) and after_pooling:
                right.append(x.clone())
            after_pooling = pools or (after_pooling and isinstance(layer, nn.Conv2d))
    assert len(found) == len(right) == 5
    for ours, other in zip(found, right, strict=True):
        torch.testing.assert_close(ours.cpu(), other, rtol=1e-2, atol=1e-4)


def test_a_file_without_a_stage_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(ValueError, match=r"holds another network: it has no stage1\.0"):
        style.vgg_look(path, "vgg11")


# Gram matrices


def test_a_gram_matrix_is_the_mean_of_products_of_two_channels():
    torch.manual_seed(0)
    maps = torch.randn(1, 3, 4, 5)
    found = style.gram(maps)
    for k in range(3):
        for other in range(3):
            right = (maps[0, k] * maps[0, other]).sum() / 20
            torch.testing.assert_close(found[k, other], right)


def test_the_order_of_the_places_changes_maps_and_no_gram_matrix():
    maps = few()(small())[1]
    order = torch.randperm(maps[0, 0].numel(), device=maps.device)
    moved = maps.flatten(2)[:, :, order].view_as(maps)
    torch.testing.assert_close(
        style.gram(moved), style.gram(maps), rtol=1e-2, atol=1e-4
    )
    assert style.apart([moved], [maps]) > 0.3


def test_apart_is_relative_to_each_goal():
    parts, goals = (
        [torch.ones(2) * 3, torch.ones(3)],
        [torch.ones(2), torch.ones(3) * 2],
    )
    assert style.apart(parts, goals).item() == pytest.approx(8 / 2 + 3 / 12)
    assert style.apart(goals, goals) == 0


def test_a_texture_starts_from_noise_and_gets_the_gram_matrices():
    target = small()
    picture, losses = style.texture(few(), target, seed=1, steps=40)
    start = style.noise(target, 1)
    assert (start.mean() - target.mean()).abs() < 0.03
    assert (start.std() / target.std() - 1).abs() < 0.1
    goals = [style.gram(maps) for maps in few()(target)]

    def loss(x):
        grams = [style.gram(maps) for maps in few()(x, joined=True)]
        return style.apart(grams, goals).item()

    assert losses[0] == pytest.approx(loss(start), rel=1e-2)
    assert loss(picture) < losses[0] / 50
    other, _ = style.texture(few(), target, seed=2, steps=3)
    assert not torch.equal(other, style.texture(few(), target, seed=1, steps=3)[0])


def test_the_share_decides_between_content_and_style():
    look, view = few(), few(seed=9)
    content, target = small("brick"), small("gravel")
    start = style.noise(content, 0)
    shown = view(content, joined=True)
    goals = [style.gram(maps) for maps in look(target)]
    like, styled = [], []
    for share in (0.0, 0.5, 1.0):
        x, losses = style.styled(look, view, content, target, share, start, steps=25)
        like.append(style.apart(view(x, joined=True), shown).item())
        grams = [style.gram(maps) for maps in look(x, joined=True)]
        styled.append(style.apart(grams, goals).item())
        right = share * style.apart(view(start, joined=True), shown)
        first = [style.gram(maps) for maps in look(start, joined=True)]
        right = right + (1 - share) * style.apart(first, goals)
        assert losses[0] == pytest.approx(right.item(), rel=1e-2)
    assert like[0] > like[1] > like[2] and styled[0] < styled[1] < styled[2]


# Judges and controls


def test_drawn_phases_keep_the_strength_of_every_wave_and_no_other_pixel():
    target = style.piece("gravel")
    drawn = style.phases_drawn(target, seed=0)
    ours, right = (torch.fft.rfft2(part).abs() for part in (drawn, target))
    inner = (slice(None), slice(None), slice(1, 48), slice(1, 48))
    torch.testing.assert_close(ours[inner], right[inner], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(drawn.mean(), target.mean())
    assert (drawn - target).abs().mean() > 0.05


def test_shuffled_pixels_are_the_same_in_another_order():
    target = small()
    mixed = style.shuffled(target, seed=0)
    assert torch.equal(mixed.flatten().sort()[0], target.flatten().sort()[0])
    assert (mixed != target).float().mean() > 0.8


def test_every_judge_prefers_the_same_texture_to_its_shuffled_pixels():
    for name in style.TEXTURES:
        target = style.piece(name)
        itself = style.judged(target, target)
        again = style.judged(style.piece(name, style.CORNERS[1]), target)
        mixed = style.judged(style.shuffled(target, 0), target)
        for judge in style.JUDGES:
            assert itself[judge] == pytest.approx(0, abs=1e-5)
            assert 0 < 2 * again[judge] < mixed[judge], (name, judge)


def test_waves_are_deceived_by_drawn_phases_and_contrast_is_not():
    target, other = style.piece("gravel"), style.piece("gravel", style.CORNERS[1])
    drawn = style.phases_drawn(target, 0)
    assert style.waves(drawn, target) < style.waves(other, target)
    assert style.contrast(drawn, target) > 1.3 * style.contrast(other, target)


def test_the_judge_of_filters_uses_none_with_which_a_picture_was_made():
    target = small()
    seen = style.other_filters(style.shuffled(target, 0), target)
    assert seen != style.other_filters(style.shuffled(target, 0), target, seed=98)
    drawn = {kernel.flatten()[0].item() for kernel in style.filters((5, 9, 17), 32, 99)}
    for seed in range(3):
        ours = {kernel.flatten()[0].item() for kernel in style.filters(seed=seed)}
        assert not drawn & ours


def test_a_packed_picture_comes_back_within_half_a_step():
    target = style.piece("brick")
    back = style.unpacked(style.packed(target))
    assert back.shape == (96, 96)
    assert (back - target[0, 0].cpu()).abs().max() <= 0.5 / 15 + 1e-3
    bright = style.unpacked(style.packed(torch.full((1, 1, 4, 4), 1.7)))
    assert torch.equal(bright, torch.ones(4, 4))


def test_the_experiment_judges_every_way_and_keeps_pictures_of_seed_zero():
    size = {"images": 200, "tests": 100, "epochs": 1}
    row = style.textures(seed=1, steps=1, **size)
    assert not row["pictures"] and set(row["judged"]) == set(style.TEXTURES)
    for name, ways in row["losses"].items():
        assert len(ways) == 7 and len(row["judged"][name]) == 10
        assert all(np.isfinite(losses).all() for losses in ways.values())
    json.dumps(row)


def test_the_stored_pictures_are_those_that_were_judged():
    row = experiments.load("style-textures")["rows"][0]
    assert row["setting"]["seed"] == 0
    for name, pictures in row["pictures"].items():
        target = style.piece(name)
        for way, text in pictures.items():
            picture = style.unpacked(text)[None, None].to(target.device)
            right = row["judged"][name][way]
            assert style.contrast(picture, target) == pytest.approx(
                right["contrast"], abs=0.1
            )
