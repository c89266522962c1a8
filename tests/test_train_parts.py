"""The parts of python -m cnnlib.train, and what they do in one process of several."""

import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cnnlib import data, models, train
from cnnlib.train import __main__ as command
from cnnlib.train import checkpoints, options

LENET = ["lenet", "--images", "40", "--tests", "20"]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No process group, and nothing of torchrun's."""
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(train, "precision", lambda device: torch.float32)


@pytest.fixture
def parse(monkeypatch):
    def call(*line):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, line)])
        return options.parse("")

    return call


@pytest.fixture
def called(monkeypatch):
    """What main does besides, written down; `run` raises what stands in `problem`."""
    calls = SimpleNamespace(log=[], problem=None, initialised=False)

    def run(options, rank, world_size):
        calls.log.append(("run", options.network, rank, world_size))
        if calls.problem:
            raise calls.problem
        return "the network"

    monkeypatch.setattr(sys, "argv", ["train", "lenet"])
    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(command, "_join", lambda: calls.log.append("join"))
    monkeypatch.setattr(train, "reuse_memory", lambda: calls.log.append("reuse"))
    group = command.distributed
    monkeypatch.setattr(group, "is_initialized", lambda: calls.initialised)
    monkeypatch.setattr(
        group, "destroy_process_group", lambda: calls.log.append("leave")
    )
    return calls


def test_one_process_joins_nobody(called):
    assert command.main() == "the network"
    assert called.log == ["reuse", ("run", "lenet", 0, 1)]


def test_a_process_of_torchrun_joins_the_others_and_leaves_them(called, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    called.initialised = True
    assert command.main() == "the network"
    assert called.log == ["reuse", "join", ("run", "lenet", 1, 2), "leave"]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ValueError("one thing\nand another: do this. \n"), "and another: do this."),
        (OSError("no room"), "no room"),
        (FloatingPointError("the loss became nan"), "the loss became nan"),
        (RuntimeError("DataLoader worker (pid 3) is"), "a process that decodes"),
        (RuntimeError("Connection closed by peer [1]"), "another process of this run"),
    ],
)
def test_what_a_user_can_mend_ends_in_one_line(called, problem, said):
    called.problem, called.initialised = problem, True
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert str(ended.value).startswith(f"cnnlib.train: {said}")
    assert "\n" not in str(ended.value) and called.log[-1] == "leave"


def test_a_mistake_of_ours_keeps_its_traceback(called):
    called.problem = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        command.main()


def test_the_help_is_that_of_the_command(called, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", "--help"])
    with pytest.raises(SystemExit):
        command.main()
    said = capsys.readouterr().out
    assert "\n  torchrun --nproc-per-node=2 -m cnnlib.train resnet_cifar20\n" in said


@pytest.mark.parametrize("accelerator", [True, False])
def test_a_process_takes_the_device_of_its_number(monkeypatch, accelerator):
    chosen = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
    monkeypatch.setattr(
        command.distributed, "init_process_group", lambda: chosen.append("joined")
    )
    command._join()
    assert chosen == [3] * accelerator + ["joined"]


def test_the_margin_of_moved_garments_is_a_fourteenth_of_their_size(parse):
    chosen = parse("vgg11", *LENET[1:], "--augment")
    training, *_ = command._batches(chosen, None, 0, 1)
    assert (training.size, training.crop) == (224, 16)


@pytest.mark.parametrize(
    ("augment", "flip", "crop"), [([], False, 0), (["--augment"], True, 2)]
)
def test_a_process_gets_its_share_of_fashion_mnist(parse, augment, flip, crop):
    chosen = parse("resnet_cifar20", *LENET[1:], "--batch-size", "12", *augment)
    training, held_out, model = command._batches(chosen, None, 1, 3)
    for batches, total, shuffled in ((training, 40, True), (held_out, 20, False)):
        assert (batches.batch_size, batches.rank, batches.world_size) == (4, 1, 3)
        assert (batches.share.rank, batches.share.world_size) == (1, 3)
        assert (batches.share.total, batches.share.shuffle) == (total, shuffled)
        assert batches.size == 32 and batches.device == train.device()
    assert (training.flip, training.crop) == (flip, crop)
    assert not held_out.flip and not held_out.crop
    assert model == {
        **{"network": "resnet_cifar20", "in_channels": 1, "num_classes": 10},
        **{
            "size": 32,
            "classes": [*data.CLASSES],
            "mean": [data.MEAN],
            "std": [data.STD],
        },
        "whole": True,
    }


def test_a_process_gets_its_share_of_a_folder(parse, pictures, monkeypatch):
    asked = []
    monkeypatch.setattr(
        command, "check_shared_memory", lambda *room: asked.append(room)
    )
    line = ("nin_small", "--data", pictures, "--batch-size", 12, "--workers", 1)
    training, held_out, model = command._batches(parse(*line), None, 1, 3)
    assert asked == [(1, 4, 28, 8)]  # a third of 24 pictures
    for batches, total in ((training, 24), (held_out, 8)):
        assert (batches.loader.batch_size, batches.loader.num_workers) == (4, 1)
        assert (batches.share.rank, batches.share.world_size) == (1, 3)
        assert batches.share.total == total
    assert (model["in_channels"], model["num_classes"], model["size"]) == (3, 2, 28)


@pytest.mark.parametrize("own", [True, False], ids=["a folder", "garments"])
def test_pictures_are_normalised_as_those_the_weights_have_seen(parse, pictures, own):
    where = ["--data", pictures, "--workers", "0"] if own else LENET[1:]
    given = SimpleNamespace(mean=[0.25], std=[0.75])
    *batches, model = command._batches(parse("nin_small", *where), given, 0, 1)
    for some in batches:
        asked = (some.mean, some.std)
        assert asked == (([0.25], [0.75]) if own else (0.25, 0.75))
    assert (model["mean"], model["std"]) == ([0.25], [0.75])


def found(train, test, others=()):
    """The line on these numbers of pictures."""
    training, held_out = (
        SimpleNamespace(counts=counts, others=Counter(others))
        for counts in (train, test)
    )
    return command._found(Path("animals"), training, held_out)


def test_classes_are_told_with_their_pictures_five_at_most():
    five = dict.fromkeys("abcde", 1)
    assert found({"cat": 1234, "dog": 2}, five) == (
        "animals: 1,236 to train (cat 1,234, dog 2), 5 to test (a 1, b 1, c 1, d 1, "
        "e 1)"
    )
    many = {f"{i:04}": 1 for i in range(1005)}
    said = found(many, five, {".txt": 1, ".db": 1000})
    assert "(0000 1, 0001 1, 0002 1, 0003 1, 0004 1 and 1,000 classes more)" in said
    assert "0004 1 and 1 classes more)" in found(dict([*many.items()][:6]), five)
    assert said.endswith("; left out: 2,000 with .db, 2 with .txt")  # of both parts


@pytest.fixture
def saved():
    settings = {"network": "lenet", "epochs": "3"}
    return {"settings": settings, "model": {"classes": ["cat", "dog"]}}


def test_runs_with_the_same_settings_and_classes_are_one(saved):
    state = {**saved, "rows": []}
    assert command._change(state, saved) is None
    del state["model"]
    assert command._change(state, {**saved, "model": {"classes": []}}) is None


def test_a_difference_is_told_in_words(saved):
    def against(settings=saved["settings"], classes=("cat", "dog")):
        state = {"settings": settings, "model": {"classes": classes}}
        return command._change(state, saved)

    assert against({"network": "lenet", "epochs": "5"}) == "epochs = 5, not 3"
    assert against({"network": "lenet"}) == "epochs = None, not 3"
    # four are gone, of which three are named
    assert against(classes=["w", "z", "y", "x", "cat"]) == (
        "other classes (gone: w, x, y; new: dog)"
    )
    assert against(classes=["dog"]) == "other classes (gone: none; new: cat)"


@pytest.fixture
def resume(saved, tmp_path):
    """Go on with a net of one weight; its rows, and the weight afterwards."""

    def call(rank=0, world_size=1):
        net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(net.weight)
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
        rows = command._resume(tmp_path, saved, net, optimizer, rank, world_size)
        return rows, net.weight.item(), optimizer.param_groups[0]["lr"]

    return call


@pytest.fixture
def kept(saved):
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(net.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    return {**saved, **state, "rows": [[1, 0.3, 0.9, 2.0]]}


def test_a_run_begins_anew_or_with_the_last_checkpoint(resume, kept, tmp_path):
    assert resume() == ([], 0, 1)
    checkpoints.save(tmp_path, 1, kept)
    assert resume() == (kept["rows"], 1, 0.5)


def test_other_settings_are_refused_with_the_folder(resume, kept, tmp_path):
    kept["settings"] = {"network": "lenet", "epochs": "5"}
    checkpoints.save(tmp_path, 1, kept)
    said = rf"^{re.escape(str(tmp_path))} keeps a run with epochs = 5, not 3: name an"
    with pytest.raises(ValueError, match=said):
        resume()


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_alone_reads_and_tells_the_others(
    resume, kept, tmp_path, monkeypatch, rank
):
    heard = []

    def broadcast(states):
        heard.append(states[0])
        states[0] = kept if rank else states[0]

    monkeypatch.setattr(command.distributed, "broadcast_object_list", broadcast)
    if rank == 0:
        checkpoints.save(tmp_path, 1, kept)
    else:
        monkeypatch.setattr(command, "_last", None)  # is not asked
    assert resume(rank, 2) == (kept["rows"], 1, 0.5)
    assert (heard == [None]) == (rank == 1)


def test_an_unusable_folder_ends_all_processes(resume, monkeypatch):
    def broadcast(states):
        states[0] = OSError("no room")

    monkeypatch.setattr(command.distributed, "broadcast_object_list", broadcast)
    with pytest.raises(OSError, match="no room"):
        resume(1, 2)


def test_processes_share_the_order_of_an_epoch_and_not_its_dropout():
    def drawn(seed, epoch, rank):
        training = SimpleNamespace(generator=torch.Generator())
        command._seed(seed, epoch, rank, training)
        order = torch.randint(2**40, (1,), generator=training.generator).item()
        return order, torch.randint(2**40, (1,)).item()

    assert drawn(0, 1, 0) == drawn(0, 1, 0)
    orders, dropouts = zip(*(drawn(0, 1, rank) for rank in range(3)), strict=True)
    assert len({*orders}) == 1 and len({*dropouts}) == 3
    for other in (drawn(1, 1, 0), drawn(0, 2, 0)):
        assert not {*other} & {*orders, *dropouts}


class Shown(list):
    """A bar that keeps what it is told."""

    def __init__(self, **settings):
        self.settings, self.closed = settings, False
        self.update = self.write = self.append

    def close(self):
        self.closed = True


def test_the_bar_counts_the_images_of_all_processes_and_epochs(monkeypatch):
    monkeypatch.setattr(command, "tqdm", Shown)
    pictures, _ = data.fashion_mnist(50)
    batches = data.Batches(pictures, 10, shuffle=True, rank=1, world_size=2)
    with command.Progress(batches, 3, 2, shown=True) as progress:
        assert len(progress) == 3 and progress.device == batches.device
        given = list(progress)
        progress.say(train.Row(3, 0.25, 0.5, 2.04))
    assert [len(y) for _, y in given] == [10, 10, 5]
    told = "epoch 3: loss 0.2500, test accuracy 0.5000, 2.0 s"
    assert progress.bar == [20, 20, 10, told] and progress.bar.closed
    assert progress.bar.settings == {
        **{"total": 150, "initial": 100, "unit": " images", "unit_scale": True},
        "disable": None,
    }
    hidden = command.Progress(batches, 3, 0, shown=False)
    assert hidden.bar.settings["disable"] is True


@pytest.fixture
def steps(monkeypatch):
    """What `fit` is given; it trains nothing and makes two rows."""
    given = []

    def fit(*arguments):
        given.append(arguments)
        for epoch in range(arguments[-1] + 1, arguments[3] + 1):
            given.append(torch.initial_seed())
            yield train.Row(epoch, 0.5, 0.25, 1.0)

    monkeypatch.setattr(train, "fit", fit)
    return given


def test_a_run_gives_fit_what_the_options_say(
    parse, steps, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(command, "tqdm", Shown)
    line = [*LENET, "--batch-size", "10", "--epochs", "2", "--seed", "3", "--lr", "0.5"]
    line += ["--optimizer", "momentum", "--weight-decay", "0.25", "--init", "lecun"]
    line += ["--schedule", "cosine", "--checkpoints", tmp_path / "kept"]
    chosen = parse(*line)
    net = command.run(chosen, 0, 1)
    given, first, second = steps
    assert given[0] is net and given[3] == 2 and given[7] == 0
    assert len(given[1]) == 4 and len(given[2]) == 2
    assert given[1].bar.settings["disable"] is None
    assert given[5:7] == (models.find("lenet").loss, "cosine")
    (group,) = given[4].param_groups
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.5, 0.25, 0.9)
    torch.manual_seed(3)
    expected = models.build("lenet").apply(options.INITS["lecun"]).state_dict()
    for name, value in net.state_dict().items():
        assert torch.equal(value.cpu(), expected[name]), name
    for epoch, seed in ((0, first), (1, second)):
        command._seed(3, epoch, 0, given[1])
        assert torch.initial_seed() == seed
    state = checkpoints.latest(tmp_path / "kept")
    assert state["rows"] == [[1, 0.5, 0.25, 1.0], [2, 0.5, 0.25, 1.0]]
    assert {*state} == {"net", "optimizer", "settings", "model", "rows"}
    kept = {name: str(value) for name, value in vars(chosen).items()}
    del kept["checkpoints"], kept["workers"]
    assert state["settings"] == kept
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        f"lenet: 61,706 parameters, 1 x {train.hardware()}, checkpoints in "
        f"{tmp_path / 'kept'}"
    )


def test_a_later_process_trains_with_the_others_and_says_nothing(
    parse, steps, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(command, "DistributedDataParallel", lambda net: ("shared", net))
    monkeypatch.setattr(command.distributed, "broadcast_object_list", lambda _: None)
    line = ["lenet", "--images", "40", "--tests", "20", "--batch-size", "10"]
    chosen = parse(*line, "--epochs", "2", "--checkpoints", tmp_path / "kept")
    net = command.run(chosen, 1, 2)
    given, first, second = steps
    assert given[0] == ("shared", net) and given[1].rank == 1
    assert given[1].bar.disable and capsys.readouterr().out == ""
    for epoch, seed in ((0, first), (1, second)):
        command._seed(0, epoch, 1, given[1])
        assert torch.initial_seed() == seed
    assert not (tmp_path / "kept").exists()
    with pytest.raises(ValueError, match="11 cannot be shared by 2 processes"):
        command.run(parse(*line[:-1], "11"), 1, 2)


def test_a_run_goes_on_after_the_rows_that_it_has(parse, steps, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "tqdm", Shown)
    line = [*LENET, "--batch-size", "10", "--checkpoints", tmp_path, "--epochs"]
    command.run(parse(*line, "3"), 0, 1)
    state = checkpoints.latest(tmp_path)
    checkpoints.save(tmp_path, 3, {**state, "rows": state["rows"][:2]})
    steps.clear()
    command.run(parse(*line, "3"), 0, 1)
    given, third = steps
    assert given[7] == 2 and given[1].bar.settings["initial"] == 80
    command._seed(0, 2, 0, given[1])
    assert torch.initial_seed() == third
    assert checkpoints.latest(tmp_path)["rows"] == state["rows"]
