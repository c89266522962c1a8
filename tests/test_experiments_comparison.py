"""Equal seconds for all: the clock, what is tested, and who takes part."""

import itertools

import pytest
import torch

from cnnlib import experiments, models, train
from cnnlib.experiments import comparison
from cnnlib.experiments.comparison import RATES, SETTINGS, equal_seconds


def run(**changes):
    setting = {"network": "lenet", "rate": 5e-3, "seed": 0, "marks": (3, 5, 9)}
    return equal_seconds(**(setting | changes), tests=100)["marks"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes a second ahead whenever it is read: a step takes one."""
    ticks = itertools.count()
    monkeypatch.setattr(comparison.time, "process_time", lambda: next(ticks))


def test_every_network_of_the_book_that_is_small_takes_part_with_three_seeds():
    small = [name for name in models.names() if name.endswith("_small")]
    assert sorted(RATES) == sorted(["lenet", *small])
    assert sorted({s["seed"] for s in SETTINGS}) == [0, 1, 2]
    assert len(SETTINGS) == 3 * sum(map(len, RATES.values()))
    for rates in RATES.values():
        assert rates == tuple(rates[0] * 2**n for n in range(len(rates)))


def test_every_network_had_rates_below_and_above_its_best():
    ends = {}
    for row in experiments.load("comparison")["rows"]:
        rates = ends.setdefault(row["setting"]["network"], {})
        accuracy = row["marks"][-1]["accuracy"]
        rates[row["setting"]["rate"]] = rates.get(row["setting"]["rate"], 0) + accuracy
    for rates in ends.values():
        assert min(rates) < max(rates, key=rates.get) < max(rates)


def test_a_network_is_tested_when_its_seconds_are_over_and_goes_on(clock):
    marks = run()
    assert [mark["seconds"] for mark in marks] == [3, 5, 9]
    assert [mark["pictures"] for mark in marks] == [3 * 64, 5 * 64, 9 * 64]


def test_testing_takes_no_training_time(clock, monkeypatch):
    def slow(net, batches):
        for _ in range(1_000):
            comparison.time.process_time()
        return 0.5

    monkeypatch.setattr(train, "evaluate", slow)
    assert [mark["pictures"] for mark in run()] == [3 * 64, 5 * 64, 9 * 64]


def test_what_is_tested_is_a_mean_of_the_weights(clock, monkeypatch):
    trained, tested = [], []
    build = models.build

    def note_built(*args, **changes):
        trained.append(build(*args, **changes))
        return trained[-1]

    def note_tested(net, batches):
        tested.append(net.head[-1].weight.detach().clone())
        return 0.5

    monkeypatch.setattr(models, "build", note_built)
    monkeypatch.setattr(train, "evaluate", note_tested)
    run(network="resnet_small", marks=(1, 2))
    (net,) = trained
    last = net.head[-1].weight.detach()
    # after the first step the mean is the weights; after the second nine tenths of it
    torch.testing.assert_close(tested[1], 0.9 * tested[0] + 0.1 * last)
    assert not torch.equal(tested[1], last)


def test_the_rate_rises_over_2000_pictures_and_stays(clock, monkeypatch):
    rates = []

    class Watched(torch.optim.AdamW):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            super().step()

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    run(marks=(40,), rate=1)
    assert rates == pytest.approx([min(1, 64 * n / 2_000) for n in range(1, 41)])
