"""What functions must do that readers write in the chapter on training."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats

from cnnlib.exercises import trials


@trials("training/exercise-soft-gradient")
def soft_gradient():
    """By autograd, through the loss as the paper writes it."""
    for pictures, classes, beta in (1, 3, 0.95), (6, 10, 0.6), (4, 5, 0.0):
        logits = 2 * torch.randn(pictures, classes, dtype=torch.float64)
        y = torch.randint(classes, (pictures,))
        given = logits.clone().requires_grad_()
        q = given.softmax(1)
        target = beta * F.one_hot(y, classes) + (1 - beta) * q
        loss = -(target * q.log()).sum() / pictures
        yield (logits, y, beta), torch.autograd.grad(loss, given)[0]


@trials("training/exercise-permutations")
def permutations():
    """By SciPy, which deals the numbers out in all ways."""
    for tip, control in (
        ([0.81, 0.83, 0.85], [0.80, 0.82, 0.84]),
        ([0.9, 0.8], [0.5, 0.6, 0.7]),
        ([0.1, 0.5, 0.3, 0.2], [0.4, 0.6]),
    ):
        result = stats.permutation_test(
            (tip, control),
            lambda a, b: np.mean(a) - np.mean(b),
            permutation_type="independent",
            alternative="greater",
        )
        yield (tip, control), float(result.pvalue)
