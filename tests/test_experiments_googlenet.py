"""The small GoogLeNet of the experiment on auxiliary heads, and its probes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import costs, data, train
from cnnlib.experiments.googlenet import (
    Detach,
    Noise,
    build,
    equal_branches,
    exits,
    googlenet_28,
    losses,
    noise,
    silenced,
    sizes_on_noise,
    stem_gradients,
)
from cnnlib.models.googlenet import Inception

SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(0)
    return torch.randn(16, *SHAPE), torch.arange(16) % 10


def test_all_nine_modules_on_maps_of_7_and_3_pixels():
    table = costs.table(googlenet_28(), SHAPE)
    shapes = {row.name: row.output_shape for row in table}
    modules = [name for name in shapes if name.startswith("inception")]
    assert len(modules) == 9
    assert shapes["conv2"] == (24, 7, 7)
    assert shapes["inception3b"] == (60, 7, 7)
    assert shapes["inception4a"] == (64, 7, 7)
    assert shapes["inception4d"] == (66, 7, 7)
    assert shapes["inception5b"] == (128, 3, 3)
    assert (table.parameters, table.macs) == (137_288, 3_047_924)


def test_batch_norm_stands_between_each_convolution_and_its_relu():
    net = build("batch norm")
    chains = [m for m in net.modules() if isinstance(m, nn.Sequential)]
    found = [m for m in chains if isinstance(m[0], nn.Conv2d)]
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(found) == len(convolutions) == 57 + 2
    for chain in found:
        assert [type(m) for m in chain] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert chain[0].bias is None


def test_block_2_without_relus_is_linear():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 7, 7)
    for variant, linear in (("no ReLU in block 2", True), ("He", False)):
        conv2 = build(variant).conv2  # He's initialisation sets biases to zero
        assert torch.allclose(conv2(-x), -conv2(x), atol=1e-5) == linear


def test_exits_are_the_outputs_that_training_sees(batch):
    torch.manual_seed(0)
    net = build("He").eval()
    chains = exits(net)
    assert list(chains) == ["inception4a", "inception4d", "head"]
    net.training = True  # all outputs, but no dropout
    final, *early = net(batch[0])
    net.training = False
    for chain, logits in zip(chains.values(), [*early, final], strict=True):
        torch.testing.assert_close(chain(batch[0]), logits)


def test_stem_gradients_are_those_of_each_loss_alone(batch):
    torch.manual_seed(0)
    net = build("He")
    x, y = batch
    norms = stem_gradients(net, x, y)
    assert all(p.grad is None for p in net.parameters())
    chains = [*exits(net.eval()).values()]
    for norm, chain in zip(norms, chains[-1:] + chains[:-1], strict=True):
        net.zero_grad()
        F.cross_entropy(chain(x), y).backward()
        assert norm == pytest.approx(net.conv1[0].weight.grad.norm().item(), rel=1e-4)


def test_detached_heads_learn_but_do_not_touch_the_stages(batch):
    net = build("He")
    for head in net.auxiliary.values():
        head.insert(0, Detach())
    x, y = batch
    _, first, second = net(x)
    (F.cross_entropy(first, y) + F.cross_entropy(second, y)).backward()
    assert stem_gradients(net, x, y)[1:] == [0, 0]
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == name.startswith("auxiliary")


def test_weights_on_noise_are_those_of_the_branches_that_read_module_4c():
    net = build("He")
    noisy = Noise()
    assert noisy(torch.zeros(3, 64, 7, 7)).shape == (3, 8, 7, 7)
    assert net.inception4c.branch_pool(torch.zeros(3, 64, 7, 7)).shape == (3, 8, 7, 7)
    with torch.no_grad():
        for branch in net.inception4d.children():
            first = next(m for m in branch.modules() if isinstance(m, nn.Conv2d))
            first.weight[:, :56], first.weight[:, 56:] = 2, 3
    assert sizes_on_noise(net) == [3, 2]


def test_without_decay_the_noisy_network_takes_other_steps():
    with_decay, without = (
        noise(decay=decay, seed=0, images=256, epochs=2) for decay in (1.0, 0.0)
    )
    assert len(with_decay["sizes"]) == 3 and len(without["test_accuracy"]) == 2
    assert with_decay["sizes"][0] == without["sizes"][0]
    assert sum(with_decay["sizes"][-1]) < sum(without["sizes"][-1])


def test_a_silenced_branch_is_zero_and_comes_back(batch):
    torch.manual_seed(0)
    block = Inception(1, 2, 3, 4, 5, 6, 7)
    before = block(batch[0])
    with silenced(block.branch3x3):
        inside = block(batch[0])
    assert (inside[:, 2:6] == 0).all()
    assert torch.equal(inside[:, 6:], before[:, 6:])
    assert torch.equal(block(batch[0]), before)


def test_losses_are_the_accuracies_without_each_branch():
    torch.manual_seed(0)
    net = equal_branches().eval()
    images = torch.randint(256, (50, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        x, _ = next(iter(data.Batches(data.Images(images, torch.zeros(50).long()))))
        own = data.Images(images, net(x).argmax(1))
    batches = data.Batches(own)
    found = losses(net, batches)
    assert len(found) == 9 and {len(row) for row in found} == {4}
    with silenced(net.inception5b.branch_pool):
        assert found[-1][-1] == pytest.approx(1 - train.evaluate(net, batches))


def test_equal_branches_have_a_quarter_of_each_module():
    net, x = equal_branches(), torch.zeros(1, 1, 28, 28)
    sides = {}
    for name, stage in net.named_children():
        if isinstance(stage, Inception):
            assert len({branch(x).shape for branch in stage.children()}) == 1
        x = stage(x)
        sides[name] = tuple(x.shape[1:])
    assert sides["inception3a"] == (32, 14, 14)
    assert sides["inception4e"] == (104, 7, 7)
    assert sides["inception5b"] == (128, 3, 3)
