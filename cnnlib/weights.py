"""Trained weights for a network of the book: from torchvision, or from a run of ours.

torchvision trained ResNet, VGG, DenseNet and GoogLeNet on ImageNet's 1,000 classes
(https://docs.pytorch.org/vision/stable/models.html). Its layers have other names, which
`read` translates; a network for other classes keeps a last layer of its own.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from torchvision.models import get_model_weights

from cnnlib import folder, init, models
from cnnlib.models.vgg import STAGES
from cnnlib.train import checkpoints

# Pattern of torchvision's names, what stands there in ours. A function gets the match.
PLACE = {"conv": 0, "bn": 1}  # in our pairs of convolution and normalisation
RESNET = {
    r"conv1\.": "stem.0.0.",
    r"bn1\.": "stem.0.1.",
    r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.": (
        lambda m: f"stage{m[1]}.{m[2]}.path.{2 * int(m[4]) - 2}.{PLACE[m[3]]}."
    ),
    r"layer(\d)\.(\d+)\.downsample\.": r"stage\1.\2.shortcut.",
    r"fc\.": "head.2.",
}
VGG = {
    r"classifier\.0\.": "fc6.1.",
    r"classifier\.3\.": "fc7.0.",
    r"classifier\.6\.": "fc8.",
}
DENSENET = {
    r"features\.conv0\.": "stem.0.",
    r"features\.norm0\.": "stem.1.",
    # "norm.1" in the files that torchvision gives away, "norm1" in its network
    r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?(\d)\.": (
        lambda m: (
            f"block{m[1]}.{int(m[2]) - 1}.path.{int(m[4]) - 1}."
            f"{0 if m[3] == 'norm' else 2}."
        )
    ),
    r"features\.transition(\d)\.norm\.": r"transition\1.0.0.",
    r"features\.transition(\d)\.conv\.": r"transition\1.0.2.",
    r"features\.norm5\.": "head.0.",
    r"classifier\.": "head.4.",
}
GOOGLENET = {
    r"conv1\.(conv|bn)\.": lambda m: f"conv1.{PLACE[m[1]]}.",
    r"conv([23])\.(conv|bn)\.": lambda m: f"conv2.{int(m[1]) - 2}.{PLACE[m[2]]}.",
    r"(inception..\.branch)1\.(conv|bn)\.": lambda m: f"{m[1]}1x1.{PLACE[m[2]]}.",
    r"(inception..\.branch)2\.(\d)\.(conv|bn)\.": (
        lambda m: f"{m[1]}3x3.{m[2]}.{PLACE[m[3]]}."
    ),
    r"(inception..\.branch)3\.(\d)\.(conv|bn)\.": (
        lambda m: f"{m[1]}5x5.{m[2]}.{PLACE[m[3]]}."
    ),
    r"(inception..\.branch)4\.1\.(conv|bn)\.": (
        lambda m: f"{m[1]}_pool.1.{PLACE[m[2]]}."
    ),
    r"fc\.": "head.3.",
}
HALVES = (0.5, 0.5, 0.5)  # what torchvision's GoogLeNet makes of its input by itself


class Weights(NamedTuple):
    """Tensors by our names; the classes of the last layer, None where the file does
    not say them; mean and deviation of the pictures, one for each channel."""

    state: dict
    classes: list | None
    mean: list
    std: list


def read(source, name):
    """The `Weights` for the network `name`: "torchvision" fetches torchvision's for
    ImageNet, else `source` is the path of a file of torchvision's format, of a
    checkpoint of `python -m cnnlib.train`, or of the folder of its run.

    Raises ValueError where the file holds no weights or those of another network, and
    OSError where it cannot be read or fetched; both say so in one line.
    """
    if str(source) == "torchvision":
        state = _fetched(name)
    else:
        state = checkpoints.read(Path(source))
    model = state.get("model")
    if isinstance(model, dict) and "network" in model:
        if model["network"] != name:
            raise ValueError(
                f"{source} is a checkpoint of {model['network']}, not of {name}."
            )
        return Weights(state["net"], model["classes"], model["mean"], model["std"])
    if not state or not all(torch.is_tensor(value) for value in state.values()):
        raise ValueError(
            f"{source} holds no weights: it needs tensors by name, as "
            "torch.save(net.state_dict(), path) writes them."
        )
    mean, std = folder.MEAN, folder.STD
    if name == "googlenet_torchvision":
        mean = std = HALVES
    return Weights(translated(state, name), None, [*mean], [*std])


def load(net, weights, classes, source):
    """Put `weights` into `net`, whose last layer tells `classes` apart; a line that
    says what was loaded.

    The last layer keeps what it has unless its classes are those of the weights in
    their order; where these do not say theirs, their number decides. Raises ValueError,
    and leaves `net` as it was, where a tensor is missing, left over or of another
    shape: `source` holds another network.
    """
    ours, state = net.state_dict(), dict(weights.state)
    last = {
        f"{layer}.{kind}"
        for layer in last_layers(net)
        for kind in ("weight", "bias")
        if f"{layer}.{kind}" in ours and f"{layer}.{kind}" in state
    }
    others = [len(state[tensor]) for tensor in last]
    same = weights.classes in (None, list(classes)) and {*others} <= {len(classes)}
    if not same:
        state |= {tensor: ours[tensor] for tensor in last}
    _check(state, ours, source)
    net.load_state_dict(state, strict=False)
    count = len([tensor for tensor in state if same or tensor not in last])
    if same:
        return f"{source}: {count} tensors, with the last layer"
    theirs = f"{max(others):,} classes"
    if max(others) == len(classes):
        theirs = "other classes"
    return (
        f"{source}: {count} tensors; the last layer, there for {theirs}, begins anew "
        f"for {len(classes):,}"
    )


def stages(net):
    """The named stages of a network in their order, without heads on the way."""
    return {name: stage for name, stage in net.named_children() if name != "auxiliary"}


def last_layers(net):
    """Names of the layers that tell the classes apart: one, and one for each head on
    the way."""
    last = {}
    for name, module in net.named_modules():
        if isinstance(module, init.LAYERS):
            chain = name.split(".")[1] if name.startswith("auxiliary.") else ""
            last[chain] = name
    return list(last.values())


def freeze(net, count):
    """Keep the first `count` stages of `net` as they are: neither do their parameters
    get gradients nor, in training, their normalisations new statistics or their dropout
    zeros.

    Raises ValueError where that would leave no stage to train.
    """
    names = list(stages(net))
    if not 0 <= count < len(names):
        raise ValueError(
            f"of the {len(names)} stages ({', '.join(names)}) 0 to {len(names) - 1} "
            f"can be frozen, not {count}."
        )
    for name in names[:count]:
        stage = stages(net)[name].requires_grad_(False)
        stage.register_forward_pre_hook(_in_evaluation)


def translated(state, name):
    """A state of torchvision's network with the names of ours, without its heads on the
    way; names that no rule knows, as our own, stay as they are."""
    rules = RULES[family(name)](name) if family(name) in RULES else {}
    return {
        _renamed(key, rules): value
        for key, value in state.items()
        if not key.startswith(("aux1.", "aux2."))
    }


def family(name):
    """The name of a network without its depth."""
    return re.sub(r"\d+$", "", name)


def _vgg(name):
    """The rules of a VGG: torchvision numbers all layers in one chain."""
    rules, number = dict(VGG), 0
    for stage, (convs, _) in enumerate(STAGES[int(name.removeprefix("vgg"))], start=1):
        for layer in range(0, 2 * convs, 2):  # a ReLU follows each
            rules[rf"features\.{number + layer}\."] = f"stage{stage}.{layer}."
        number += 2 * convs + 1  # and a pooling
    return rules


RULES = {
    "resnet": lambda name: RESNET,
    "vgg": _vgg,
    "densenet": lambda name: DENSENET,
    "googlenet_torchvision": lambda name: GOOGLENET,
}


def _renamed(key, rules):
    for pattern, ours in rules.items():
        new, found = re.subn(f"^{pattern}", ours, key)
        if found:
            return new
    return key


def _in_evaluation(stage, args):
    stage.eval()


def _fetched(name):
    if family(name) not in RULES:
        known = ", ".join(other for other in models.names() if family(other) in RULES)
        raise ValueError(f"torchvision has no weights for {name}, only for {known}.")
    weights = get_model_weights(name.removesuffix("_torchvision")).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as problem:
        raise OSError(
            f"{weights.url} could not be fetched ({problem}): fetch it elsewhere and "
            "give the name of the file."
        ) from problem


def _check(state, ours, source):
    """Refuse what would not fill the network, naming the first tensor that differs."""
    for name, tensor in ours.items():
        if name.endswith("num_batches_tracked"):
            continue  # files of 2017 have none
        if name not in state:
            raise ValueError(f"{source} holds another network: it has no {name}.")
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"{source} holds another network: its {name} has the shape "
                f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}."
            )
    if more := sorted(state.keys() - ours.keys()):
        raise ValueError(f"{source} holds another network: it has a {more[0]}, too.")
