"""Processes that share a run see one order of the images, each with its own dropout."""

from itertools import product
from types import SimpleNamespace

import torch

from cnnlib.train import __main__ as command


def streams(seed, epoch, rank):
    """What the command draws in an epoch: an order, and a mask of dropout."""
    training = SimpleNamespace(generator=torch.Generator())
    command._seed(seed, epoch, rank, training)
    order = torch.randperm(1000, generator=training.generator)
    return tuple(order.tolist()), tuple((torch.rand(1000) < 0.5).tolist())


def test_the_order_is_the_same_in_every_process_and_dropout_is_not():
    orders, masks = zip(*(streams(3, 2, rank) for rank in range(4)), strict=True)
    assert len(set(orders)) == 1
    assert len(set(masks)) == 4


def test_seeds_and_epochs_have_streams_of_their_own_that_come_back():
    drawn = [streams(seed, epoch, 1) for seed, epoch in product((0, 1), (0, 1, 2))]
    orders, masks = zip(*drawn, strict=True)
    assert len(set(orders)) == len(set(masks)) == 6
    assert streams(1, 2, 1) == drawn[-1]
