"""VGG: stages of 3x3 convolutions, each stage closed by a 2x2 max-pool.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, https://arxiv.org/abs/1409.1556, Table 1 and section 3.1.

Differs from the paper: nothing; its columns A-LRN (normalisation that did not help) and
C (1x1 convolutions) are left out.
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.alexnet import dense_layers
from cnnlib.models.inputs import expects
from cnnlib.models.tables import row

# Columns A, B, D and E of Table 1: (convolutions, channels) of each stage.
STAGES = {
    11: ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)),
    13: ((2, 64), (2, 128), (2, 256), (2, 512), (2, 512)),
    16: ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    19: ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}


def vgg_stage(in_channels, out_channels, convs):
    """(N, in_channels, H, W) -> (N, out_channels, H // 2, W // 2)"""
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def vgg_stages(rows, in_channels):
    """stage1, stage2 ... with the (convolutions, channels) of each row."""
    named = OrderedDict()
    for index, (convs, channels) in enumerate(rows, start=1):
        named[f"stage{index}"] = vgg_stage(in_channels, channels, convs)
        in_channels = channels
    return named


def vgg(depth, in_channels=3, num_classes=1000):
    """Configuration A (depth 11), B (13), D (16) or E (19) for 224x224 pixels.

    (N, in_channels, 224, 224) -> (N, num_classes); VGG-16 has 138,357,544 parameters
    and 15.470 G MACs.
    """
    body = vgg_stages(row(STAGES, depth, "vgg"), in_channels)  # (N, 512, 7, 7)
    head = dense_layers(512 * 7 * 7, 4096, num_classes)
    return expects(nn.Sequential(body | head), f"vgg{depth}", in_channels, 224)
