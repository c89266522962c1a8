"""Depth: plain against residual networks, error by error and epoch by epoch."""

from statistics import median

from cnnlib.figures.figure import Figure

KINDS = "plain", "residual"
ERRORS = {"train": "training", "test": "test"}
MARKS = 5, 10  # epochs after which the still form has the training error, too


def depth(rows, rate=0.1):
    """A `Figure` with a slider, the layers of a plain and a residual network, that
    asks which of the two will fit better before it shows their curves.

    `rows` are those of the experiment "depth"; other kinds of network are left out. A
    learning rate that is not `rate` can be shown beside it. Raises ValueError when
    one of the kinds was not run at a depth, or runs have different numbers of epochs.
    """
    series = {}
    for row in rows:
        of = row["setting"]
        if of["kind"] in KINDS:
            key = of["depth"], of["kind"], of["rate"]
            series.setdefault(key, []).append(row)
    depths = sorted({layers for layers, _, _ in series})
    _check(series, depths, rate)
    epochs = len(next(iter(series.values()))[0]["train_error"])
    # by depth and kind, the main rate in front
    order = sorted(series, key=lambda key: (key[0], key[1], key[2] != rate, key[2]))
    heads = ("network", "seeds", "train", "test", *(f"after {mark}" for mark in MARKS))
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(_still(key, series[key], rate) for key in order)
    still = (
        f"<p>Errors in percent: after the last of {epochs} epochs, of all training and "
        "all test pictures; and of 2,000 training pictures after "
        f"{' and '.join(map(str, MARKS))} epochs. The median of the seeds, and the "
        "lowest and highest.</p>"
        f'<table class="stages"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    data = {
        "depths": depths,
        "epochs": epochs,
        "rate": rate,
        "series": [_data(key, series[key]) for key in order],
    }
    shown = ", ".join(map(str, depths[:-1])) + f" or {depths[-1]}"
    line = f"Plain against residual networks of {shown} layers, on the page."
    return Figure("depth", still, data, line, ["drawing", "guess"])


def _check(series, depths, rate):
    for layers in depths:
        for kind in KINDS:
            if (layers, kind, rate) not in series:
                raise ValueError(
                    f"there is no {kind} network of {layers} layers at a rate of "
                    f"{rate}: give rows of both kinds for every depth."
                )
    lengths = {len(row["train_error"]) for rows in series.values() for row in rows}
    if len(lengths) != 1:
        raise ValueError(
            f"give rows of equally many epochs, not of {sorted(lengths)}: the curves "
            "stand side by side."
        )


def _still(key, rows, rate):
    """A row of the still form."""
    layers, kind, own = key
    name = f"{kind}-{layers}" + ("" if own == rate else f", rate {own}")
    early = [_spread(row["train_error"][mark - 1] for row in rows) for mark in MARKS]
    ends = [_spread(row[f"end_{error}_error"] for row in rows) for error in ERRORS]
    values = "".join(f'<td align="right">{v}</td>' for v in (len(rows), *ends, *early))
    return f'<tr><th scope="row">{name}</th>{values}</tr>'


def _spread(shares):
    found = sorted(100 * share for share in shares)
    middle = f"{median(found):.2f}"
    return middle if len(found) == 1 else f"{middle} ({found[0]:.2f}-{found[-1]:.2f})"


def _data(key, rows):
    """What the script gets of one network: whole hundredths of a percent, by error."""
    layers, kind, rate = key
    found = {"depth": layers, "kind": kind, "rate": rate}
    for error in ERRORS:
        found[error] = {
            "runs": [[_whole(v) for v in row[f"{error}_error"]] for row in rows],
            "ends": [_whole(row[f"end_{error}_error"]) for row in rows],
        }
    return found


def _whole(share):
    return round(10_000 * share)
