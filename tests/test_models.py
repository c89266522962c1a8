"""What every network of the registry promises, whatever its architecture.

Where shapes are enough, networks are built on the meta device, which has no values and
takes no time. Where values matter, networks of at most 30 million parameters compute
them on one small batch; the larger ones have tests of their own beside their
architecture. So have the deeper ones of a family, which are other rows of a table.
"""

import re
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlib import costs, data, init, models

DEEPER = (
    *("vgg13", "vgg16", "vgg19", "plain34", "resnet34", "resnet101", "resnet152"),
    *("densenet161", "densenet169", "densenet201"),
    *(f"{name}_cifar{n}" for name in ("plain", "resnet", "preact") for n in (32, 44)),
    *(f"{name}_cifar{n}" for name in ("plain", "resnet", "preact") for n in (56, 110)),
)
NAMES = [name for name in models.names() if name not in DEEPER]
# The smallest image, in pixels, of the networks that also take larger ones.
SMALLEST = {"nin": 39, "nin_notes": 67, "googlenet_notes": 31}
AFTER = ("wide", "resnext", "mobilenet", "se_", "efficientnet", "regnet", "convnext")
SMALLEST["googlenet_torchvision"] = 15
for name in NAMES:
    if "cifar" in name:
        SMALLEST[name] = 4
    elif name.startswith(("plain", "resnet", *AFTER)) and "small" not in name:
        SMALLEST[name] = 32
    elif name.startswith("densenet") and "small" not in name:
        SMALLEST[name] = 29
# Variants that call themselves by the name of what they vary.
ALSO = {"alexnet_one_tower": "alexnet", "vgg11_notes": "vgg11"}
# Initialisation, learning rate and pixels with which 16 images are learnt by heart.
OVERFIT = {
    "alexnet_small": (init.he, 1e-3, 28),
    "nin_small": (init.he, 1e-3, 28),
    "vgg_small": (init.he, 1e-3, 28),
    "googlenet_small": (init.he, 1e-3, 28),
    "resnet18": (init.he, 1e-3, 32),
    "resnet_small": (init.he, 1e-2, 28),
    "resnet_cifar20": (init.he, 1e-2, 16),
    "plain_cifar20": (init.he, 1e-2, 16),
    "preact_cifar20": (init.he, 1e-2, 16),
    "densenet_small": (init.he, 1e-2, 28),
    "densenet_cifar": (init.he, 1e-2, 8),
    "resnext50": (init.he, 1e-3, 32),
    "mobilenet": (init.he, 1e-2, 32),
    "mobilenet_v2": (init.he, 1e-2, 32),
    "efficientnet_b0": (init.he, 1e-2, 32),
    "regnet_y_400mf": (init.he, 1e-2, 32),
    "convnext_tiny": (init.he, 1e-3, 32),
}


@cache
def on_meta(name):
    with torch.device("meta"):
        return models.build(name)


@cache
def table(name):
    return costs.table(on_meta(name), models.NETWORKS[name].input_shape)


def parameters(name):
    with torch.device("meta"):
        return sum(p.numel() for p in models.build(name).parameters())


LIGHT = [name for name in NAMES if parameters(name) <= 30e6]


def smallest_shape(name):
    channels, height, width = models.NETWORKS[name].input_shape
    return channels, SMALLEST.get(name, height), SMALLEST.get(name, width)


@cache
def in_eval(name):
    """A network in eval, the smallest image it takes, and its logits."""
    torch.manual_seed(0)
    net, x = models.build(name).eval(), torch.randn(1, *smallest_shape(name))
    with torch.no_grad():
        return net, x, net(x)


def stages(net):
    """The chain of named stages; auxiliary classifiers hang beside it."""
    return [
        (name, stage) for name, stage in net.named_children() if name != "auxiliary"
    ]


def test_names_stand_in_the_order_of_the_years_and_have_a_source():
    networks = [models.NETWORKS[name] for name in models.names()]
    years = [network.year for network in networks]
    assert years == sorted(years) and years[0] == 1998
    assert all(network.source.startswith("https://") for network in networks)


def test_an_unknown_name_is_answered_with_those_there_are():
    names = re.escape(str(models.names()))
    with pytest.raises(ValueError, match=rf"called 'lenett': choose from {names}\.$"):
        models.build("lenett")


def test_networks_of_the_notes_take_grey_pictures_of_ten_classes_only():
    grey = {"in_channels": 1, "num_classes": 10}
    for name in ("lenet", "lenet_notes"):
        models.build(name, **grey)
        for wrong in ({"in_channels": 3}, {"num_classes": 9}):
            with pytest.raises(
                ValueError, match=f"^{name} is for grey pictures of ten"
            ):
                models.build(name, **(grey | wrong))
    net = models.build("resnet_small", in_channels=3, num_classes=7)
    assert net.head[-1].out_features == 7 and net(torch.ones(2, 3, 28, 28)).ndim == 2


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
def test_images_that_do_not_fit_are_refused_in_one_sentence(name):
    net, (channels, height, width) = on_meta(name).eval(), smallest_shape(name)
    assert len(net(torch.empty(2, channels, height, width, device="meta"))) == 2
    for wrong in [
        (2, channels, height - 1, width),
        (2, channels, height, width - 1),
        (2, channels + 1, height, width),
        (channels, height, width),
    ]:
        with pytest.raises(ValueError, match=r"^\w+ needs .*; got .*\.$") as error:
            net(torch.empty(wrong, device="meta"))
        said = str(error.value)
        assert said.startswith(f"{ALSO.get(name, name)} needs ") and str(wrong) in said


def test_what_an_image_must_be_is_said_and_larger_ones_taken_where_they_may_be():
    with torch.device("meta"):
        exact, least = models.build("vgg_small"), models.build("resnet18_notes").eval()
        with pytest.raises(ValueError) as error:
            exact(torch.empty(2, 1, 29, 29))
        assert str(error.value) == (
            "vgg_small needs images of shape (N, 1, 28, 28); got (2, 1, 29, 29)."
        )
        for larger in ((33, 40), (32, 40), (40, 32)):
            assert least(torch.empty(2, 1, *larger)).shape == (2, 10)
        with pytest.raises(ValueError) as error:
            least(torch.empty(2, 1, 64, 31))
    assert str(error.value) == (
        "resnet18_notes needs images of shape (N, 1, 32, 32) or larger; got "
        "(2, 1, 64, 31)."
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_finite_gradient(name):
    torch.manual_seed(0)
    net = models.build(name) if name in LIGHT else on_meta(name)
    device = next(net.parameters()).device
    outputs = net.train()(torch.randn(2, *smallest_shape(name), device=device))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(logits.logsumexp(1).sum() for logits in outputs).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert device.type == "meta" or parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", LIGHT)
def test_its_named_stages_one_by_one_give_the_same_logits_again(name):
    net, x, logits = in_eval(name)
    assert logits.isfinite().all() and logits.ndim == 2
    with torch.no_grad():
        for _, stage in stages(net):
            x = stage(x)
    assert torch.equal(x, logits)


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
    scheme, rate, size = OVERFIT[name]
    net = models.build(name).apply(scheme)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # what is dropped cannot be learnt by heart
    images = data.Images(*(part[:16] for part in data.fashion_mnist()[0]))
    x, y = next(iter(data.Batches(images, size=size)))
    x = x.expand(-1, models.NETWORKS[name].input_shape[0], -1, -1)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(100):
        logits = net(x)
        if (logits.argmax(1) == y).all():
            return
        optimizer.zero_grad()
        F.cross_entropy(logits, y).backward()
        optimizer.step()
    pytest.fail(f"{name} knows {(logits.argmax(1) == y).sum()} of 16 images")
