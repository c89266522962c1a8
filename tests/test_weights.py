"""Weights of torchvision's networks and of our own runs, by name."""

import re
import sys

import pytest
import torch
import torchvision
from torch import nn

from cnnlib import costs, data, folder, models, train, weights
from cnnlib.train import checkpoints
from cnnlib.train.__main__ import main

THEIRS = {  # ours: torchvision's
    **{name: name for name in ("resnet18", "resnet50", "vgg11", "densenet121")},
    "googlenet_torchvision": "googlenet",
}
ARGUMENTS = {
    "vgg11": {"init_weights": False},
    "googlenet_torchvision": {"init_weights": False, "aux_logits": True},
}
FEW = list("abcdefghij")


def as_trained(net):
    """Statistics and scales that are not 0 and 1, and signals that reach the end."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)
    return net.eval()


def torchvisions(name, **more):
    torch.manual_seed(0)
    arguments = {"num_classes": 10} | ARGUMENTS.get(name, {}) | more
    return as_trained(torchvision.models.get_model(THEIRS[name], **arguments))


def loaded(name, path, classes):
    net = models.build(name, num_classes=len(classes)).eval()
    given = weights.read(path, name)
    return net, given, weights.load(net, given, classes, path)


@pytest.mark.parametrize("name", THEIRS)
def test_a_file_of_torchvisions_gives_its_outputs(name, tmp_path):
    theirs, path = torchvisions(name), tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), path)
    ours, given, line = loaded(name, path, FEW)
    x = torch.randn(
        2, 3, 224 if name == "vgg11" else 64, 224 if name == "vgg11" else 65
    )
    with torch.no_grad():
        y = theirs(x)
        torch.testing.assert_close(ours(x), y, rtol=1e-4, atol=1e-5)
    assert (y[0] - y[1]).norm() > 1e-2 * y.norm()  # two pictures, two answers
    assert re.fullmatch(
        rf"{path}: {len(given.state)} tensors, with the last layer", line
    )
    assert given.state.keys() <= ours.state_dict().keys()


KNOWN = [name for name in models.names() if weights.family(name) in weights.RULES]


@pytest.mark.parametrize("name", KNOWN)
def test_every_name_of_torchvisions_is_one_of_ours(name):
    theirs = name.removesuffix("_torchvision")
    arguments = {"init_weights": False} if theirs[0] in "vg" else {}
    with torch.device("meta"):
        state = torchvision.models.get_model(theirs, **arguments).state_dict()
        ours = models.build(name).state_dict()
    new = weights.translated(state, name)
    assert {key: t.shape for key, t in new.items()} == {
        key: t.shape for key, t in ours.items()
    }
    assert weights.translated(ours, name) == ours


def test_stages_of_torchvisions_googlenet_are_those_of_the_papers():
    with torch.device("meta"):
        theirs, paper = models.build("googlenet_torchvision"), models.build("googlenet")
    stages = [part for part, _ in theirs.named_children()]
    others = ("auxiliary", "norm1", "norm2")
    wanted = [part for part, _ in paper.named_children() if part not in others]
    assert stages == wanted


def test_googlenets_weights_want_halves_as_mean_and_deviation(tmp_path):
    """torchvision's network makes them of ImageNet's itself, in its first line."""
    theirs = torchvisions("googlenet_torchvision", transform_input=True)
    torch.save(theirs.state_dict(), tmp_path / "googlenet.pth")
    ours, given, _ = loaded("googlenet_torchvision", tmp_path / "googlenet.pth", FEW)
    picture = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        y = ours(folder.normalised(picture, given.mean, given.std))
        torch.testing.assert_close(y, theirs(folder.normalised(picture)))
    assert tuple(given.mean) == weights.HALVES


def test_resnets_weights_want_imagenets_mean_and_deviation(tmp_path):
    torch.save(torchvisions("resnet18").state_dict(), tmp_path / "resnet18.pth")
    given = weights.read(tmp_path / "resnet18.pth", "resnet18")
    (theirs,) = torchvision.models.get_model_weights("resnet18")
    assert (given.mean, given.std) == (
        theirs.transforms().mean,
        theirs.transforms().std,
    )


def test_densenets_old_names_are_the_new_ones(tmp_path):
    """In torchvision's files it is norm.1 and conv.2, in its network norm1, conv2."""
    state = torchvisions("densenet121").state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key): value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    new, late = (weights.translated(each, "densenet121") for each in (state, old))
    assert list(new) == list(late)


def test_files_of_2017_do_not_count_batches(tmp_path):
    state = torchvisions("resnet18").state_dict()
    old = {key: state[key] for key in state if not key.endswith("batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    net, _, _ = loaded("resnet18", tmp_path / "old.pth", FEW)
    assert torch.equal(net.stem[0][1].running_var, state["bn1.running_var"])


def test_other_classes_get_a_last_layer_of_their_own(tmp_path):
    state, path = torchvisions("resnet18").state_dict(), tmp_path / "resnet18.pth"
    torch.save(state, path)
    torch.manual_seed(1)
    fresh = models.build("resnet18", num_classes=3).head[2].weight
    torch.manual_seed(1)
    net, _, line = loaded("resnet18", path, ["cat", "dog", "owl"])
    assert torch.equal(net.head[2].weight, fresh)
    assert torch.equal(net.stage4[1].path[2][0].weight, state["layer4.1.conv2.weight"])
    assert line == (
        f"{path}: 120 tensors; the last layer, there for 10 classes, begins anew for 3"
    )


@pytest.fixture
def run(tmp_path):
    """A checkpoint of googlenet, with heads on the way, for two classes."""
    torch.manual_seed(0)
    net = models.build("googlenet", num_classes=2)
    model = {"network": "googlenet", "classes": ["cat", "dog"], "in_channels": 3}
    model |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "num_classes": 2}
    checkpoints.save(tmp_path / "run", 3, {"net": net.state_dict(), "model": model})
    return tmp_path / "run", net


@pytest.mark.parametrize("classes", [["cat", "dog"], ["dog", "cat"]])
def test_a_run_of_ours_keeps_its_last_layers_for_the_same_classes_only(run, classes):
    path, before = run
    net, given, line = loaded("googlenet", path, classes)
    assert (given.mean, given.std) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    same = classes == ["cat", "dog"]
    for layer in ("head.3", "auxiliary.inception4a.6", "auxiliary.inception4d.6"):
        found = net.get_submodule(layer).weight, before.get_submodule(layer).weight
        assert torch.equal(*found) == same
    for layer in ("conv1.0", "auxiliary.inception4a.3"):
        found = net.get_submodule(layer).weight, before.get_submodule(layer).weight
        assert torch.equal(*found)
    new = "there for other classes, begins anew for 2"
    assert line.endswith("with the last layer" if same else new)


def test_wrong_files_get_one_sentence(run, tmp_path):
    path, _ = run
    files = {name: tmp_path / f"{name}.pth" for name in ("resnet50", "number", "net")}
    torch.save(torchvisions("resnet50").state_dict(), files["resnet50"])
    torch.save(3, files["number"])
    torch.save({"epoch": 3}, files["net"])
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    (tmp_path / "empty.pth").touch()
    torch.save(nn.Linear(1, 1), tmp_path / "whole.pth")  # a network, not its weights
    (tmp_path / "nothing").mkdir()
    wrong = {
        files["resnet50"]: r"another network: its stage1\.0\.path\.0\.0\.weight has .*"
        r"\(64, 64, 1, 1\), not \(64, 64, 3, 3\)\.",
        files["number"]: "number.pth holds no weights: it needs tensors by name",
        files["net"]: "net.pth holds no weights: it needs",
        path: "is a checkpoint of googlenet, not of resnet18",
        tmp_path / "page.pth": r"page\.pth is no file of weights \(.+\): it needs",
        tmp_path / "empty.pth": r"empty\.pth is no file of weights \(.+\): it needs",
        tmp_path / "whole.pth": r"whole\.pth is no file of weights \(.+\): it needs",
        tmp_path / "nothing": "nothing has no whole checkpoint",
        tmp_path / "missing.pth": r"missing\.pth cannot be read \(No such file",
    }
    for source, message in wrong.items():
        with pytest.raises((ValueError, OSError), match=message) as refused:
            loaded("resnet18", source, FEW)
        assert "\n" not in str(refused.value)


def test_what_is_left_over_or_missing_is_named_and_nothing_is_loaded(tmp_path):
    state = torchvisions("resnet18").state_dict()
    state["layer5.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "more.pth")
    torch.save({"fc.bias": torch.zeros(10)}, tmp_path / "less.pth")
    with pytest.raises(ValueError, match=r"has a layer5\.weight, too\."):
        loaded("resnet18", tmp_path / "more.pth", FEW)
    net = models.build("resnet18", num_classes=10)
    before = net.head[2].bias.clone()
    given = weights.read(tmp_path / "less.pth", "resnet18")
    with pytest.raises(ValueError, match=r"it has no stem\.0\.0\.weight"):
        weights.load(net, given, FEW, "less.pth")
    assert torch.equal(net.head[2].bias, before)


def test_all_depths_of_four_families_have_weights():
    assert len(KNOWN) == 5 + 4 + 4 + 1


def test_torchvision_has_weights_for_some_networks_only():
    with pytest.raises(ValueError, match=r"no weights for googlenet, only for .*vgg11"):
        weights.read("torchvision", "googlenet")


def test_without_a_network_the_file_and_its_address_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    message = r"https://\S+resnet18-\w+\.pth could not be fetched \(.+\): fetch it"
    with pytest.raises(OSError, match=message) as refused:
        weights.read("torchvision", "resnet18")
    assert "\n" not in str(refused.value)


def test_frozen_stages_stay_as_they_are_and_the_others_learn():
    torch.manual_seed(0)
    net = models.build("resnet_small", in_channels=1, num_classes=3)
    weights.freeze(net, 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        net.train()
        net(torch.randn(8, 1, 28, 28)).square().mean().backward()
        opt.step()
    moved = {
        key.partition(".")[0]
        for key, value in net.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == {"stage3", "head"}
    assert list(weights.stages(net)) == ["stem", "stage1", "stage2", "stage3", "head"]


def test_frozen_stages_have_no_dropout():
    net = models.build("alexnet_small", num_classes=3)
    weights.freeze(net, len(weights.stages(net)) - 1)
    x = torch.randn(2, 1, 28, 28)
    net.train()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("count", [-1, 5, 9])
def test_something_is_left_to_train(count):
    message = rf"of the 5 stages \(stem, .* head\) 0 to 4 can be frozen, not {count}\."
    with pytest.raises(ValueError, match=message):
        weights.freeze(models.build("resnet_small"), count)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run cnnlib.train here, in float32; what it says."""
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)

    def run(*options):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["train", *map(str, options)])
        main()
        return capsys.readouterr().out

    return run


def test_the_command_trains_the_last_stage_on_pictures_in_the_weights_colours(
    command, pictures, tmp_path
):
    """From a run on grey garments to a folder of coloured pictures, in grey."""
    common = ["--batch-size", "8", "--epochs", "1", "--workers", "0"]
    first = [*common, "--images", "64", "--tests", "9", "--checkpoints", tmp_path / "a"]
    command("resnet_small", *first)
    more = ["--data", pictures, "--weights", tmp_path / "a", "--freeze", "4"]
    out = command("resnet_small", *common, *more, "--checkpoints", tmp_path / "b")
    assert f"{tmp_path / 'a'}: " in out and "for 10 classes, begins anew for 2\n" in out
    assert "resnet_small: 307,042 parameters (306,784 frozen), 1 x" in out
    source, new = (checkpoints.latest(tmp_path / name) for name in "ab")
    assert (new["model"]["mean"], new["model"]["std"]) == ([data.MEAN], [data.STD])
    for name, value in source["net"].items():
        same = new["net"][name].shape == value.shape
        assert (same and torch.equal(new["net"][name], value)) == ("head" not in name)


def test_the_command_refuses_in_one_line(command, tmp_path):
    torch.save(torchvisions("resnet18").state_dict(), tmp_path / "resnet18.pth")
    given = ["--weights", tmp_path / "resnet18.pth"]
    for options, message in [
        ([*given], "are for pictures in colour, and Fashion-MNIST has none"),
        (
            ["--freeze", "2"],
            "--freeze 2 keeps trained layers: name some with --weights",
        ),
        (["--weights", tmp_path / "none"], "none cannot be read"),
    ]:
        with pytest.raises(SystemExit, match=message) as refused:
            command("resnet18", "--images", "9", "--tests", "9", *options)
        assert "\n" not in str(refused.value)


def test_googlenets_parameters_and_macs_are_torchvisions():
    (theirs,) = torchvision.models.get_model_weights("googlenet")
    with torch.device("meta"):
        net = models.build("googlenet_torchvision")
    table = costs.table(net, (3, 224, 224))
    assert sum(p.numel() for p in net.parameters()) == theirs.meta["num_params"]
    assert table.macs / 1e9 == pytest.approx(theirs.meta["_ops"], abs=5e-4)


def test_torchvision_is_asked_for_its_first_weights(monkeypatch):
    asked, state = [], torchvisions("resnet18").state_dict()

    def fetch(weights, progress, check_hash):
        asked.append((str(weights), check_hash))
        return state

    kind = type(torchvision.models.ResNet18_Weights.DEFAULT)
    monkeypatch.setattr(kind, "get_state_dict", fetch)
    net, given, _ = loaded("resnet18", "torchvision", FEW)
    assert asked == [("ResNet18_Weights.IMAGENET1K_V1", True)]
    assert given.classes is None
    assert torch.equal(net.head[2].bias, state["fc.bias"])
