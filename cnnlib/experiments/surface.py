"""The loss around a trained network, on a plane through its weights.

Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018,
https://arxiv.org/abs/1712.09913: two random directions in which each filter is as long
as the trained one; scales, shifts and biases stay where they are.
"""

from copy import deepcopy
from itertools import product

import torch
import torch.nn.functional as F

from cnnlib import data, train
from cnnlib.experiments import experiment
from cnnlib.experiments.why_residual import CODE, trained

SURFACES = ("residual", "plain", "residual, 56 layers", "plain, 56 layers")


def filter_normalised(weights):
    """A random step, for each filter as long as the filter itself; 0 for a vector."""
    if weights.ndim == 1:
        return torch.zeros_like(weights)
    step = torch.randn_like(weights).flatten(1)
    lengths = weights.flatten(1).norm(dim=1, keepdim=True)
    return (step * lengths / step.norm(dim=1, keepdim=True)).view_as(weights)


@torch.no_grad()
def plane(net, one, other, steps, x, y, fresh):
    """Mean loss of (x, y) at `net` + a `one` + b `other`: a row for each a of `steps`,
    a column for each b.

    Batch normalisation takes its statistics from x, at each point anew (`fresh`), or
    keeps those of the trained network, as the paper does.
    """
    walker = deepcopy(net).train(fresh)
    losses = torch.zeros(len(steps), len(steps))
    for (i, a), (j, b) in product(enumerate(steps), repeat=2):
        parts = walker.parameters(), net.parameters(), one, other
        for weights, middle, way, across in zip(*parts, strict=True):
            weights.copy_(middle + a * way + b * across)
        with train.autocast(x.device):
            losses[i, j] = F.cross_entropy(walker(x).float(), y)
    return losses


@experiment(
    "why-residual-surface",
    [{"network": name, "seed": seed} for seed, name in product(range(2), SURFACES)],
    (*CODE, filter_normalised, plane),
)
def surface(network, seed, points=13, pictures=250, **size):
    """Train a network, then walk over a plane through its weights.

    Mean loss of the first training pictures for a and b from -1 to 1, on the same plane
    with fresh and with kept statistics of batch normalisation.
    """
    net, batches, _, accuracy = trained(network, seed, **size)
    seen = data.Images(batches.images[:pictures], batches.labels[:pictures])
    x, y = next(iter(data.Batches(seen, pictures, device=batches.device)))
    torch.manual_seed(seed)
    ways = [[filter_normalised(w) for w in net.parameters()] for _ in range(2)]
    steps = torch.linspace(-1, 1, points).tolist()
    row = {"test_accuracy": accuracy}
    for statistics, fresh in ("fresh", True), ("kept", False):
        losses = plane(net, *ways, steps, x, y, fresh).tolist()
        row[statistics] = [[round(loss, 4) for loss in line] for line in losses]
    return row
