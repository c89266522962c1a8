"""The book's small networks, with the same seconds of one core for each."""

import time
from itertools import cycle

import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cnnlib import data, init, models, train
from cnnlib.experiments import experiment
from cnnlib.models.alexnet import dense_layers
from cnnlib.models.densenet import Dense, bn_relu_conv, bottleneck_layer, dense_stages
from cnnlib.models.googlenet import Inception, conv, inception_stages
from cnnlib.models.lenet import lenet
from cnnlib.models.nin import average, mlpconv
from cnnlib.models.resnet import Residual, basic, conv_bn, residual_stages, resnet_head
from cnnlib.models.small import (
    alexnet_small,
    densenet_small,
    googlenet_small,
    nin_small,
    resnet_small,
    vgg_small,
)
from cnnlib.models.vgg import vgg_stages

# Rates around those with which the chapters train these networks, or ones of the same
# blocks (a lower one for NiN, which a constant 0.005 leaves at chance), each twice the
# one before, until the best has a worse one on either side.
RATES = {
    "lenet": (2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2),
    "alexnet_small": (1e-3, 2e-3, 4e-3),
    "nin_small": (1e-3, 2e-3, 4e-3),
    "vgg_small": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
    "googlenet_small": (7.5e-4, 1.5e-3, 3e-3, 6e-3),
    "resnet_small": (1.25e-3, 2.5e-3, 5e-3, 1e-2, 2e-2),
    "densenet_small": (5e-3, 1e-2, 2e-2),
}
MARKS = (0.75, 1.5, 3, 6)  # seconds after which a network is tested
SETTINGS = [
    {"network": network, "rate": rate, "seed": seed}
    for seed in range(3)
    for network, rates in RATES.items()
    for rate in rates
]
DEPENDS = (
    *(init.he, data.Batches, train.evaluate, lenet, alexnet_small, dense_layers),
    *(nin_small, mlpconv, average, vgg_small, vgg_stages),
    *(googlenet_small, Inception, conv, inception_stages),
    *(resnet_small, conv_bn, basic, Residual, residual_stages, resnet_head),
    *(densenet_small, Dense, bn_relu_conv, bottleneck_layer, dense_stages),
)


@experiment("comparison", SETTINGS, DEPENDS)
def equal_seconds(network, rate, seed, marks=MARKS, tests=2_000, batch=64):
    """Train one network on 10,000 pictures with AdamW, at a rate that rises to `rate`
    over 2,000 pictures and stays, and He's first weights; CPU seconds of training
    alone, pictures seen and test accuracy at each of the `marks`.

    What is tested is the running mean of the weights over about the last ten steps:
    about what a rate that falls to zero would give, had the training been meant to
    end there. So one run answers for every mark.
    """
    torch.manual_seed(seed)
    net = models.build(network, in_channels=1, num_classes=10).apply(init.he)
    net = net.to(train.device(), memory_format=torch.channels_last)
    known, others = (data.Images(*part) for part in data.fashion_mnist(test=tests))
    batches = data.Batches(known, batch, shuffle=True, seed=seed, device=train.device())
    held_out = data.Batches(others, 500, device=train.device())
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    mean = get_ema_multi_avg_fn(0.9)
    averaged = AveragedModel(net, multi_avg_fn=mean, use_buffers=True)
    endless = (pair for _ in cycle([None]) for pair in batches)
    rows, seconds, pictures = [], 0, 0
    (group,) = optimizer.param_groups
    for mark in marks:
        net.train()
        start = time.process_time() - seconds
        while seconds < mark:
            x, y = next(endless)
            with train.autocast(x.device):
                logits = net(x.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(logits, y)
            group["lr"] = rate * min(1, (pictures + batch) / 2_000)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            averaged.update_parameters(net)
            pictures += len(y)
            seconds = time.process_time() - start
        accuracy = train.evaluate(averaged.module, held_out)
        rows.append({"seconds": seconds, "pictures": pictures, "accuracy": accuracy})
    return {"marks": rows}
