"""VGG against Table 1 of its paper, torchvision, and by hand."""

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs
from cnnlib.models.small import vgg_small
from cnnlib.models.vgg import STAGES, vgg, vgg_stage


def meta_table(builder, shape):
    with torch.device("meta"):
        return costs.table(builder(), shape)


@pytest.mark.parametrize(
    ("depth", "paper"), [(11, 133), (13, 133), (16, 138), (19, 144)]
)
def test_parameters_and_macs_equal_torchvisions_and_the_papers(depth, paper):
    (weights,) = [
        weights
        for weights in torchvision.models.get_model_weights(f"vgg{depth}")
        if weights.name == "IMAGENET1K_V1"
    ]
    table = meta_table(lambda: vgg(depth), (3, 224, 224))
    assert table.parameters == weights.meta["num_params"]
    assert round(table.macs / 1e9, 3) == weights.meta["_ops"]
    assert table.parameters / 1e6 == pytest.approx(paper, abs=0.5)  # Table 2


def test_depth_is_the_number_of_layers_with_weights():
    for depth, stages in STAGES.items():
        assert sum(convs for convs, _ in stages) + 3 == depth


def test_stage_shapes_halve_from_224_to_7():
    with torch.device("meta"):
        shapes = [row.output_shape for row in costs.table(vgg(16), (3, 224, 224))]
    assert shapes == [
        *[(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)],
        *[(4096,), (4096,), (1000,)],
    ]


def test_a_stage_of_two_convolutions_by_hand():
    stage = vgg_stage(64, 128, 2)
    by_hand = 9 * 64 * 128 + 128 + 9 * 128 * 128 + 128
    assert sum(p.numel() for p in stage.parameters()) == by_hand == 221_440
    assert stage(torch.randn(1, 64, 5, 4)).shape == (1, 128, 2, 2)
    kinds = [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert [type(layer) for layer in stage] == kinds


def test_receptive_fields_of_16_layers():
    # 3x3, 3x3 and a pool of 2 at a distance of 1, 2, 4, 8, 16 pixels
    with torch.device("meta"):
        rows = costs.table(vgg(16), (3, 224, 224))
    sizes, size = [], 1
    for jump, convs in zip([1, 2, 4, 8, 16], [2, 2, 3, 3, 3], strict=True):
        size += (2 * convs + 1) * jump
        sizes.append((size, size))
    assert [row.receptive_field for row in rows[:5]] == sizes
    assert sizes[-1] == (212, 212)


def test_outputs_equal_torchvisions_with_its_parameters():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg11(init_weights=False, num_classes=10).eval()
    with torch.device("meta"):
        ours = vgg(11, num_classes=10).eval()
    parameters = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(parameters), assign=True)
    x = torch.randn(1, 3, 224, 224)
    logits = ours(x)
    with torch.no_grad():
        torch.testing.assert_close(logits, theirs(x), rtol=1e-5, atol=1e-5)
    logits.logsumexp(1).sum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())


def test_dropout_of_a_half_behind_both_hidden_layers():
    net = vgg_small()
    for layer in (net.fc6[-1], net.fc7[-1]):
        assert isinstance(layer, nn.Dropout) and layer.p == 0.5


def test_stages_are_numbered_from_one():
    names = [name for name, _ in vgg_small().named_children()]
    assert names == ["stage1", "stage2", "stage3", "fc6", "fc7", "fc8"]


def test_unknown_depths_are_refused_with_the_depths_there_are():
    with pytest.raises(ValueError, match=r"no vgg\(12\): choose from 11, 13, 16, 19\."):
        vgg(12)
