"""What functions must do that readers write in the chapter on transfer learning."""

import torch

from cnnlib.exercises import trials


@trials("transfer/exercise-nearest-mean")
def nearest_mean():
    """Query by query and class by class, in plain loops."""
    for samples, size, kinds in (6, 2, 2), (15, 8, 3), (40, 5, 4):
        labels = torch.arange(samples) % kinds
        features = torch.randn(samples, size) + 3 * torch.randn(kinds, size)[labels]
        queries = torch.randn(9, size) * 3
        nearest = []
        for query in queries:
            away = []
            for kind in range(kinds):
                members = [
                    f for f, y in zip(features, labels, strict=True) if y == kind
                ]
                away.append(float(((query - sum(members) / len(members)) ** 2).sum()))
            nearest.append(away.index(min(away)))
        yield (features, labels, queries), torch.tensor(nearest)


@trials("transfer/exercise-ridge")
def ridge():
    """Least squares with one more row for every weight, which pulls it to zero."""
    for samples, size, kinds, strength in (
        (20, 4, 3, 0.5),
        (9, 12, 2, 2.0),
        (30, 3, 1, 1e-2),
    ):
        x = torch.randn(samples, size, dtype=torch.float64)
        y = torch.randn(samples, kinds, dtype=torch.float64)
        rows = strength**0.5 * torch.eye(size, dtype=torch.float64)
        x_too = torch.cat([x, rows])
        y_too = torch.cat([y, torch.zeros(size, kinds, dtype=torch.float64)])
        yield (x, y, strength), torch.linalg.lstsq(x_too, y_too).solution
