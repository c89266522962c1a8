"""Which class a trained network sees in pictures.

  python -m cnnlib.predict CHECKPOINT PICTURE...

CHECKPOINT is a file of `python -m cnnlib.train`, or the folder of its run. Each picture
gets a line with its five most probable classes.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from cnnlib import data, folder, models, train
from cnnlib.pictures import open_picture
from cnnlib.train import checkpoints

SHOWN = 5


class Model(NamedTuple):
    """A trained network, in evaluation mode, with all that a picture needs."""

    net: torch.nn.Module
    classes: list
    window: callable  # RGB picture -> uint8 (C, size, size)
    mean: list
    std: list


def load(path):
    """The `Model` in a checkpoint of `python -m cnnlib.train`, or in the newest of the
    folder of a run.

    Raises OSError where it cannot be read, ValueError where it is something else.
    """
    state = checkpoints.read(Path(path))
    model = state.get("model")
    if not isinstance(model, dict) or "net" not in state:
        raise ValueError(
            f"{path} does not say which network and classes it is for; checkpoints of "
            "cnnlib.train do."
        )
    shape = {name: model[name] for name in ("in_channels", "num_classes")}
    net = models.build(model["network"], **shape)
    net.load_state_dict(state["net"])
    if model["whole"]:
        window = folder.whole(model["size"], len(model["mean"]))
    else:
        window = folder.window(model["size"], False, len(model["mean"]))
    return Model(
        net.to(train.device()).eval(),
        model["classes"],
        window,
        model["mean"],
        model["std"],
    )


@torch.no_grad()
def probabilities(model, path):
    """The softmax of the network for the picture in a file: float32 (classes,).

    Raises DataError, naming the file, where it holds no picture.
    """
    x = model.window(open_picture(path)).unsqueeze(0).to(train.device())
    return model.net(folder.normalised(x, model.mean, model.std)).softmax(1)[0].cpu()


def line(model, path):
    """The most probable classes of the picture in a file, in a line."""
    found = probabilities(model, path).topk(min(SHOWN, len(model.classes)))
    guesses = [
        f"{model.classes[index]} {probability:.3f}"
        for probability, index in zip(*map(torch.Tensor.tolist, found), strict=True)
    ]
    return f"{path}: {', '.join(guesses)}"


def main():
    parser = argparse.ArgumentParser(
        prog="cnnlib.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("pictures", metavar="PICTURE", nargs="+")
    options = parser.parse_args()
    try:
        model = load(options.checkpoint)
    except (ValueError, OSError) as problem:
        sys.exit(f"cnnlib.predict: {problem}")
    failed = False
    for path in options.pictures:
        try:
            print(line(model, path))
        except data.DataError as problem:  # the others are not to blame
            print(f"cnnlib.predict: {problem}", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
