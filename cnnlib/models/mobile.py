"""Networks for telephones: a filter per channel, then a 1x1 convolution that mixes.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, https://arxiv.org/abs/1704.04861, Table 1.
Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381, Table 2 and Fig. 4d.
Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, https://arxiv.org/abs/1905.11946, Table 1.

Differs from the papers: the last 3x3 of MobileNet has stride 1, since Table 1 prints 2
and leaves 7x7 pixels as they are; no block is dropped in training (EfficientNet).
"""

from collections import OrderedDict

from torch import nn

from cnnlib.models.bottlenecks import groups_bn, squeeze_excitation
from cnnlib.models.inputs import expects
from cnnlib.models.resnet import conv_bn, residual_stages, resnet_head
from cnnlib.models.resnet_cifar import Sum

# (blocks, output channels) of each size of map: 112, 56, 28, 14 and 7 pixels
MOBILENET = ((1, 64), (2, 128), (2, 256), (6, 512), (2, 1024))
# Table 2: t, c, n, s are expansion, output channels, blocks, stride of the first
MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# Table 1: expansion, kernel, output channels, blocks, stride of the first
EFFICIENTNET_B0 = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def separable(in_channels, out_channels, stride):
    """MobileNet's layer: a 3x3 filter for each channel, and a 1x1 over all channels."""
    return nn.Sequential(
        groups_bn(in_channels, in_channels, 3, stride, in_channels),
        nn.ReLU(),
        conv_bn(in_channels, out_channels, 1),
        nn.ReLU(),
    )


def widen(in_channels, expansion, kernel_size, stride, activation):
    """The layers before the last one of a block: a 1x1 to `expansion` times the
    channels, if that is more, and a filter for each of them."""
    wide = expansion * in_channels
    layers = [conv_bn(in_channels, wide, 1), activation()] if expansion > 1 else []
    return [*layers, groups_bn(wide, wide, kernel_size, stride, wide), activation()]


def shortcut(path, in_channels, out_channels, stride):
    """`path` with a shortcut where the shape stays; nothing stands behind the sum."""
    same = stride == 1 and in_channels == out_channels
    return Sum(path, nn.Identity()) if same else path


def mobile_block(in_channels, out_channels, stride, expansion):
    """Narrow, wide, narrow again, and there no activation (Fig. 4d of MobileNetV2)."""
    layers = widen(in_channels, expansion, 3, stride, nn.ReLU6)
    path = nn.Sequential(*layers, conv_bn(expansion * in_channels, out_channels, 1))
    return shortcut(path, in_channels, out_channels, stride)


def efficient_block(in_channels, out_channels, stride, expansion, kernel_size):
    """The same with x sigmoid(x) as activation, and a gate whose hidden layer is a
    quarter of the block's input."""
    wide = expansion * in_channels
    layers = widen(in_channels, expansion, kernel_size, stride, nn.SiLU)
    gate = squeeze_excitation(wide, in_channels // 4, nn.SiLU)
    path = nn.Sequential(*layers, gate, conv_bn(wide, out_channels, 1))
    return shortcut(path, in_channels, out_channels, stride)


def chain(block, blocks, in_channels, out_channels, stride, *how):
    """`blocks` blocks in a row, of which the first has the stride."""
    first = block(in_channels, out_channels, stride, *how)
    others = [block(out_channels, out_channels, 1, *how) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)


def mobilenet(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes)"""
    stem = nn.Sequential(conv_bn(in_channels, 32, 3, stride=2), nn.ReLU())
    body = residual_stages(MOBILENET, separable, 32)  # (N, 1024, 7, 7)
    net = OrderedDict(stem=stem, **body, head=resnet_head(1024, num_classes))
    return expects(nn.Sequential(net), "mobilenet", in_channels, 32, minimum=True)


def mobilenet_v2(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes)"""
    stages, before = OrderedDict(), 32
    for index, (expansion, channels, blocks, stride) in enumerate(MOBILENET_V2, 1):
        shape = before, channels, stride
        stages[f"stage{index}"] = chain(mobile_block, blocks, *shape, expansion)
        before = channels
    ends = in_channels, num_classes, nn.ReLU6
    return _with_ends("mobilenet_v2", stages, *ends)


def efficientnet_b0(in_channels=3, num_classes=1000):
    """(N, in_channels, H, W), 32x32 or larger, -> (N, num_classes)"""
    stages, before = OrderedDict(), 32
    for index, row in enumerate(EFFICIENTNET_B0, start=1):
        expansion, kernel_size, channels, blocks, stride = row
        shape, how = (before, channels, stride), (expansion, kernel_size)
        stages[f"stage{index}"] = chain(efficient_block, blocks, *shape, *how)
        before = channels
    ends = in_channels, num_classes, nn.SiLU
    return _with_ends("efficientnet_b0", stages, *ends)


def _with_ends(name, stages, in_channels, num_classes, activation):
    """Both begin with 32 channels and end, from 320, with 1,280."""
    stem = nn.Sequential(conv_bn(in_channels, 32, 3, stride=2), activation())
    last = nn.Sequential(conv_bn(320, 1280, 1), activation())  # (N, 1280, 7, 7)
    head = resnet_head(1280, num_classes)
    head.insert(2, nn.Dropout(0.2))
    net = OrderedDict(stem=stem, **stages, last=last, head=head)
    return expects(nn.Sequential(net), name, in_channels, 32, minimum=True)
