"""What functions must do that readers write in the chapter on batch normalisation."""

import torch
import torch.nn.functional as F

from cnnlib.exercises import trials


@trials("batch-norm/exercise-group-norm")
def group_norm():
    for shape, groups in ((2, 4, 3, 3), 2), ((3, 6, 5, 2), 3), ((1, 4, 2, 2), 1):
        x = 3 * torch.randn(shape) + 1
        yield (x, groups), F.group_norm(x, groups)


@trials("batch-norm/exercise-backward")
def backward():
    """Autograd's gradient."""
    for samples, features in (4, 1), (32, 5), (7, 3):
        x = (2 * torch.randn(samples, features) + 1).requires_grad_()
        g = torch.randn(samples, features)
        F.batch_norm(x, None, None, training=True).backward(g)
        yield (x.detach(), g), x.grad


@trials("batch-norm/exercise-ghost-batches")
def ghost_batches():
    """A batch folded so that its pieces stand side by side as other channels."""
    for pieces, size, channels in (1, 4, 2), (4, 8, 3), (3, 2, 5):
        x = torch.randn(pieces, size, channels) * 2 + torch.randn(pieces, 1, channels)
        folded = x.transpose(0, 1).flatten(1)  # (size, pieces * channels)
        y = F.batch_norm(folded, None, None, training=True)
        y = y.view(size, pieces, channels).transpose(0, 1).flatten(0, 1)
        yield (x.flatten(0, 1), size), y
