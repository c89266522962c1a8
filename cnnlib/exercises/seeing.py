"""What the functions of the exercises on pictures that a network asks for must do."""

import numpy as np
import torch
from torch import nn

from cnnlib.exercises import trials


@trials("seeing/exercise-total-variation")
def total_variation():
    """With NumPy, picture by picture."""
    for count, height, width in (1, 2, 2), (3, 5, 5), (2, 4, 7):
        pictures = torch.rand(count, 1, height, width)
        right = [
            np.hypot(p[1:, :-1] - p[:-1, :-1], p[:-1, 1:] - p[:-1, :-1]).mean()
            for p in pictures[:, 0].numpy()
        ]
        yield (pictures,), torch.tensor(np.array(right))


@trials("seeing/exercise-difference")
def difference():
    """By differences of the answers to slightly altered pictures."""
    for count, kinds in (1, 2), (3, 4):
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten())
        net = nn.Sequential(*net, nn.Linear(12, kinds)).double()
        x = torch.rand(count, 1, 4, 4, dtype=torch.float64)
        a, b = kinds - 1, 0

        def score(pictures, net=net, a=a, b=b):
            with torch.no_grad():
                logits = net(pictures)
            return logits[:, a] - logits[:, b]

        slope = torch.zeros_like(x)
        for row in range(4):
            for column in range(4):
                little = torch.zeros_like(x)
                little[..., row, column] = 1e-4
                rise = score(x + little) - score(x - little)
                slope[:, 0, row, column] = rise / 2e-4
        for rate in (0.5, 2.0):
            yield (net, x, a, b, rate), x + rate * slope


@trials("seeing/exercise-class-map")
def class_map():
    """Map by map and place by place."""
    for maps, kinds, height, width in (1, 2, 2, 2), (4, 3, 5, 2), (6, 10, 7, 7):
        last, weight = torch.randn(maps, height, width), torch.randn(kinds, maps)
        bias, a, b = torch.randn(kinds), kinds - 1, 0
        logit = {
            c: [
                [
                    bias[c] + sum(weight[c, k] * last[k, i, j] for k in range(maps))
                    for j in range(width)
                ]
                for i in range(height)
            ]
            for c in (a, b)
        }
        right = torch.tensor(logit[a]) - torch.tensor(logit[b])
        yield (last, weight, bias, a, b), right
