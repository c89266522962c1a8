"""The losses, schedules, activations and joins of the experiments on five tips."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, MultiStepLR

from cnnlib import costs, data, train
from cnnlib.experiments import training


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def logits_and_labels(count=7):
    torch.manual_seed(1)
    logits = torch.randn(count, 10, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(10, (count,))


# The network


def test_maxout_takes_the_larger_of_the_two_halves():
    x = torch.tensor([[1.0, -2, 0, 5]])
    assert training.Maxout()(x).tolist() == [[1, 5]]
    maps = torch.randn(2, 6, 4, 4)
    expected = maps.unflatten(1, (2, 3)).amax(1)
    torch.testing.assert_close(training.Maxout()(maps), expected)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("activation", training.ACTIVATIONS)
@pytest.mark.parametrize("dense", training.ACTIVATIONS)
def test_networks_with_any_activation_have_about_the_same_size(activation, norm, dense):
    net = training.network(activation, norm, dense)
    plain = training.network()
    assert parameters(net) == pytest.approx(parameters(plain), rel=0.06)
    macs, usual = (costs.table(n, (1, 28, 28)).macs for n in (net, plain))
    assert macs == pytest.approx(usual, rel=0.02)
    net(torch.randn(4, 1, 28, 28)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert any(isinstance(m, nn.BatchNorm2d) for m in net.modules()) == norm


def test_parameters_of_the_network_by_hand():
    convs = 9 * (16 + 16 * 32 + 32 * 64 + 64 * 96) + 2 * (16 + 32 + 64 + 96)
    assert parameters(training.network()) == convs + 97 * 128 + 129 * 10


# Learning rates


def test_schedules_agree_with_those_of_torch():
    net = nn.Linear(1, 1)
    steps, low, high = 40, 0.01, 0.5
    theirs = {
        "step": lambda opt: MultiStepLR(opt, [20, 30]),
        "triangular": lambda opt: CyclicLR(opt, low, high, 10, cycle_momentum=False),
    }
    for name, make in theirs.items():
        optimizer = torch.optim.SGD(net.parameters(), lr=high)
        scheduler = make(optimizer)
        for step in range(steps):
            rate = training.SCHEDULES[name](step, steps, low, high)
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"]), (name, step)
            optimizer.step()
            scheduler.step()


def test_one_cycle_begins_low_has_its_peak_and_ends_at_zero():
    rates = [training.one_cycle(step, 100, 0.01, 0.5) for step in range(101)]
    assert rates[0] == pytest.approx(0.01) and rates[100] == pytest.approx(0)
    assert max(rates) == rates[30] == 0.5
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_constant_is_constant():
    assert {training.constant(step, 9, 0.1, 0.4) for step in range(9)} == {0.4}


def test_a_descent_takes_one_step_for_each_rate():
    pictures, _ = data.fashion_mnist(64, 1)
    batches = data.Batches(pictures, 32, shuffle=True, device=train.device())
    torch.manual_seed(0)
    net = training.network()
    before = net.head.weight.clone()
    losses = list(training.descend(net, batches, [0.0, 0.0]))
    torch.testing.assert_close(net.head.weight.cpu(), before)
    losses += training.descend(net, batches, [0.02] * 30)
    assert len(losses) == 32 and losses[-1] < losses[0] / 2


# Wrong labels


@pytest.mark.parametrize("rate", [0, 0.25, 0.6])
def test_so_many_labels_are_wrong_and_all_other_classes_occur(rate):
    labels = torch.arange(10).repeat(400)
    noisy = training.mislabelled(labels, rate, seed=3)
    wrong = noisy != labels
    assert wrong.sum() == round(4000 * rate)
    assert noisy.min() >= 0 and noisy.max() <= 9
    if rate:
        shifts = ((noisy - labels) % 10)[wrong].bincount(minlength=10)
        assert shifts[0] == 0 and shifts[1:].min() > 0.7 * 4000 * rate / 9
    assert torch.equal(noisy, training.mislabelled(labels, rate, seed=3))
    assert torch.equal(labels, torch.arange(10).repeat(400))


def test_with_beta_one_bootstrapping_is_cross_entropy():
    logits, y = logits_and_labels()
    for hard in True, False:
        loss = training.bootstrapped(1, hard)(logits, y)
        torch.testing.assert_close(loss.double(), F.cross_entropy(logits, y))


def test_the_soft_loss_is_cross_entropy_and_entropy():
    logits, y = logits_and_labels()
    entropy = torch.distributions.Categorical(logits=logits.float()).entropy().mean()
    expected = 0.6 * F.cross_entropy(logits.float(), y) + 0.4 * entropy
    loss = training.bootstrapped(0.6)(logits, y)
    torch.testing.assert_close(loss, expected)
    ours, theirs = (torch.autograd.grad(v, logits)[0] for v in (loss, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_hard_loss_is_two_cross_entropies():
    logits, y = logits_and_labels()
    own = F.cross_entropy(logits.float(), logits.argmax(1))
    expected = 0.8 * F.cross_entropy(logits.float(), y) + 0.2 * own
    torch.testing.assert_close(
        training.bootstrapped(0.8, hard=True)(logits, y), expected
    )


def test_answers_are_in_the_order_of_the_pictures():
    pictures, _ = data.fashion_mnist(50, 1)
    batches = data.Batches(pictures, 20, device=train.device())
    net = training.network().to(batches.device)
    given = training.answers(net, batches)
    assert given.shape == (50,)
    share = (given.cpu() == pictures.labels).float().mean().item()
    assert share == pytest.approx(train.evaluate(net, batches))


def test_without_wrong_labels_none_is_learnt():
    sizes = {"images": 40, "tests": 20, "epochs": 2}
    row = training.labels(noise=0, loss="hard, .8", seed=0, **sizes)
    assert row["learnt"] == [0, 0]
    assert {len(values) for values in row.values()} == {2}


# Branches


def outputs():
    return [torch.full((2,), 10.0**place, requires_grad=True) for place in range(3)]


def drawn(join, times=300):
    """How often a join of branches with outputs 1, 10 and 100 gave which sum, and which
    of them got a gradient: {(sum, trained): times}."""
    torch.manual_seed(0)
    counts = Counter()
    for _ in range(times):
        given = outputs()
        value = training.JOINS[join](given)
        value.sum().backward()
        trained = tuple(i for i, o in enumerate(given) if o.grad is not None)
        counts[round(value[0].item(), 1), trained] += 1
    return counts


def test_one_branch_is_chosen_as_the_squares_say():
    torch.manual_seed(0)
    counts = Counter(training.chosen(3) for _ in range(7000))
    for branch in range(3):
        expected = 7000 * (branch + 1) ** 2 / 14
        assert counts[branch] == pytest.approx(expected, rel=0.15)


def test_the_authors_rule_freezes_what_is_before_and_drops_what_is_after():
    both = drawn("freeze-drop-path")
    assert set(both) == {(1, (0,)), (11, (1,)), (111, (2,))}
    assert set(drawn("its drop alone")) == {(1, (0,)), (11, (0, 1)), (111, (0, 1, 2))}
    assert set(drawn("its freeze alone")) == {(111, (0,)), (111, (1,)), (111, (2,))}
    assert set(drawn("all")) == {(111, (0, 1, 2))}


def test_drop_path_never_drops_all_and_makes_up_for_what_is_missing():
    counts = drawn("drop-path", 3000)
    sums = {(0, 1, 2): 111, (0, 1): 16.5, (0,): 3, (1, 2): 165, (2,): 300}
    for trained, value in sums.items():
        assert counts[value, trained] > 0
    assert all(trained for _, trained in counts)
    assert counts[111, (0, 1, 2)] == pytest.approx(3000 * 0.85**3, rel=0.1)


@pytest.mark.parametrize("join", training.JOINS)
def test_in_evaluation_mode_all_branches_are_added(join):
    torch.manual_seed(0)
    block = training.Branches(4, training.JOINS[join]).eval()
    x = torch.randn(2, 4, 5, 5)
    expected = F.relu(sum(branch(x) for branch in block.branches))
    torch.testing.assert_close(block(x), expected)
    convs = [sum(isinstance(m, nn.Conv2d) for m in b.modules()) for b in block.branches]
    assert convs == [1, 2, 3]


def test_a_frozen_branch_has_no_gradient_in_a_block():
    torch.manual_seed(0)
    block = training.Branches(4, training.freeze_drop_path).train()
    block(torch.randn(2, 4, 5, 5)).sum().backward()
    trained = [
        any(p.grad is not None for p in branch.parameters())
        for branch in block.branches
    ]
    assert sum(trained) == 1


def test_every_experiment_has_its_control():
    schedules = {s["schedule"] for s in training.rates.settings}
    losses = {s["loss"] for s in training.labels.settings}
    joins = {s["join"] for s in training.paths.settings}
    assert "constant" in schedules and "cross-entropy" in losses and "all" in joins
    assert {(0.005, seed) for seed in range(24)} == {
        (s["lr"], s["seed"]) for s in training.nothing.settings
    }
