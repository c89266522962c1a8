"""What functions must do that readers write in the chapter on verification."""

import torch

from cnnlib.exercises import trials


@trials("verification/exercise-semi-hard")
def semi_hard():
    """Anchor by anchor, in plain loops; in the last case some have nobody beyond."""
    for count, pull in (3, 0.5), (8, 0.5), (12, 1.0), (6, 1.6):
        distances = torch.rand(count, count) * 2
        distances.fill_diagonal_(0).add_(pull * torch.rand(count).diag())
        chosen = []
        for anchor, row in enumerate(distances.tolist()):
            others = [(far, place) for place, far in enumerate(row) if place != anchor]
            beyond = [other for other in others if other[0] > row[anchor]]
            chosen.append((min(beyond) if beyond else max(others))[1])
        yield (distances,), torch.tensor(chosen)


@trials("verification/exercise-area")
def area_by_counting():
    """Couple by couple; whole distances, so that some are equal."""
    for ours, others, largest in (4, 4, 9), (30, 10, 5), (20, 50, 40):
        same = torch.randint(largest, (ours,)).double()
        different = torch.randint(1, largest + 3, (others,)).double()
        points = [
            1.0 if near < far else 0.5 if near == far else 0.0
            for near in same.tolist()
            for far in different.tolist()
        ]
        yield (same, different), sum(points) / len(points)
