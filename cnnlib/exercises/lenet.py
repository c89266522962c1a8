"""What the functions that the chapter on LeNet-5 asks for must do."""

import numpy as np
import torch
from torch.nn import functional as F

from cnnlib.exercises import trials


@trials("lenet/exercise-table")
def table():
    for maps, outputs in (3, 4), (6, 16):
        x, bias = torch.randn(2, maps, 9, 8), torch.randn(outputs)
        weight = torch.randn(outputs, maps, 5, 5)
        counts = torch.randint(1, maps + 1, (outputs,)).tolist()
        seen = [sorted(torch.randperm(maps)[:count].tolist()) for count in counts]
        each = [
            F.conv2d(x[:, known], kernel[None, known])
            for known, kernel in zip(seen, weight, strict=True)
        ]
        yield (x, weight, bias, seen), torch.cat(each, 1) + bias.view(-1, 1, 1)


@trials("lenet/exercise-codes")
def codes():
    for classes, units, limit in (3, 5, 9.0), (10, 84, 90.0), (10, 84, 0.0):
        known = 2.0 * torch.randint(2, (classes, units)) - 1
        near = known[torch.randint(classes, (20,))]
        x = torch.cat([near + 0.5 * torch.randn(20, units), torch.randn(20, units)])
        distance, right = torch.cdist(x, known).square().min(1)
        yield (x, known, limit), torch.where(distance > limit, -1, right)


@trials("lenet/exercise-slant")
def slant():
    for lean in (-0.6, 0.0, 0.4):
        rows, columns = np.mgrid[:28, :28].astype(float)
        stroke = np.exp(-((columns - 13 + lean * (rows - 14)) ** 2) / 4)
        stroke *= np.exp(-((rows - 14) ** 2) / 30)
        blot = np.random.default_rng(0).uniform(0.0, 0.005, (28, 28))
        ink = stroke + blot
        down = np.polyfit(rows.flatten(), columns.flatten(), 1, w=ink.flatten() ** 0.5)
        yield (torch.tensor(ink).float(),), torch.tensor(-down[0]).float()
