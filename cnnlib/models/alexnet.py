"""AlexNet: five convolutions and three dense layers, trained in two halves on two GPUs.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", NIPS 2012, section 3 and Fig. 2,
https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks

Differs from the paper: pictures have 227x227 pixels, because 224 do not give its 55x55
maps; and normalisation reaches across the border between the towers, as in Caffe.
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.inputs import expects


def response_norm():
    """Section 3.3: x / (2 + 1e-4 sum of x^2 over 5 channels)^0.75; PyTorch divides
    alpha by the number of channels."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)


def dense_layers(in_features, width, num_classes):
    """fc6, fc7 and fc8: (N, C, H, W) with C H W = in_features -> (N, num_classes)"""
    return OrderedDict(
        fc6=nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, width), nn.ReLU(), nn.Dropout(0.5)
        ),
        fc7=nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5)),
        fc8=nn.Linear(width, num_classes),
    )


def alexnet(towers=2, in_channels=3, num_classes=1000):
    """(N, in_channels, 227, 227) -> (N, num_classes)

    With 2 towers the second, fourth and fifth convolution see one half of the channels
    each: 60,965,224 parameters and 724.4 M MACs. With 1 tower 62,378,344 and 1,135.3 M.
    """
    net = OrderedDict(
        conv1=nn.Sequential(
            nn.Conv2d(in_channels, 96, 11, stride=4),  # (N, 96, 55, 55)
            nn.ReLU(),
            response_norm(),
        ),
        pool1=nn.MaxPool2d(3, stride=2),  # (N, 96, 27, 27)
        conv2=nn.Sequential(
            nn.Conv2d(96, 256, 5, padding=2, groups=towers),
            nn.ReLU(),
            response_norm(),
        ),
        pool2=nn.MaxPool2d(3, stride=2),  # (N, 256, 13, 13)
        conv3=nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        conv4=nn.Sequential(
            nn.Conv2d(384, 384, 3, padding=1, groups=towers), nn.ReLU()
        ),
        conv5=nn.Sequential(
            nn.Conv2d(384, 256, 3, padding=1, groups=towers), nn.ReLU()
        ),
        pool5=nn.MaxPool2d(3, stride=2),  # (N, 256, 6, 6)
        **dense_layers(256 * 6 * 6, 4096, num_classes),
    )
    return expects(nn.Sequential(net), "alexnet", in_channels, 227)
