"""What functions must do that readers write in the chapter on exits."""

import torch

from cnnlib.exercises import trials
from cnnlib.models.unet import nested_reads, unet_reads


@trials("exits/exercise-needed")
def needed():
    """By walking from each node along all paths, in the tables of both networks and of
    one with a node that nothing reads."""
    tables = [unet_reads(3), nested_reads(2), nested_reads(4)]
    tables.append({**unet_reads(2), (1, 2): [(1, 1), (2, 0)]})
    for reads in tables:
        for node in list(reads)[1:]:
            found, paths = {node}, [node]
            while paths:
                sources = reads[paths.pop()]
                found.update(sources)
                paths += sources
            yield (reads, node), torch.tensor(sorted(found))


@trials("exits/exercise-leave")
def leave():
    """Picture by picture, in plain loops; some are sure at once, some never."""
    for exits, pictures, classes, threshold in (
        *((3, 8, 4, 0.5), (2, 5, 3, 0.7), (4, 12, 10, 0.3), (3, 6, 2, 0.99)),
        *((3, 6, 5, 0.0), (3, 6, 5, 1.01)),
    ):
        logits = 2 * torch.randn(exits, pictures, classes)
        probabilities = logits.softmax(2)
        places, labels = [], []
        for picture in range(pictures):
            for place in range(exits):
                row = probabilities[place, picture].tolist()
                if max(row) >= threshold or place == exits - 1:
                    places.append(place)
                    labels.append(row.index(max(row)))
                    break
        yield (
            (probabilities, threshold),
            (torch.tensor(places), torch.tensor(labels)),
        )
