"""The backward pass that readers write, against autograd and `F.fold`."""

import torch
import torch.nn.functional as F

from cnnlib.exercises import trials


@trials("backpropagation/exercise-write-backward")
def gradients():
    for k, stride, padding, dilation, groups in [
        *((1, 1, 0, 1, 1), (3, 1, 1, 1, 1), (3, 2, 0, 1, 1), (2, 3, 1, 1, 1)),
        *((3, 1, 0, 2, 1), (3, 1, 1, 1, 2), (3, 2, 2, 2, 2), (2, 1, 0, 3, 4)),
    ]:
        x = torch.randn(2, 4, 8, 9, requires_grad=True)
        w = torch.randn(8, 4 // groups, k, k, requires_grad=True)
        z = F.conv2d(x, w, None, stride, padding, dilation, groups)
        error = torch.randn_like(z)
        right = torch.autograd.grad(z, (w, x), error)
        options = stride, padding, dilation, groups
        yield (error, x.detach(), w.detach(), *options), right


@trials("backpropagation/exercise-write-col2im")
def col2im():
    for channels, size, stride, padding in [
        *((1, 2, 2, 0), (1, 2, 1, 0), (3, 3, 1, 1), (2, 3, 2, 1), (2, 2, 3, 2)),
    ]:
        height, width = 7, 9
        places = F.unfold(torch.zeros(1, 1, height, width), size, 1, padding, stride)
        columns = torch.randn(2, channels * size**2, places.shape[2])
        right = F.fold(columns, (height, width), size, 1, padding, stride)
        yield (columns, height, width, size, stride, padding), right
