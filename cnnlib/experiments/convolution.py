"""How well networks stand pictures that are turned, made smaller or moved."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment

BLACK = -data.MEAN / data.STD  # a black pixel after normalisation
CHANGES = {
    "turned": (0, 5, 10, 15, 20, 30),  # degrees, to either side
    "scaled": (1, 0.9, 0.8, 0.7, 0.6),
    "shifted": (0, 0.5, 1, 2, 3, 4),  # pixels, to either side
}
NETWORKS = {
    "dense": lambda: nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    ),
    "convolutional": lambda: nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    ),
}


def changed(x, degrees=0, scale=1, pixels=0):
    """Normalised pictures (N, 1, H, W), turned to the left, made smaller and moved to
    the right, on black; each amount is a number or one per picture (N,)."""
    amounts = torch.zeros(3, len(x), device=x.device)
    for row, amount in zip(amounts, (degrees, scale, pixels), strict=True):
        row += torch.as_tensor(amount, device=x.device)
    angle, scale, pixels = torch.deg2rad(amounts[0]), *amounts[1:]
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    move = 2 * pixels / x.shape[3]
    rows = [cosine, -sine, -cosine * move, sine, cosine, -sine * move]
    grid = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(grid, x.shape, align_corners=False)
    return F.grid_sample(x - BLACK, grid, align_corners=False) + BLACK


class Changing(data.Batches):
    """Batches of pictures turned by up to 30 degrees, scaled down to 0.6 and moved by
    up to 4 pixels, at random."""

    def _prepare(self, images):
        x = super()._prepare(images)
        draws = torch.rand(3, len(x), generator=self.generator).to(x)
        degrees, scale, pixels = draws
        return changed(x, 60 * degrees - 30, 1 - 0.4 * scale, 8 * pixels - 4)


@torch.no_grad()
def under_changes(net, pictures):
    """Accuracy, and share of the pictures that keep their class, by CHANGES."""
    net.eval()
    x, y = next(iter(data.Batches(pictures, len(pictures[1]), device=train.device())))

    def answers(**change):
        with train.autocast(x.device):
            return net(changed(x, **change)).argmax(1)

    still, found = answers(), {}
    for kind, amounts in CHANGES.items():
        name = {"turned": "degrees", "scaled": "scale", "shifted": "pixels"}[kind]
        found[kind] = {"accuracy": [], "kept": []}
        for amount in amounts:
            both = [amount] if kind == "scaled" else [amount, -amount]
            said = torch.stack([answers(**{name: change}) for change in both])
            for key, right in ("accuracy", y), ("kept", still):
                found[kind][key].append((said == right).double().mean().item())
    return found


SETTINGS = [
    {"network": network, "changing": changing, "seed": seed}
    for network, changing, seed in product(NETWORKS, (False, True), range(3))
]
DEPENDS = (changed, Changing, under_changes, init.he, data.Batches, train.fit)


@experiment("convolution-changes", SETTINGS, DEPENDS)
def changes(network, changing, seed, images=5_000, tests=1_000, epochs=5):
    """Train on garments as they are or `changing` at random, test on changed ones:
    AdamW with a peak rate of 0.003, one cycle, batches of 128. `filters` are the 16
    of a first convolution."""
    torch.manual_seed(seed)
    net = NETWORKS[network]().apply(init.he)
    training, test = data.fashion_mnist(images, tests)
    device, kind = train.device(), Changing if changing else data.Batches
    batches = kind(training, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    held_out = data.Batches(test, 500, device=device)
    rows = list(train.fit(net, batches, held_out, epochs, optimizer))
    result = {"losses": [row.train_loss for row in rows], **under_changes(net, test)}
    if network == "convolutional":
        filters = net[0].weight.detach().cpu().flatten(1)
        result["filters"] = [[round(w, 4) for w in row] for row in filters.tolist()]
    return result
