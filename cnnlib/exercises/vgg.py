"""Exercises of the chapter on VGG."""

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib.exercises import trials
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.vgg import STAGES, vgg_stages


@trials("vgg/exercise-parameters-of")
def parameters_of():
    for rows in (STAGES[11], STAGES[16], STAGES[19], ((1, 8), (3, 16)), ((2, 5),) * 4):
        with torch.device("meta"):
            end = dense_layers(rows[-1][1] * (224 >> len(rows)) ** 2, 4096, 1000)
            net = nn.Sequential(vgg_stages(rows, 3) | end)
        yield (rows,), sum(p.numel() for p in net.parameters())


@trials("vgg/exercise-fused")
def fused():
    """The 5x5 weights are what the pair answers to a single pixel, turned."""
    for inputs, middle, outputs in (1, 1, 1), (2, 3, 4), (5, 2, 1):
        first = torch.randn(middle, inputs, 3, 3)
        second = torch.randn(outputs, middle, 3, 3)
        pixels = torch.zeros(inputs, inputs, 9, 9)
        pixels[range(inputs), range(inputs), 4, 4] = 1
        answers = F.conv2d(F.conv2d(pixels, first), second)
        yield (first, second), answers.flip(2, 3).transpose(0, 1)
