"""The benchmarks: both sides train the same networks, and the tables are the rows'."""

import itertools
import json
import math

import pytest
import torch

from benchmarks import networks, report
from benchmarks.networks import NETWORKS
from cnnlib import data, experiments, train

SIZES = {  # parameters, counted from the networks that d2l's book prints
    "lenet": 61_706,
    "alexnet": 46_764_746,
    "vgg": 43_093_322,
    "nin": 1_992_166,
    "googlenet": 5_977_530,
    "resnet18": 11_178_378,
    "densenet": 758_226,
}


@pytest.fixture
def measure():
    pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    from benchmarks import measure

    return measure


@pytest.fixture
def here(measure, monkeypatch):
    """`measure`, with all measurements made in this process."""
    monkeypatch.setattr(
        measure,
        "apart",
        lambda function, name, *args: function(NETWORKS[name], *args),
    )
    return measure


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_networks_are_of_the_published_size(name):
    assert count(NETWORKS[name].build()) == SIZES[name]


def test_bn_lenet_is_lenet_without_padding_and_with_four_norms():
    """conv 6x1x5x5+6, 16x6x5x5+16, dense 256x120+120, 120x84+84, 84x10+10, and two
    numbers per channel of each norm"""
    net = NETWORKS["bn-lenet"].build()
    plain = 156 + 2416 + 30_840 + 10_164 + 850
    assert count(net) == plain + 2 * (6 + 16 + 120 + 84)
    kinds = [type(m).__name__ for m in net.modules() if not list(m.children())]
    assert kinds[:4] == ["Conv2d", "BatchNorm2d", "Sigmoid", "AvgPool2d"]
    assert kinds.count("BatchNorm1d") == 2


def test_slices_together_are_whole_passes():
    training, _ = data.fashion_mnist(600)
    pytest.importorskip("d2l.torch", reason="d2l is not installed here")
    from benchmarks.measure import Slices

    def batches():
        return data.Batches(training, 100, shuffle=True, seed=3)

    slices = Slices(batches(), 3)
    assert len(slices) == 2
    seen = [labels for _ in range(6) for _, labels in slices]
    whole = batches()
    expected = [labels for _ in range(2) for _, labels in whole]
    assert all(map(torch.equal, seen, expected)) and len(seen) == len(expected)


def test_both_sides_see_the_same_pictures(measure):
    theirs = measure.peer.fashion_mnist(28, 300, 40)
    training, test = data.fashion_mnist(300, 40)
    for part, ours in ((theirs.train, training), (theirs.val, test)):
        assert len(part) == len(ours.labels)
        for (x, y), image, label in zip(part, *ours, strict=True):
            assert torch.equal((255 * x).round().byte(), image) and y == label


@pytest.mark.weekly
def test_both_sides_train(measure):
    """A pass over 6,000 pictures, twelve with d2l's slow recipe, beats chance."""
    network, size = NETWORKS["bn-lenet"], {"images": 3_000, "tests": 500}
    recipe = network.recipe._replace(passes=2, tests=2)
    ours = measure.ours(network._replace(recipe=recipe), 0, **size)
    theirs = measure.theirs(network, 0, math.inf, 4, **size)
    for points in (ours, theirs):
        assert len(points) == 4
        times = [seconds for seconds, _ in points]
        assert times == sorted(times) and times[0] > 0
        assert points[-1][1] > 0.3


def test_the_peer_stops_in_time_and_is_tested_once_more(measure):
    points = measure.theirs(NETWORKS["lenet"], 0, 0.1, images=10_000, tests=500)
    ((seconds, accuracy),) = points
    assert seconds == 0.1
    assert 0.05 < accuracy < 0.9


@pytest.mark.weekly
def test_a_measurement_runs_in_a_process_of_its_own(measure, capfd):
    shares = measure.apart(measure.operators, "lenet")
    assert 0.5 < sum(shares.values()) <= 1
    with pytest.raises(RuntimeError, match="operators of nothing failed"):
        measure.apart(measure.operators, "nothing")
    assert "KeyError" in capfd.readouterr().err


@pytest.mark.weekly
def test_a_row_of_speed_and_a_row_of_learning_are_what_the_tables_need(
    here, monkeypatch
):
    whole = here.ours
    few = {"images": 512, "tests": 128}
    monkeypatch.setattr(here, "ours", lambda *args, **size: whole(*args, **few))
    theirs = here.theirs
    monkeypatch.setattr(here, "theirs", lambda *args, **size: theirs(*args, **few))
    setting = {"network": "lenet", "recipe": NETWORKS["lenet"].recipe._asdict()}
    rows = [here.run(**setting, part="speed")]
    rows += [here.run(**setting, part="learn", seed=0)] * 3
    rows = json.loads(json.dumps(rows))
    assert rows[0]["macs"] == 117_600 + 240_000 + 48_000 + 10_080 + 840  # by hand
    summary = report.Summary(NETWORKS["lenet"], {"rows": rows})
    found = {"lenet": ({"rows": rows}, summary)}
    both = {side: sum(v) for side, v in rows[0]["images_per_second"].items()}
    ratio = f"{both['ours'] / both['d2l']:.1f}"
    for float32, shown in ({"lenet": {"rows": rows}}, ratio), ({}, "-"):
        *_, row = report.speed_table(found, float32)
        assert [cell.strip() for cell in row.split("|")][6:8] == [f"**{ratio}**", shown]
    *_, row = report.learning_table(found)
    assert "(measured)" in row and "never / never / never" in row


@pytest.mark.weekly
def test_a_trial_differs_from_the_recipe_in_what_its_line_says(here, monkeypatch):
    whole = here.ours
    monkeypatch.setattr(here, "ours", lambda *args: whole(*args[:2], 256, 50))
    job = here.trial_job("densenet")
    rows = [{"setting": setting, **job.run(**setting)} for setting in job.settings]
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    for row, value in zip(rows, (0.9, 0.8, 0.6, 0.7), strict=True):
        row["accuracy"] = value
    found = {"densenet": json.loads(json.dumps({"rows": rows}))}
    *_, line = report.trial_table(found)
    words = "0.900 | batches of 128 0.800; labels smoothed by 0.1 0.600; "
    words += "AdamW, rate 0.005 0.700"
    assert line == f"| densenet | 10,000 | {words} |"
    assert line in report.tables({}, {}, found)


def test_without_bfloat16_ours_computes_in_float32(here, monkeypatch):
    found = []
    monkeypatch.setenv("CNNLIB_PRECISION", "bfloat16")
    monkeypatch.setattr(here, "their_rate", lambda network: 100)
    monkeypatch.setattr(
        here, "our_rate", lambda network: found.append(precision()) or 200
    )

    def precision():
        train.precision.cache_clear()  # a process of its own would have no cache
        return train.precision(torch.device("cpu"))

    assert precision() == torch.bfloat16
    rates = here.float32("lenet", NETWORKS["lenet"].recipe._asdict())
    train.precision.cache_clear()
    assert rates == {"images_per_second": {"d2l": [100, 100], "ours": [200, 200]}}
    assert found == [torch.float32, torch.float32]


def test_operators_are_shares_of_all_time(measure):
    shares = measure.operators(NETWORKS["lenet"])
    assert (
        "aten::mkldnn_convolution" in shares or "aten::convolution_backward" in shares
    )
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert 0.5 < sum(shares.values()) <= 1


@pytest.fixture
def result():
    """Round numbers: a peak of 1 and 4 G multiply-adds, networks of 60 k."""
    speed = {
        "images_per_second": {"d2l": [90, 110], "ours": [390, 410]},
        "macs": 60_000,
        "peaks": {
            "float32": {"matmul": 1e9, "convolution": 0.5e9},
            "bfloat16": {"matmul": 2e9, "convolution": 4e9},
        },
    }
    ours = [[[10, 0.7], [20, last]] for last in (0.90, 0.70, 0.85)]
    theirs = [[5, 0.1], [15, 0.4], [25, 0.6]]
    rows = [speed, {"ours": ours[0], "d2l": theirs}, *({"ours": o} for o in ours[1:])]
    return {"rows": rows}


def test_the_summary_is_that_of_the_rows(result):
    network = NETWORKS["lenet"]  # its target is 0.8
    one = report.Summary(network, result)
    assert one.rates == {"d2l": 100, "ours": 400}
    assert one.shares["d2l"] == pytest.approx(100 * 190_000 / 1e9)
    assert one.shares["ours"] == pytest.approx(400 * 190_000 / 4e9)
    assert one.times == [20, math.inf, 20]
    assert one.accuracies == [0.90, 0.70, 0.85]
    assert one.equal == [0.4]
    assert one.epochs == 6_000 and one.measured == []
    assert one.gain == 300
    assert report.three(one.times, report.seconds) == "20 / 20 / never"


def test_ten_epochs_of_the_peer_are_taken_as_measured(result):
    result["rows"][1]["d2l"] = [[7 * i, 0.08 * i] for i in range(1, 11)]
    one = report.Summary(NETWORKS["lenet"], result)
    assert one.epochs == 70
    assert one.measured == [70]
    assert one.equal == [0.16]


def test_the_readme_shows_the_stored_results():
    text = report.README.read_text("utf-8")
    start, end = text.index(report.BEGIN) + len(report.BEGIN), text.index(report.END)
    assert text[start:end] == report.tables(
        report.results(), report.results("-float32"), report.results("-trials")
    )


def test_stored_results_belong_to_the_code(measure):
    stored = {path.stem: path for path in report.RESULTS.glob("*.json")}
    for job in itertools.chain.from_iterable(map(measure.jobs, NETWORKS)):
        if path := stored.pop(job.name, None):
            mark = json.loads(path.read_text("utf-8"))["fingerprint"]
            assert mark == experiments.fingerprint(job), job.name
    assert not stored


def test_no_seed_fails():
    """What d2l's NiN and batch-normalised LeNet do; and the results are complete."""
    for name, result in report.results().items():
        one = report.Summary(NETWORKS[name], result)
        assert len(one.times) == 3
        assert all(math.isfinite(seconds) for seconds in one.times), name


def test_ours_takes_a_fifth_of_the_time_of_d2l_or_less():
    for name, result in report.results().items():
        assert report.Summary(NETWORKS[name], result).gain >= 5, name


def test_without_bfloat16_ours_is_not_slower():
    found = report.results("-float32")
    assert found.keys() == report.results().keys()
    for name, result in found.items():
        rates = report.rates(result["rows"][0])
        assert rates["ours"] >= rates["d2l"], name


def test_centred_filters_keep_the_pictures_apart():
    """Between two pictures in the last maps of NiN: the cosine of the angle."""
    x = torch.randn(2, 1, 224, 224, generator=torch.Generator().manual_seed(0))
    cosines = {}
    for start in ("awake", "centred_awake"):
        torch.manual_seed(0)
        net = NETWORKS["nin"].build().eval()
        networks.STARTS[start](net)
        with torch.no_grad():
            one, two = net[:-2](x).flatten(1)
        cosines[start] = torch.cosine_similarity(one, two, dim=0)
        assert (net.block4[4].bias == 1).all()
    assert cosines["centred_awake"] < cosines["awake"] - 0.1
    sums = [
        m.weight.sum((1, 2, 3)).abs().max()
        for m in net.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    assert sums[0] > 0.1 and max(sums[1:]) < 1e-4


def test_recipes_can_be_stored():
    for network in NETWORKS.values():
        recipe = network.recipe._asdict()
        assert networks.Recipe(**json.loads(json.dumps(recipe))) == network.recipe
