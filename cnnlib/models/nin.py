"""Network in Network: a small network slides over the image, and its maps are averaged.

Lin, Chen and Yan, "Network In Network", ICLR 2014, https://arxiv.org/abs/1312.4400,
section 3 and Fig. 2. Behind each convolution, 1x1 convolutions apply the same dense
layers to the channels of every pixel; one map per class replaces the dense layers at
the end.

Differs from the paper: it gives no widths; those of `nin_cifar` and of `nin`, which the
paper does not have, are in the files that its first author published for Caffe
(https://gist.github.com/mavenlin/d802a5849de39225bcc6 is the ImageNet one).
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.inputs import expects


def mlpconv(in_channels, widths, kernel_size, stride=1, padding=0):
    """A convolution to widths[0] channels, 1x1 convolutions to the other widths, a ReLU
    behind each: (N, in_channels, H, W) -> (N, widths[-1], H', W')"""
    first, *others = widths
    layers = [nn.Conv2d(in_channels, first, kernel_size, stride, padding), nn.ReLU()]
    for before, width in zip(widths, others, strict=False):
        layers += [nn.Conv2d(before, width, 1), nn.ReLU()]
    return nn.Sequential(*layers)


def average():
    """(N, num_classes, H, W) -> (N, num_classes)"""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def nin(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W) -> (N, num_classes), H and W at least 39, as published
    224; 7.6 M parameters."""
    net = OrderedDict(
        block1=mlpconv(in_channels, (96, 96, 96), 11, stride=4),  # (N, 96, 54, 54)
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 96, 27, 27)
        block2=mlpconv(96, (256, 256, 256), 5, padding=2),
        pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 256, 13, 13)
        block3=mlpconv(256, (384, 384, 384), 3, padding=1),
        pool3=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 384, 6, 6)
        dropout=nn.Dropout(0.5),
        block4=mlpconv(384, (1024, 1024, num_classes), 3, padding=1),
        head=average(),
    )
    return expects(nn.Sequential(net), "nin", in_channels, 39, minimum=True)


def nin_cifar(in_channels=3, num_classes=10):
    """(N, in_channels, H, W) -> (N, num_classes), H and W at least 4, in the paper 32;
    966,986 parameters."""
    net = OrderedDict(
        block1=mlpconv(in_channels, (192, 160, 96), 5, padding=2),
        pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 96, 16, 16)
        dropout1=nn.Dropout(0.5),
        block2=mlpconv(96, (192, 192, 192), 5, padding=2),
        pool2=nn.AvgPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 8, 8)
        dropout2=nn.Dropout(0.5),
        block3=mlpconv(192, (192, 192, num_classes), 3, padding=1),
        head=average(),
    )
    return expects(nn.Sequential(net), "nin_cifar", in_channels, 4, minimum=True)
