"""LeNet's activation and pooling, each changed alone."""

from itertools import product

import torch
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.models.lenet import _dense, lenet

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}
SETTINGS = [
    {"activation": activation, "pooling": pooling, "seed": seed}
    for activation, pooling, seed in product(ACTIVATIONS, POOLINGS, range(3))
]


DEPENDS = (lenet, _dense, init.glorot, data.Batches, train.fit, train.evaluate)


@experiment("lenet-ablation", SETTINGS, DEPENDS)
def ablation(activation, pooling, seed, images=60_000, tests=10_000, epochs=10):
    """Train the dense LeNet; test accuracy and training loss after each epoch.

    Everything but activation, pooling and seed is the same in all runs: Glorot
    initialisation, AdamW with a peak learning rate of 0.005, one cycle, batches of 128.
    """
    torch.manual_seed(seed)
    net = lenet(ACTIVATIONS[activation], POOLINGS[pooling])
    net.apply(init.glorot)
    training, test = data.fashion_mnist(images, tests)
    device = train.device()
    batches = data.Batches(training, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    rows = train.fit(net, batches, data.Batches(test, device=device), epochs, optimizer)
    _, losses, accuracies, _ = zip(*rows, strict=True)
    return {"train_loss": losses, "test_accuracy": accuracies}
