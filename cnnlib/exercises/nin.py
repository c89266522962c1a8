"""Exercises of the chapter on Network in Network."""

import torch

from cnnlib.exercises import trials


@trials("nin/exercise-edges-by-hand")
def edges_by_hand():
    for count, height, width in (1, 1, 2), (2, 6, 6), (3, 5, 9):
        x = torch.randint(2, (count, 1, height, width))
        yield (x.float(),), (x[..., 1:] ^ x[..., :-1]).float()


@trials("nin/exercise-class-maps")
def class_maps():
    for count, channels, classes, side in (1, 2, 3, 1), (2, 8, 10, 7), (3, 5, 2, 4):
        features = torch.randn(count, channels, side, side)
        weight, bias = torch.randn(classes, channels), torch.randn(classes)
        maps = torch.einsum("kc, nchw -> nkhw", weight, features)
        yield (features, weight, bias), maps + bias.view(-1, 1, 1)
