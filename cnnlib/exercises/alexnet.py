"""What the functions of the chapter on AlexNet must do."""

import torch
from torch import nn
from torchvision.transforms import functional

from cnnlib.exercises import trials


@trials("alexnet/exercise-response-norm")
def response_norm():
    for maps, n, k, alpha, beta in (
        (8, 5, 2.0, 1e-4, 0.75),
        (8, 5, 1.0, 0.5, 0.75),
        (3, 5, 2.0, 0.3, 1.0),
        (6, 3, 1.5, 1.0, 0.5),
    ):
        a = 3 * torch.randn(2, maps, 4, 5)
        theirs = nn.LocalResponseNorm(n, alpha=n * alpha, beta=beta, k=k)
        yield (a, n, k, alpha, beta), theirs(a)


@trials("alexnet/exercise-ten-crops")
def ten_crops():
    for channels, height, width, size in ((3, 12, 12, 8), (1, 9, 13, 5), (3, 6, 8, 6)):
        x = torch.randn(channels, height, width)
        yield (x, size), torch.stack(functional.ten_crop(x, size))
