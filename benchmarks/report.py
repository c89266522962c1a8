"""Tables and plot of the stored results, written into benchmarks/README.md."""

import json
import math
import statistics
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

from benchmarks.networks import NETWORKS
from cnnlib import plots
from cnnlib.experiments import source

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
PLOT = RESULTS / "time.svg"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
EPOCHS = 10  # of d2l


def results(part=""):
    """Stored results by the name of their network, in the order of `NETWORKS`; those of
    the comparison in float32 or of the trials with `part` "-float32" or "-trials"."""
    paths = {name: RESULTS / f"{name}{part}.json" for name in NETWORKS}
    return {
        name: json.loads(path.read_text("utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


class Summary:
    """The numbers of one network that tables and plot show; times in seconds."""

    def __init__(self, network, result):
        speed, *runs = result["rows"]
        self.rates = rates(speed)
        # A step costs three times the multiply-adds of a test (all but the first layer
        # pass two gradients on), and there is one test picture for six of training.
        macs = speed["macs"] * (3 + 1 / 6)
        first, *_, last = [max(peak.values()) for peak in speed["peaks"].values()] * 2
        self.shares = {
            "d2l": self.rates["d2l"] * macs / first,
            "ours": self.rates["ours"] * macs / last,
        }
        ours = [run["ours"] for run in runs]
        self.times = [reached(points, network.target) for points in ours]
        self.budget = statistics.median(points[-1][0] for points in ours)
        self.accuracies = [points[-1][1] for points in ours]
        pairs = [(run["d2l"], run["ours"][-1][0]) for run in runs if "d2l" in run]
        self.equal = [last_before(points, seconds) for points, seconds in pairs]
        whole = [points for points, _ in pairs if len(points) == EPOCHS]
        self.measured = [reached(points, network.target) for points in whole]
        self.epochs = EPOCHS * 60_000 / self.rates["d2l"]
        if whole:
            self.epochs = statistics.median(points[-1][0] for points in whole)

    @property
    def gain(self):
        """How many times sooner we reach the target than d2l ends its ten epochs."""
        return self.epochs / statistics.median(self.times)


def rates(row):
    """Pictures per second of both sides, the mean of their turns."""
    return {side: statistics.mean(v) for side, v in row["images_per_second"].items()}


def reached(points, target):
    """Seconds until a test was at least `target`; infinite if none was."""
    return min((s for s, accuracy in points if accuracy >= target), default=math.inf)


def last_before(points, seconds):
    """Accuracy of the last test by then; nan where none was made yet."""
    return [math.nan, *(a for s, a in points if s <= seconds)][-1]


def three(values, form):
    """Lowest, median and highest."""
    return " / ".join(
        "never" if value == math.inf else "-" if math.isnan(value) else form(value)
        for value in (min(values), statistics.median(values), max(values))
    )


def seconds(value):
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def accuracy(value):
    return f"{value:.3f}"


def head(*titles):
    """The first two lines of a table."""
    return "| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"


def speed_table(found, float32):
    yield from head(
        *("network", "pixels", "M MACs", "d2l, pictures/s", "ours", "ratio"),
        *("ratio in float32", "d2l's share of its peak", "ours"),
        "where our time goes",
    )
    for name, (result, one) in found.items():
        yield (
            f"| {name} | {NETWORKS[name].size} "
            f"| {result['rows'][0]['macs'] / 1e6:,.1f} "
            f"| {one.rates['d2l']:,.0f} | {one.rates['ours']:,.0f} "
            f"| **{ratio(result)}** "
            f"| {ratio(float32[name]) if name in float32 else '-'} "
            f"| {one.shares['d2l']:.0%} | {one.shares['ours']:.0%} "
            f"| {operators(result['rows'][0]['operators'])} |"
        )


def ratio(result):
    """Our pictures per second for one of d2l's."""
    both = rates(result["rows"][0])
    return f"{both['ours'] / both['d2l']:.1f}"


def operators(shares, most=4):
    """The largest, without the prefix that all have."""
    return ", ".join(
        f"{name.removeprefix('aten::')} {share:.0%}"
        for name, share in list(shares.items())[:most]
    )


def learning_table(found):
    yield from head(
        *("network", "target", "d2l, seconds", "ours, seconds", "ratio"),
        *("ours at the end", "after", "d2l by then"),
    )
    for name, (_, one) in found.items():
        how = "measured" if one.measured else "computed"
        yield (
            f"| {name} | {accuracy(NETWORKS[name].target)} "
            f"| {seconds(one.epochs)} ({how}) | {three(one.times, seconds)} "
            f"| **{one.gain:.0f}** | {three(one.accuracies, accuracy)} "
            f"| {seconds(one.budget)} s | {three(one.equal, accuracy)} |"
        )


def trial_table(found):
    yield from head("network", "pictures", "the recipe", "instead of it")
    for name, result in found.items():
        taken, *others = result["rows"]
        yield (
            f"| {name} | {taken['setting']['images']:,} "
            f"| {accuracy(taken['accuracy'])} "
            f"| {'; '.join(tried(row, taken) for row in others)} |"
        )


def tried(row, taken):
    """What of a trial's recipe is not as in the one taken, and its accuracy."""
    recipe, usual = row["setting"]["recipe"], taken["setting"]["recipe"]
    words = {
        "optimizer": recipe["optimizer"],
        "options": f"rate {recipe['options']['lr']:g}",
        "start": f"{recipe['start']} start".replace("_", " and "),
        "batch_size": f"batches of {recipe['batch_size']}",
        "smoothing": f"labels smoothed by {recipe['smoothing']:g}",
    }
    changed = [words[key] for key in recipe if recipe[key] != usual[key]]
    return f"{', '.join(changed)} {accuracy(row['accuracy'])}"


def plot(found):
    """Seconds to d2l's median accuracy, a row per network."""
    plt.style.use(Path(plots.__file__).parent / "house.mplstyle")
    plt.rcParams["svg.hashsalt"] = "benchmarks"
    _, ax = plt.subplots(figsize=(6.4, 1.2 + 0.36 * len(found)))
    for row, (_, one) in enumerate(found.values()):
        ax.plot([min(one.times), one.epochs], [row, row], color="0.8", zorder=0)
        ours = ax.scatter(one.times, [row] * len(one.times), color="C0")
        theirs = ax.scatter(one.epochs, row, color="C1", marker="D")
    ax.set_yticks(range(len(found)), found)
    ax.invert_yaxis()
    ax.set_xscale("log")
    longest = max(one.epochs for _, one in found.values())
    ax.set_xlim(1, 10 ** math.ceil(math.log10(longest)))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("seconds until d2l's median accuracy")
    ax.legend(
        [ours, theirs],
        ["ours, each seed", "d2l, ten epochs"],
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
    ax.figure.savefig(PLOT, metadata={"Date": None})


def summaries(stored):
    """Pairs of a result and its `Summary`, by network."""
    return {
        name: (result, Summary(NETWORKS[name], result))
        for name, result in stored.items()
    }


def tables(stored, float32, trials):
    """What stands between the two marks of the README."""
    found = summaries(stored)
    origins = [f"- {name}: {source(result)}" for name, result in stored.items()]
    blocks = [speed_table(found, float32), learning_table(found)]
    blocks += [trial_table(trials)] if trials else []
    lines = [line for block in (*blocks, origins) for line in ("", *block)]
    lines.append("")
    return "\n".join(lines) + "\n"


def write():
    """Renew the part of the README between the two marks, and the plot."""
    stored = results()
    plot(summaries(stored))
    found = tables(stored, results("-float32"), results("-trials"))
    text = README.read_text("utf-8")
    before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(text[:before] + found + text[after:], encoding="utf-8")
