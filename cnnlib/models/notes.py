"""The course notes' own versions of the networks, for Fashion-MNIST enlarged.

Their chapter 5 (after "Dive into Deep Learning", https://d2l.ai) builds every network
for one input channel and ten classes. The layers here are the notes'; the parameters of
each are stated and tested. LeNet's version stands beside LeNet.
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.alexnet import dense_layers
from cnnlib.models.densenet import Dense, densenet_head
from cnnlib.models.googlenet import TABLE_1, conv, inception_stages
from cnnlib.models.inputs import expects
from cnnlib.models.nin import average, mlpconv
from cnnlib.models.resnet import DEPTHS, Residual, residual_stages, resnet_head
from cnnlib.models.vgg import vgg


def alexnet_notes():
    """(N, 1, 224, 224) -> (N, 10), one tower, no normalisation; 46,764,746 parameters.

    Without padding 224 pixels give 54x54 maps and at last 5x5, not the paper's 6x6.
    """
    net = OrderedDict(
        conv1=nn.Sequential(nn.Conv2d(1, 96, 11, stride=4), nn.ReLU()),
        pool1=nn.MaxPool2d(3, stride=2),  # (N, 96, 26, 26)
        conv2=nn.Sequential(nn.Conv2d(96, 256, 5, padding=2), nn.ReLU()),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 256, 12, 12)
        conv3=nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        conv4=nn.Sequential(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU()),
        conv5=nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        pool5=nn.MaxPool2d(3, stride=2),  # (N, 256, 5, 5)
        **dense_layers(256 * 5 * 5, 4096, 10),
    )
    return expects(nn.Sequential(net), "alexnet_notes", 1, 224)


def vgg11_notes():
    """(N, 1, 224, 224) -> (N, 10), the layers of the paper; 128,806,154 parameters."""
    return vgg(11, in_channels=1, num_classes=10)


def nin_notes():
    """(N, 1, 224, 224) -> (N, 10); 1,992,166 parameters."""
    net = OrderedDict(
        block1=mlpconv(1, (96, 96, 96), 11, stride=4),  # (N, 96, 54, 54)
        pool1=nn.MaxPool2d(3, stride=2),  # (N, 96, 26, 26)
        block2=mlpconv(96, (256, 256, 256), 5, padding=2),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 256, 12, 12)
        block3=mlpconv(256, (384, 384, 384), 3, padding=1),
        pool3=nn.MaxPool2d(3, stride=2),  # (N, 384, 5, 5)
        dropout=nn.Dropout(0.5),
        block4=mlpconv(384, (10, 10, 10), 3, padding=1),
        head=average(),
    )
    return expects(nn.Sequential(net), "nin_notes", 1, 67, minimum=True)


def googlenet_notes():
    """(N, 1, 96, 96) -> (N, 10), no normalisation, dropout or auxiliary heads;
    5,977,530 parameters."""
    net = OrderedDict(
        conv1=conv(1, 64, 7, stride=2),  # (N, 64, 48, 48)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 64, 24, 24)
        conv2=nn.Sequential(conv(64, 64, 1), conv(64, 192, 3)),
        pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 12, 12)
        **inception_stages(192, TABLE_1),  # (N, 1024, 3, 3)
        head=resnet_head(1024, 10),
    )
    return expects(nn.Sequential(net), "googlenet_notes", 1, 31, minimum=True)


def notes_stem():
    """What the notes' ResNet and DenseNet begin with."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 7, stride=2, padding=3),  # (N, 64, 48, 48)
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 24, 24)
    )


def notes_residual(in_channels, out_channels, stride):
    """Its convolutions keep their biases, its projection has no normalisation."""
    path = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
    )
    if in_channels == out_channels:
        return Residual(path, nn.Identity())
    return Residual(path, nn.Conv2d(in_channels, out_channels, 1, stride))


def resnet18_notes():
    """(N, 1, 96, 96) -> (N, 10); 11,178,378 parameters."""
    body = residual_stages(DEPTHS[18], notes_residual, 64)  # (N, 512, 3, 3)
    net = OrderedDict(stem=notes_stem(), **body, head=resnet_head(512, 10))
    return expects(nn.Sequential(net), "resnet18_notes", 1, 32, minimum=True)


def bn_relu_conv_bias(in_channels, out_channels, kernel_size):
    padding = kernel_size // 2
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding),
    )


def densenet_notes():
    """Four blocks of four layers with growth rate 32, convolutions with biases:
    (N, 1, 96, 96) -> (N, 10); 758,226 parameters."""
    net = OrderedDict(stem=notes_stem())
    channels = 64
    for index in (1, 2, 3, 4):
        layers = [bn_relu_conv_bias(channels + 32 * i, 32, 3) for i in range(4)]
        net[f"block{index}"] = nn.Sequential(*map(Dense, layers))
        channels += 4 * 32
        if index < 4:
            shrink = bn_relu_conv_bias(channels, channels // 2, 1)
            net[f"transition{index}"] = nn.Sequential(shrink, nn.AvgPool2d(2))
            channels //= 2
    net["head"] = densenet_head(channels, 10)
    return expects(nn.Sequential(net), "densenet_notes", 1, 29, minimum=True)
