"""What every network of the registry promises, whatever its architecture.

Where shapes are enough, networks are built on the meta device, which has no values and
takes no time. Where values matter, networks of at most 30 million parameters compute
them on one small batch; the larger ones share the code of a smaller one, or have a test
of their own beside their architecture.
"""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnnlib import costs, data, init, models

NAMES = models.names()
# The smallest image, in pixels, of the networks that also take larger ones.
SMALLEST = {name: 32 for name in NAMES if name.startswith(("resnet", "plain"))}
SMALLEST |= {"resnet_small": 28}

# Initialisation and learning rate with which a network learns 32 images by heart.
OVERFIT = {
    "vgg_small": (init.he, 1e-3),
    "resnet_small": (init.he, 1e-2),
}


@cache
def on_meta(name):
    with torch.device("meta"):
        return models.build(name)


@cache
def table(name):
    return costs.table(on_meta(name), models.NETWORKS[name].input_shape)


LIGHT = [
    name for name in NAMES if sum(p.numel() for p in on_meta(name).parameters()) <= 30e6
]


def smallest_shape(name):
    channels, height, width = models.NETWORKS[name].input_shape
    return channels, SMALLEST.get(name, height), SMALLEST.get(name, width)


@cache
def in_eval(name):
    """A network in eval, two of the smallest images it takes, and its logits."""
    torch.manual_seed(0)
    net, x = models.build(name).eval(), torch.randn(2, *smallest_shape(name))
    with torch.no_grad():
        return net, x, net(x)


def stages(net):
    """The chain of named stages; auxiliary classifiers hang beside it."""
    return [
        (name, stage) for name, stage in net.named_children() if name != "auxiliary"
    ]


def test_names_stand_in_the_order_of_the_years():
    years = [models.NETWORKS[name].year for name in NAMES]
    assert years == sorted(years) and years[0] == 1998


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_half_of_what_torchs_counter_counts(name):
    net, shape = on_meta(name).eval(), models.NETWORKS[name].input_shape
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, *shape, device="meta"))
    assert counter.get_total_flops() == 2 * table(name).macs


@pytest.mark.parametrize("name", NAMES)
def test_a_receptive_field_is_known_for_every_stage(name):
    fields = {row.name: row.receptive_field for row in table(name)}
    assert all(fields[stage] for stage, _ in stages(on_meta(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_takes_part_in_training(name):
    net = on_meta(name).train()
    outputs = net(torch.empty(2, *smallest_shape(name), device="meta"))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(logits.sum() for logits in outputs).backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_images_that_do_not_fit_are_refused_in_one_sentence(name):
    net, (channels, height, width) = on_meta(name).eval(), smallest_shape(name)
    assert len(net(torch.empty(2, channels, height, width, device="meta"))) == 2
    for wrong in [
        (2, channels, height - 1, width),
        (2, channels, height, width - 1),
        (2, channels + 1, height, width),
        (channels, height, width),
    ]:
        called = name.removesuffix("_notes")
        with pytest.raises(ValueError, match=rf"^{called}\w* needs .*; got .*\.$"):
            net(torch.empty(wrong, device="meta"))


@pytest.mark.parametrize("name", LIGHT)
def test_gradients_are_finite(name):
    torch.manual_seed(0)
    net = models.build(name)
    outputs = net(torch.randn(2, *smallest_shape(name)))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(logits.logsumexp(1).sum() for logits in outputs).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", LIGHT)
def test_a_network_is_the_chain_of_its_named_stages(name):
    net, x, logits = in_eval(name)
    with torch.no_grad():
        for _, stage in stages(net):
            x = stage(x)
    assert torch.equal(x, logits)


@pytest.mark.parametrize("name", LIGHT)
def test_logits_in_eval_are_finite_and_always_the_same(name):
    net, x, logits = in_eval(name)
    with torch.no_grad():
        assert torch.equal(net(x), logits)
    assert logits.isfinite().all() and logits.ndim == 2


@pytest.mark.parametrize("name", LIGHT)
def test_a_loaded_state_dict_brings_the_logits_back(name, tmp_path):
    net, x, logits = in_eval(name)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = models.build(name).eval()
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(other(x), logits)


@pytest.mark.parametrize("name", OVERFIT)
def test_learns_a_small_batch_by_heart(name):
    torch.manual_seed(0)
    scheme, rate = OVERFIT[name]
    net = models.build(name).apply(scheme)
    images = data.Images(*(part[:32] for part in data.fashion_mnist()[0]))
    x, y = next(iter(data.Batches(images, size=smallest_shape(name)[1])))
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(100):
        logits = net(x)
        if (logits.argmax(1) == y).all():
            return
        optimizer.zero_grad()
        F.cross_entropy(logits, y).backward()
        optimizer.step()
    pytest.fail(f"{name} knows {(logits.argmax(1) == y).sum()} of 32 images")
