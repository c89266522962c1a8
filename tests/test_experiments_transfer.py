"""The networks and ways of the experiment on transfer."""

import copy

import pytest
import torch
from torch import nn

from cnnlib import costs, data, train
from cnnlib.experiments import transfer


def numbers(module):
    """Every parameter and buffer by name, copied."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, after):
    """The names of what is equal."""
    return {name for name in before if torch.equal(before[name], after[name])}


def pictures(count=12):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 1, 28, 28, generator=generator).to(train.device())
    return x, torch.arange(count, device=x.device) % 3


def network(num_classes=3):
    torch.manual_seed(0)
    return transfer.network(num_classes).to(train.device())


def test_the_network_has_the_parameters_and_costs_that_the_chapter_counts():
    net = transfer.network(7)
    assert sum(p.numel() for p in net.parameters()) == 79_575
    rows = costs.table(net, (1, 28, 28))
    assert [row.macs for row in rows] == [112_896, 903_168, 903_168, 497_664, 96 * 7]
    assert net[:-1](torch.zeros(2, 1, 28, 28)).shape == (2, 96)


def test_every_parameter_gets_a_gradient_and_a_few_pictures_are_learnt():
    x, y = pictures()
    net = transfer.learn(network(), x, y, frozen=0, steps=40, seed=0)
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    assert transfer.accuracy(net, x, y) == 1


def test_classes_are_chosen_and_counted_anew():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 1, 28, 28)
    chosen = transfer.of_classes(
        data.Images(images, torch.tensor([6, 1, 2, 6, 4, 2])), (2, 6)
    )
    assert chosen.labels.tolist() == [1, 0, 1, 0]
    assert chosen.images[:, 0, 0, 0].tolist() == [0, 2, 3, 5]


def test_known_kinds_and_cats_have_nothing_in_common():
    assert sorted(transfer.KNOWN + transfer.CATS) == list(range(10))


def test_cats_are_as_many_of_each_and_never_those_held_out():
    mine, held_out = transfer.cats(seed=1)
    for size in transfer.SIZES:
        assert mine.labels[: 3 * size].bincount().tolist() == [size] * 3
    assert len(mine.labels) == 1500
    seen = {picture.numpy().tobytes() for picture in mine.images}
    assert len(seen) > 1490  # the data set has a few pictures twice
    twice = sum(p.numpy().tobytes() in seen for p in held_out.images)
    assert twice < 5
    other, _ = transfer.cats(seed=2)
    assert not torch.equal(mine.images[:15], other.images[:15])


@pytest.mark.parametrize("kept", [0, 3, 4])
def test_an_adapted_network_copies_so_many_stages(kept):
    net = network(7)
    transfer.learn(net, *pictures(), frozen=0, steps=2, seed=0)
    new = transfer.adapted(net, 3, seed=5, kept=kept)
    assert new.head.out_features == 3
    for place in range(4):
        copied = same(numbers(net[place]), numbers(new[place]))
        assert (len(copied) == len(numbers(net[place]))) == (place < kept)


@pytest.mark.parametrize("frozen", [4, 3, 1, 0])
def test_frozen_stages_keep_all_their_numbers_and_the_others_none(frozen):
    net = network()
    before = numbers(net)
    transfer.learn(net, *pictures(), frozen=frozen, steps=2, seed=0)
    stages = ["stem", "stage1", "stage2", "stage3", "head"]
    equal = {name.partition(".")[0] for name in same(before, numbers(net))}
    assert equal == set(stages[:frozen])


def test_kept_statistics_stay_while_the_weights_learn():
    net = network()
    before = numbers(net)
    transfer.learn(net, *pictures(), frozen=0, steps=2, seed=0, keep_statistics=True)
    equal = same(before, numbers(net))
    assert equal == {name for name, _ in net.named_buffers()}


def test_stored_features_are_those_of_the_pictures_in_evaluation_mode():
    net, (x, _) = network().train(), pictures()
    before = numbers(net)
    pieces = transfer.features(net[:2], x, size=5)
    assert pieces.dtype == torch.float32 and not pieces.requires_grad
    with torch.no_grad(), train.autocast(x.device):
        whole = net[:2].eval()(x).float()
    torch.testing.assert_close(pieces, whole, rtol=1e-2, atol=1e-2)
    assert same(before, numbers(net)) == before.keys()
    torch.testing.assert_close(transfer.features(net[:0], x), x)


def test_accuracy_counts_right_answers():
    ask = nn.Identity()
    logits = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 2, 0], [0, 0, 2]])
    assert transfer.accuracy(ask, logits, torch.tensor([0, 1, 2, 2])) == 0.75


def test_random_stages_know_the_statistics_of_garments_and_nothing_else(monkeypatch):
    few, _ = data.fashion_mnist(200, 1)
    known = transfer.of_classes(few, transfer.KNOWN)
    monkeypatch.setitem(transfer.SOURCES, "garments", lambda: [known, known])
    net, own = transfer.trained_on("random", seed=3)
    assert own is None
    torch.manual_seed(3)
    fresh = transfer.network(7).to(train.device())
    changed = numbers(net).keys() - same(numbers(fresh), numbers(net))
    assert changed == {name for name, _ in net.named_buffers()}
    net, own = transfer.trained_on("garments", seed=3, epochs=1)
    assert 0 <= own <= 1 and not torch.equal(net.head.weight, fresh.head.weight)


def test_a_way_is_a_mean_over_drawings_of_different_pictures(monkeypatch):
    monkeypatch.setitem(transfer.SIZES, 2, (3, 2))
    net, (x, y) = network(7), pictures(12)
    drawn = []

    def learn(net, x, y, *how):
        drawn.append((copy.deepcopy(x), how))

    monkeypatch.setattr(transfer, "learn", learn)
    monkeypatch.setattr(transfer, "accuracy", lambda *_: len(drawn) / 4)
    way = "none frozen, statistics kept"
    assert transfer.used(net, way, 2, 7, (x, y), (x, y)) == 0.375
    (first, how), (second, _) = drawn
    assert torch.equal(first, x[:6]) and torch.equal(second, x[6:])
    assert how == (0, 3, 7, True)


def test_the_control_is_run_for_the_same_seeds_and_numbers():
    rows = [setting["source"] for setting in transfer.law.settings]
    assert rows.count("garments") == rows.count("random") == 3


def test_half_way_is_the_mean_of_two_networks_and_the_ends_are_they():
    one = transfer.learn(network(), *pictures(), frozen=0, steps=3, seed=0)
    other = transfer.learn(network(), *pictures(), frozen=0, steps=5, seed=1)
    a, b = numbers(one), numbers(other)
    half = numbers(transfer.between(one, other, 0.5))
    for name in a.keys() - {n for n in a if n.endswith("tracked")}:
        torch.testing.assert_close(half[name], (a[name] + b[name]) / 2)
    assert same(numbers(transfer.between(one, other, 0)), a) == a.keys()
    end = numbers(transfer.between(one, other, 1))
    assert {name for name in b if torch.allclose(end[name], b[name])} >= {
        name for name in b if not name.endswith("tracked")
    }
    assert same(numbers(one), a) == a.keys()  # the ends stay what they are


def test_two_networks_are_as_far_apart_as_their_convolutions():
    one, other = network(), network()
    assert transfer.apart(one, other) == 0
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.neg_()
    assert transfer.apart(one, other) == pytest.approx(2)
    with torch.no_grad():
        other.head.weight.fill_(100)
        other.stem[1].weight.fill_(100)
    assert transfer.apart(one, other) == pytest.approx(2)


def test_along_a_line_the_statistics_are_as_they_are_or_new():
    """Statistics that no picture has spoil the network; measured anew they do not."""
    few, _ = data.fashion_mnist(60, 1)
    few = transfer.of_classes(few, transfer.CATS)
    x, y = transfer.normalised(few, train.device())
    net = transfer.learn(network(), x, y, frozen=0, steps=40, seed=0)
    spoilt = copy.deepcopy(net)
    for norm in transfer.norms(spoilt):
        norm.running_mean.add_(50)
    found = transfer.along(net, spoilt, 3, few, (x, y))
    assert found["apart"] == 0
    assert found["as they are"][0] > 0.9 and found["as they are"][2] < 0.7
    assert len(set(found["anew"])) == 1 and found["anew"][0] > 0.9


def small(monkeypatch):
    """Sets of a few pictures, for whole runs."""
    few, digits = data.fashion_mnist(400, 60), data.digits(200, 60)
    monkeypatch.setattr(data, "fashion_mnist", lambda *_: few)
    monkeypatch.setattr(data, "digits", lambda: digits)
    monkeypatch.setattr(transfer, "SIZES", {5: (3, 2), 10: (3, 1)})
    kept = transfer.cats
    monkeypatch.setattr(transfer, "cats", lambda seed, most=30: kept(seed, most))
    learnt = transfer.trained_on
    monkeypatch.setattr(
        transfer, "trained_on", lambda source, seed: learnt(source, seed, epochs=1)
    )


def test_a_distant_source_has_shares_for_three_ways_and_its_filters(monkeypatch):
    small(monkeypatch)
    row = transfer.far(source="digits", seed=0, sizes=(5, 10))
    assert row["accuracy"].keys() == {5, 10}
    ways = {"4 frozen", "3 frozen", "none frozen"}
    assert all(shares.keys() == ways for shares in row["accuracy"].values())
    assert [len(filters) for filters in row["filters"]] == [9] * 16
    fresh = transfer.trained_on("digits", 0)[0].stem[0].weight.flatten(1)
    found = torch.tensor(row["filters"], device=fresh.device)
    torch.testing.assert_close(found, fresh, atol=6e-4, rtol=0)


def test_networks_of_one_start_are_nearer_than_of_two(monkeypatch):
    small(monkeypatch)
    row = transfer.line(seed=0, most=10, steps=3, points=2, tests=20)
    for start in ("learnt", "random"):
        near, distant = (
            row[f"{start}, {n} start{s}"] for n, s in (("one", ""), ("two", "s"))
        )
        assert near["apart"] < 0.7 < distant["apart"]
        assert near["as they are"][0] == distant["as they are"][0]
        assert len(near["anew"]) == 2
