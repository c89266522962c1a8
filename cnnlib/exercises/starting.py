"""Exercises of the chapter on starting deep networks."""

import numpy as np
import torch

from cnnlib.exercises import trials


@trials("starting/exercise-measured-start")
def measured_start():
    for outputs, inputs, scale in (1, 5, 1.0), (30, 20, 0.01), (8, 40, 100.0):
        weight, x = scale * torch.randn(outputs, inputs), torch.randn(16, inputs)
        size = np.sqrt(
            np.mean(np.square(x.double().numpy() @ weight.double().numpy().T))
        )
        yield (weight, x), (weight / size).float()


@trials("starting/exercise-zero-sums")
def zero_sums():
    for shape in (1, 2, 1, 1), (4, 3, 3, 3), (2, 8, 5, 5):
        weight = torch.randn(shape) + 1
        filters = weight.double().flatten(1).numpy()
        norms = np.linalg.norm(filters, axis=1, keepdims=True)
        centred = filters - np.mean(filters, axis=1, keepdims=True)
        centred *= norms / np.linalg.norm(centred, axis=1, keepdims=True)
        yield (weight,), torch.from_numpy(centred).float().view(shape)
