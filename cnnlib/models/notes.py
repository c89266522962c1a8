"""The course notes' own versions of the networks, for Fashion-MNIST enlarged.

Their chapter 5 (after "Dive into Deep Learning", https://d2l.ai) builds every network
for one input channel and ten classes. The layers here are the notes'; the parameters of
each are stated and tested. LeNet's version stands beside LeNet.
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.inputs import expects
from cnnlib.models.resnet import DEPTHS, Residual, residual_stages, resnet_head
from cnnlib.models.vgg import vgg


def vgg11_notes():
    """(N, 1, 224, 224) -> (N, 10), the layers of the paper; 128,806,154 parameters."""
    return vgg(11, in_channels=1, num_classes=10)


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
    stem = nn.Sequential(
        nn.Conv2d(1, 64, 7, stride=2, padding=3),  # (N, 64, 48, 48)
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 24, 24)
    )
    body = residual_stages(DEPTHS[18], notes_residual, 64)  # (N, 512, 3, 3)
    net = OrderedDict(stem=stem, **body, head=resnet_head(512, 10))
    return expects(nn.Sequential(net), "resnet18_notes", 1, 32, minimum=True)
