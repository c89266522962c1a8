"""Each architecture cut down to what 28x28 pixels and a CPU allow.

Same blocks, own tables: fewer stages, because there is little to halve, and fewer
channels. Not from any paper; their accuracies say nothing about the originals.
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet import basic, conv_bn, residual_stages, resnet_head
from cnnlib.models.vgg import vgg_classifier, vgg_stages

# (convolutions, channels) of each stage
VGG = ((1, 32), (1, 64), (2, 128))
# (blocks, channels) of each stage
RESNET = ((1, 32), (1, 64), (1, 128))


def vgg_small(in_channels=1, num_classes=10):
    """(N, in_channels, 28, 28) -> (N, num_classes)"""
    body = vgg_stages(VGG, in_channels)  # (N, 128, 3, 3)
    head = vgg_classifier(128 * 3 * 3, 256, num_classes)
    return expects(nn.Sequential(body | head), "vgg_small", in_channels, 28)


def resnet_small(in_channels=1, num_classes=10):
    """(N, in_channels, 28, 28) -> (N, num_classes)"""
    stem = nn.Sequential(conv_bn(in_channels, 32, 3), nn.ReLU())
    body = residual_stages(RESNET, basic, 32)  # (N, 128, 7, 7)
    net = OrderedDict(stem=stem, **body, head=resnet_head(128, num_classes))
    return expects(nn.Sequential(net), "resnet_small", in_channels, 28)
