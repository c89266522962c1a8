"""Long experiments: resumable, with provenance, and tied to the code that made them."""

import importlib.util
import itertools
import json
import sys

import pytest

from cnnlib import experiments
from cnnlib.experiments import __main__ as command

SOURCE = '''
def helper(x):
    """Doubles."""
    return 2 * x

def run(seed, offset=0):
    return {"value": helper(seed) + offset}
'''


def job(folder, source=SOURCE, seeds=(0, 1, 2), counter=itertools.count()):  # noqa: B008
    """The experiment `toy` defined by `source` in a module of its own."""
    path = folder / f"toy{next(counter)}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    settings = [{"seed": seed} for seed in seeds]
    return experiments.Experiment("toy", module.run, settings, (module.helper,))


@pytest.fixture
def toy(monkeypatch, tmp_path):
    made = job(tmp_path)
    monkeypatch.setitem(experiments.EXPERIMENTS, "toy", made)
    return made


def test_every_committed_result_belongs_to_the_code_there_is_now():
    stored = sorted(path.stem for path in experiments.RESULTS.glob("*.json"))
    assert stored, "no experiment has a committed result"
    for name in stored:
        result = experiments.load(name)
        settings = [row["setting"] for row in result["rows"]]
        assert settings == experiments.find(name).settings
        assert result["n"] == len(settings)


def test_every_experiment_has_a_committed_result():
    for name in experiments.names():
        experiments.load(name)


def test_a_result_says_where_it_comes_from(toy, tmp_path):
    result = json.loads(experiments.complete(toy, tmp_path).read_text())
    assert [row["value"] for row in result["rows"]] == [0, 2, 4]
    assert (result["seeds"], result["n"]) == ([0, 1, 2], 3)
    line = experiments.source(result)
    for key in ("commit", "date", "machine"):
        assert result[key] in line
    assert result["torch"].startswith(line.rpartition("torch ")[2])


def test_a_killed_run_goes_on_where_it_stopped(toy, tmp_path):
    calls = []

    def run(seed):
        calls.append(seed)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return toy.run(seed)

    mark = experiments.fingerprint(toy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "fingerprint", lambda *_, **settings: mark)
        interrupted = toy._replace(run=run)
        with pytest.raises(KeyboardInterrupt):
            experiments.complete(interrupted, tmp_path)
        assert not (tmp_path / "toy.json").exists()
        (kept,) = tmp_path.glob("toy.*.partial.jsonl")
        kept.write_text(kept.read_text() + '{"setting": {"se')  # killed while writing
        experiments.complete(interrupted, tmp_path)
    assert calls == [0, 1, 1, 2]
    assert [row["value"] for row in experiments.load("toy", tmp_path)["rows"]] == [
        0,
        2,
        4,
    ]
    assert not list(tmp_path.glob("*.partial.jsonl"))


@pytest.mark.parametrize(
    ("source", "seeds", "expected"),
    [
        (SOURCE, (3, 0, 1, 2), [3]),
        (SOURCE, (0, 2), [0, 2]),  # nothing was added: it is repeated
        (SOURCE.replace("2 * x", "x + x"), (0, 3), [0, 3]),  # the code has changed
    ],
)
def test_settings_that_were_added_are_run_alone(toy, tmp_path, source, seeds, expected):
    experiments.complete(toy, tmp_path)
    asked = []

    def progress(rows, total):
        for row in rows:
            asked.append(row["setting"]["seed"])
            yield row
        assert total == len(asked)

    path = experiments.complete(job(tmp_path, source, seeds), tmp_path, progress)
    rows = json.loads(path.read_text())["rows"]
    assert asked == expected
    assert [row["value"] for row in rows] == [2 * seed for seed in seeds]


@pytest.mark.parametrize(
    ("old", "new"),
    [("2 * x", "3 * x"), ("offset=0", "offset=False"), ("+ offset", "- offset")],
)
def test_changed_code_outdates_a_result(toy, tmp_path, monkeypatch, old, new):
    experiments.complete(toy, tmp_path)
    experiments.load("toy", tmp_path)
    changed = job(tmp_path, SOURCE.replace(old, new))
    monkeypatch.setitem(experiments.EXPERIMENTS, "toy", changed)
    with pytest.raises(ValueError, match=r"toy\.json was made with other code"):
        experiments.load("toy", tmp_path)


def test_changed_settings_outdate_a_result(toy, tmp_path, monkeypatch):
    experiments.complete(toy, tmp_path)
    changed = job(tmp_path, seeds=(0, 1, 3))
    monkeypatch.setitem(experiments.EXPERIMENTS, "toy", changed)
    with pytest.raises(ValueError, match="make experiments ONLY=toy"):
        experiments.load("toy", tmp_path)


def test_comments_and_docstrings_do_not_outdate_a_result(toy, tmp_path):
    words = SOURCE.replace("Doubles.", "Twice x.").replace(
        "return 2", "# why\n    return 2"
    )
    assert experiments.fingerprint(job(tmp_path, words)) == experiments.fingerprint(toy)


def test_a_result_without_provenance_is_refused(toy, tmp_path):
    path = experiments.complete(toy, tmp_path)
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"machine": ""}))
    with pytest.raises(ValueError, match="machine"):
        experiments.load("toy", tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="has no result"):
        experiments.load("toy", tmp_path)


def test_an_unknown_experiment_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="lenet-ablation"):
        experiments.find("lenet")


@pytest.mark.weekly
def test_two_processes_make_the_same_rows_in_the_same_order(tmp_path):
    few = {"variant": "tanh", "images": 32, "tests": 10, "epochs": 1}
    job = experiments.find("alexnet-ablation")
    job = job._replace(settings=[{"seed": seed} | few for seed in range(3)])
    rows = [
        json.loads(experiments.complete(job, tmp_path / name, jobs=jobs).read_text())
        for name, jobs in (("one", 1), ("two", 2))
    ]
    assert rows[0]["rows"] == rows[1]["rows"]
    assert len({row["train_loss"][0] for row in rows[0]["rows"]}) == 3


def test_an_extended_result_names_both_machines(toy, tmp_path, monkeypatch):
    experiments.complete(toy, tmp_path)
    old = json.loads((tmp_path / "toy.json").read_text())
    where = ("abc", old["date"], "an H0", "9.9.9+cu999")
    monkeypatch.setattr(experiments, "_here", lambda: where)
    path = experiments.complete(job(tmp_path, seeds=(0, 1, 2, 3)), tmp_path)
    new = json.loads(path.read_text())
    assert new["machine"] == f"{old['machine']}; an H0"
    assert (new["commit"], new["date"]) == (f"{old['commit']}; abc", old["date"])
    lines = experiments.source(new).split("\n")
    assert lines[-1].endswith("9.9.9") and max(map(len, lines)) <= 66
    experiments.complete(job(tmp_path, seeds=(0, 1)), tmp_path)  # another, as a whole
    assert json.loads(path.read_text())["machine"] == "an H0"


def test_no_process_at_all_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cnnlib.experiments", "--jobs", "0", "--list"])
    with pytest.raises(SystemExit):
        command.main()
    assert "--jobs 0: at least one process" in capsys.readouterr().err
