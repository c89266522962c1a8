"""Each architecture cut down to what 28x28 pixels and a CPU allow.

The blocks are those of the papers, the tables are ours: fewer stages, because there is
little to halve, and fewer channels. Their accuracies say nothing about the originals.
All take (N, in_channels, 28, 28) and return (N, num_classes).
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.alexnet import dense_layers
from cnnlib.models.densenet import bottleneck_layer, dense_stages, densenet_head
from cnnlib.models.googlenet import Widths, conv, inception_stages
from cnnlib.models.inputs import expects
from cnnlib.models.nin import average, mlpconv
from cnnlib.models.resnet import basic, conv_bn, residual_stages, resnet_head
from cnnlib.models.vgg import vgg_stages

# (convolutions, channels) of each stage
VGG = ((1, 32), (1, 64), (2, 128))
# A quarter of the paper's widths, without 4b, 4c, 4d and 5a
GOOGLENET = {
    "3a": Widths(16, 24, 32, 4, 8, 8),
    "3b": Widths(32, 32, 48, 8, 24, 16),
    "4a": Widths(48, 24, 52, 4, 12, 16),
    "4e": Widths(64, 40, 80, 8, 32, 32),
    "5b": Widths(96, 48, 96, 12, 32, 32),
}
# (blocks, channels) of each stage
RESNET = ((1, 32), (1, 64), (1, 128))
# Layers of each dense block, growth rate 12
DENSENET = (4, 4, 4)


def alexnet_small(in_channels=1, num_classes=10):
    """Overlapping pooling and dropout, one tower and no normalisation."""
    net = OrderedDict(
        conv1=nn.Sequential(nn.Conv2d(in_channels, 32, 5, padding=2), nn.ReLU()),
        pool1=nn.MaxPool2d(3, stride=2),  # (N, 32, 13, 13)
        conv2=nn.Sequential(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU()),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 64, 6, 6)
        conv3=nn.Sequential(nn.Conv2d(64, 96, 3, padding=1), nn.ReLU()),
        conv4=nn.Sequential(nn.Conv2d(96, 96, 3, padding=1), nn.ReLU()),
        conv5=nn.Sequential(nn.Conv2d(96, 64, 3, padding=1), nn.ReLU()),
        pool5=nn.MaxPool2d(3, stride=2),  # (N, 64, 2, 2)
        **dense_layers(64 * 2 * 2, 256, num_classes),
    )
    return expects(nn.Sequential(net), "alexnet_small", in_channels, 28)


def vgg_small(in_channels=1, num_classes=10):
    body = vgg_stages(VGG, in_channels)  # (N, 128, 3, 3)
    net = body | dense_layers(128 * 3 * 3, 256, num_classes)
    return expects(nn.Sequential(net), "vgg_small", in_channels, 28)


def nin_small(in_channels=1, num_classes=10):
    net = OrderedDict(
        block1=mlpconv(in_channels, (32, 32, 32), 5, padding=2),
        pool1=nn.MaxPool2d(3, stride=2),  # (N, 32, 13, 13)
        block2=mlpconv(32, (64, 64, 64), 5, padding=2),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 64, 6, 6)
        dropout=nn.Dropout(0.5),
        block3=mlpconv(64, (96, 96, num_classes), 3, padding=1),
        head=average(),
    )
    return expects(nn.Sequential(net), "nin_small", in_channels, 28)


def googlenet_small(in_channels=1, num_classes=10):
    """One head, at the end."""
    net = OrderedDict(
        conv1=conv(in_channels, 16, 3),
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 16, 14, 14)
        conv2=nn.Sequential(conv(16, 16, 1), conv(16, 48, 3)),
        **inception_stages(48, GOOGLENET),  # (N, 256, 3, 3)
        head=resnet_head(256, num_classes),
    )
    return expects(nn.Sequential(net), "googlenet_small", in_channels, 28)


def resnet_small(in_channels=1, num_classes=10):
    """Shortcuts with projections; its first pooling makes up for its width."""
    stem = nn.Sequential(
        conv_bn(in_channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 14, 14)
    )
    body = residual_stages(RESNET, basic, 32)  # (N, 128, 4, 4)
    net = OrderedDict(stem=stem, **body, head=resnet_head(128, num_classes))
    return expects(nn.Sequential(net), "resnet_small", in_channels, 28)


def densenet_small(in_channels=1, num_classes=10):
    """With bottlenecks and compression."""
    stem = nn.Sequential(
        conv_bn(in_channels, 24, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 24, 14, 14)
    )
    body, channels = dense_stages(bottleneck_layer, DENSENET, 24, 12, 0.5)
    net = OrderedDict(stem=stem, **body, head=densenet_head(channels, num_classes))
    return expects(nn.Sequential(net), "densenet_small", in_channels, 28)
