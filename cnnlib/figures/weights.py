"""The two networks that the microscope shows when it is given none.

`make` trains both on the pictures that come with the package, as the chapter on LeNet-5
does, and stores their rounded weights beside this file: `python -c "from cnnlib.figures
import weights; weights.make()"`. The first reads 97% of the 2,000 test digits, the
second 87% of the 2,000 test garments that come with the package.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.models.lenet import lenet

LARGEST = 127  # of the whole numbers that weights are rounded to

# Name, its pictures, names of the classes, and the scale of its inputs.
SETS = {
    "digits": (data.digits, tuple("0123456789"), {"mean": 0.0, "std": 0.31}),
    "garments": (
        data.fashion_mnist,
        data.CLASSES,
        {"mean": data.MEAN, "std": data.STD},
    ),
}


def weighted(net):
    return [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def whole_numbers(weight):
    """Weights as whole numbers from -127 to 127, and the step (units, 1) they count."""
    step = weight.flatten(1).abs().amax(1, keepdim=True) / LARGEST
    step[step == 0] = 1
    return (weight.flatten(1) / step).round().to(torch.int8).view_as(weight), step


def packed(net):
    """Per layer with weights: whole numbers, steps and biases, as bytes."""
    parts = []
    for layer in weighted(copy.deepcopy(net).cpu().float()):
        whole, step = whole_numbers(layer.weight.detach())
        floats = torch.stack([step.flatten(), layer.bias.detach()])
        parts += [whole.numpy().tobytes(), floats.numpy().astype("<f4").tobytes()]
    return b"".join(parts)


def path(name):
    return Path(__file__).with_name(f"lenet-{name}.bin")


def load(name):
    """The stored network of a set, with weights as `rounded` leaves them."""
    net, content = lenet(nn.ReLU, nn.MaxPool2d), path(name).read_bytes()
    place = 0
    with torch.no_grad():
        for layer in weighted(net):
            units, count = len(layer.bias), layer.weight.numel()
            whole = np.frombuffer(content, np.int8, count, place)
            floats = np.frombuffer(content, "<f4", 2 * units, place + count)
            step, bias = torch.from_numpy(floats.astype("f4")).view(2, units)
            weight = torch.from_numpy(whole.astype("f4")).view(units, -1)
            layer.weight.copy_((weight * step[:, None]).view_as(layer.weight))
            layer.bias.copy_(bias)
            place += count + 8 * units
    return net.eval()


def make():
    """Train both and store them; a minute on one core."""
    for name, (pictures, _, scale) in SETS.items():
        torch.manual_seed(0)
        net = lenet(nn.ReLU, nn.MaxPool2d).apply(init.glorot)
        images, test = pictures()
        batches = data.Batches(images, 64, shuffle=True, **scale)
        held_out = data.Batches(test, 500, **scale)
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
        for row in train.fit(net, batches, held_out, epochs=4, optimizer=optimizer):
            print(name, f"{row.test_accuracy:.3f}")
        path(name).write_bytes(packed(net))
