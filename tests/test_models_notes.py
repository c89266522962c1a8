"""The notes' networks: sizes, shapes, layers, and d2l's code where it exists."""

import pytest
import torch
from torch import nn

from cnnlib import costs, models
from cnnlib.models.notes import notes_residual, resnet18_notes

# Parameters, MACs, and the output shapes of the stages that the notes print or state.
# fmt: off
VERSIONS = {
    "alexnet_notes": (46_764_746, 938_146_176, {
        "conv1": (96, 54, 54), "pool1": (96, 26, 26), "conv2": (256, 26, 26),
        "pool2": (256, 12, 12), "conv5": (256, 12, 12), "pool5": (256, 5, 5),
        "fc8": (10,),
    }),
    "vgg11_notes": (128_806_154, 7_547_232_256, {
        "stage1": (64, 112, 112), "stage2": (128, 56, 56), "stage3": (256, 28, 28),
        "stage4": (512, 14, 14), "stage5": (512, 7, 7), "fc8": (10,),
    }),
    "nin_notes": (1_992_166, 762_297_352, {
        "block1": (96, 54, 54), "pool1": (96, 26, 26), "block2": (256, 26, 26),
        "pool2": (256, 12, 12), "block3": (384, 12, 12), "pool3": (384, 5, 5),
        "block4": (10, 5, 5), "head": (10,),
    }),
    "googlenet_notes": (5_977_530, 276_066_304, {
        "conv1": (64, 48, 48), "pool1": (64, 24, 24), "pool2": (192, 12, 12),
        "pool3": (480, 6, 6), "pool4": (832, 3, 3), "inception5b": (1024, 3, 3),
        "head": (10,),
    }),
    "resnet18_notes": (11_178_378, 318_657_536, {
        "stem": (64, 24, 24), "stage1": (64, 24, 24), "stage2": (128, 12, 12),
        "stage3": (256, 6, 6), "stage4": (512, 3, 3), "head": (10,),
    }),
    "densenet_notes": (758_226, 129_077_168, {
        "stem": (64, 24, 24), "block1": (192, 24, 24), "transition1": (96, 12, 12),
        "block2": (224, 12, 12), "transition2": (112, 6, 6), "block3": (240, 6, 6),
        "transition3": (120, 3, 3), "block4": (248, 3, 3), "head": (10,),
    }),
}
# fmt: on


@pytest.mark.parametrize("name", VERSIONS)
def test_parameters_macs_and_shapes(name):
    parameters, macs, shapes = VERSIONS[name]
    with torch.device("meta"):
        table = costs.table(models.build(name), models.NETWORKS[name].input_shape)
    assert (table.parameters, table.macs) == (parameters, macs)
    assert {row.name: row.output_shape for row in table if row.name in shapes} == shapes


def test_resnet18_differs_from_the_papers_by_biases_and_unnormalised_projections():
    with torch.device("meta"):
        net = models.resnet(18, in_channels=1, num_classes=10)
    ours = sum(p.numel() for p in net.parameters())
    biases = sum(m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d))
    assert ours + biases - 2 * (128 + 256 + 512) == VERSIONS["resnet18_notes"][0]


def from_d2l(block):
    """Parameters of d2l's Residual in the order of `notes_residual`."""
    modules = [block.conv1, block.bn1, block.conv2, block.bn2, block.conv3]
    return [value for m in modules if m for value in m.state_dict().values()]


@pytest.mark.parametrize("channels", [8, 16])
def test_block_of_the_notes_equals_d2ls(channels):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    theirs = d2l.Residual(channels, use_1x1conv=channels != 8, strides=channels // 8)
    x = torch.randn(2, 8, 6, 6)
    theirs(x)  # makes its lazy layers
    ours = notes_residual(8, channels, channels // 8)
    state = zip(ours.state_dict(), from_d2l(theirs), strict=True)
    ours.load_state_dict(dict(state))
    torch.testing.assert_close(ours(x), theirs(x))


def test_network_of_the_notes_equals_d2ls_but_for_its_first_layer():
    d2l = pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    torch.manual_seed(0)
    theirs = d2l.resnet18(10)
    x = torch.randn(2, 1, 24, 24)
    theirs(x)  # makes its lazy layers
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    conv, bn, _, *body, _, fc = theirs.children()
    ours = resnet18_notes()
    values = [*conv.state_dict().values(), *bn.state_dict().values()]
    for stage in body:
        for block in stage:
            values += from_d2l(block)
    values += fc.state_dict().values()
    ours.stem[0], ours.stem[3] = nn.Conv2d(1, 64, 3, padding=1), nn.Identity()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    ours.eval(), theirs.eval()
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


LETTERS = {
    **{nn.Conv2d: "c", nn.BatchNorm2d: "b", nn.ReLU: "r", nn.MaxPool2d: "m"},
    **{nn.AvgPool2d: "a", nn.AdaptiveAvgPool2d: "g", nn.Flatten: "f"},
    **{nn.Linear: "l", nn.Dropout: "d", nn.Identity: "i"},
}
INCEPTION = "cr" + "crcr" + "crcr" + "mcr"
LAYERS = {
    "alexnet_notes": "crm" + "crm" + "crcrcrm" + "f" + "lrd" + "lrd" + "l",
    "vgg11_notes": "crm" * 2 + "crcrm" * 3 + "f" + "lrd" + "lrd" + "l",
    "nin_notes": "crcrcrm" * 3 + "d" + "crcrcr" + "gf",
    "googlenet_notes": "crm"
    + "crcrm"
    + "m".join([INCEPTION * 2, INCEPTION * 5, INCEPTION * 2])
    + "gfl",
    "resnet18_notes": "cbrm" + "cbrcbi" * 2 + ("cbrcbc" + "cbrcbi") * 3 + "gfl",
    "densenet_notes": "cbrm" + "brca".join(["brc" * 4] * 4) + "brgfl",
}


@pytest.mark.parametrize("name", LAYERS)
def test_order_of_the_layers(name):
    with torch.device("meta"):
        net = models.build(name)
    leaves = [m for m in net.modules() if not list(m.children())]
    assert "".join(LETTERS[type(leaf)] for leaf in leaves) == LAYERS[name]


def test_alexnet_pools_in_windows_of_three_that_overlap():
    with torch.device("meta"):
        net = models.build("alexnet_notes")
    pools = [module for module in net.modules() if isinstance(module, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3


def test_windows_strides_and_paddings_that_shapes_alone_do_not_fix():
    # padding the first layer of 224 pixels by one pixel changes no shape
    with torch.device("meta"):
        nets = [models.build(name) for name in ("alexnet_notes", "nin_notes", "nin")]
    one = (1, 1, 0)
    mlp = [(11, 4, 0), one, one, (5, 1, 2), one, one, *[(3, 1, 1), one, one] * 2]
    for net, expected in zip(
        nets, [[(11, 4, 0), (5, 1, 2), *[(3, 1, 1)] * 3], mlp, mlp], strict=True
    ):
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        windows = [(m.kernel_size[0], m.stride[0], m.padding[0]) for m in convs]
        assert windows == expected
