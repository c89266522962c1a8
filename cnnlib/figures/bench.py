"""The bench: a picture and a kernel to change, and a window to move over them."""

import html
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml

from cnnlib.figures.figure import Figure

OFFERED = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text("utf-8"))
CONTROLS = (
    "padding",
    "stride",
    "dilation",
    "layers",
    "channels",
    "pooling",
    "backward",
)
ALONE = {"layers", "channels", "pooling", "backward"}
SETTINGS = {
    "size": 2,  # of a pooling window; a kernel brings its own
    "padding": 0,  # a number, "same" (PyTorch) or "SAME" (TensorFlow)
    "values": "zeros",  # of the padding, or "replicate" or "circular"
    "stride": 1,
    "dilation": 1,
    "layers": 1,
    "outputs": 1,
    "pooling": "max",  # or "average" or "min", where pooling is switched on
}


def bench(*controls, pictures=None, kernel="vertical edges", **settings):
    """A `Figure` in which a window slides over a picture, moved by the reader.

    Every bench has pictures and kernels to choose and to change. `controls` switches on
    more, names out of `CONTROLS`: of "layers", "channels", "pooling" and "backward" one
    at most. `pictures` maps names to numbers (H, W), or (C, H, W) with "channels", of
    1 to 28 rows and columns, grey values up to 10 or up to 255; the figure begins with
    the first. `kernel` is the name of one of those offered, or numbers (k, k) or, with
    "channels", (C, k, k). `settings` begin with other values than `SETTINGS`.

    What it computes is PyTorch's `conv2d`, `max_pool2d` and `avg_pool2d`; padding
    counts in a mean. The still form shows the first place of the window and the result.
    Raises ValueError for an unknown name, for controls that exclude each other, for
    another shape, and for a window that does not fit.
    """
    _known("control", controls, CONTROLS)
    _known("setting", settings, SETTINGS)
    if len(both := sorted(ALONE & set(controls))) > 1:
        raise ValueError(
            f"a bench has one of {', '.join(both)}: switch on one of them."
        )
    channels = "channels" in controls
    kernels = OFFERED["kernels"] | (OFFERED["of three channels"] if channels else {})
    if not isinstance(kernel, str):
        kernels = {"given": torch.as_tensor(kernel).tolist()} | kernels
        kernel = "given"
    _known("kernel", [kernel], kernels)
    pictures = {
        name: _picture(name, numbers, channels)
        for name, numbers in (pictures or OFFERED["pictures"]).items()
    }
    first = next(iter(pictures.values()))
    pooled = "pooling" in controls
    chosen = SETTINGS | {"picture": next(iter(pictures)), "kernel": kernel} | settings
    chosen["inputs"] = len(first)
    if pooled:
        chosen["stride"] = settings.get("stride", chosen["size"])
    else:
        chosen["pooling"] = ""
        chosen["size"] = len(torch.tensor(kernels[kernel])[0])
    weight = torch.tensor(kernels[kernel], dtype=torch.float64)
    data = {
        "controls": controls,
        "pictures": {
            name: [[" ".join(map(str, row)) for row in plane] for plane in x.tolist()]
            for name, x in pictures.items()
        },
        "kernels": kernels,
        "settings": chosen,
    }
    more = f", with {' and '.join(controls)}" if controls else ""
    line = f"A window to slide over a picture{more}."
    parts = ["drawing", "shift"] if pooled else ["drawing"]
    return Figure("bench", _still(first, weight, chosen), data, line, parts)


def _known(kind, names, known):
    for name in names:
        if name not in known:
            raise ValueError(f"no {kind} {name!r}: choose from {list(known)}.")


def _picture(name, numbers, channels):
    """Numbers (H, W) or (C, H, W) -> (C, H, W)."""
    numbers = torch.as_tensor(numbers)
    wanted = 3 if channels else 2
    if numbers.dim() != wanted or not all(1 <= n <= 28 for n in numbers.shape[-2:]):
        axes = "(C, H, W)" if channels else "(H, W)"
        raise ValueError(
            f"picture {name!r} has the shape {tuple(numbers.shape)}: "
            f"give {axes} with 1 to 28 rows and columns."
        )
    return numbers if channels else numbers[None]


def _margins(n, set_):
    """Padding before and after n pixels; ValueError where no window fits."""
    reach = set_["dilation"] * (set_["size"] - 1) + 1
    total = {"same": reach - 1}.get(set_["padding"])
    if set_["padding"] == "SAME":
        total = max((-(-n // set_["stride"]) - 1) * set_["stride"] + reach - n, 0)
    elif total is None:
        total = 2 * set_["padding"]
    if n + total < reach:
        raise ValueError(f"a window of {reach} does not fit {n + total} pixels.")
    return total // 2, total - total // 2


def _padded(x, set_):
    """(C, H, W) -> what the window slides over."""
    sides = [*_margins(x.shape[2], set_), *_margins(x.shape[1], set_)]
    if set_["values"] != "zeros":
        return F.pad(x, sides, set_["values"])
    low = float("-inf")
    return F.pad(x, sides, value={"max": low, "min": -low}.get(set_["pooling"], 0))


def _layer(x, weight, set_):
    """One layer, (C, H, W) -> (1, h, w) or, pooled, (C, h, w)."""
    windows = _padded(x, set_)
    for axis in (1, 2):  # (C, h, w, k, k): the places, and what lies under the window
        windows = windows.unfold(
            axis, 1 + set_["dilation"] * (set_["size"] - 1), set_["stride"]
        )
    windows = windows[..., :: set_["dilation"], :: set_["dilation"]]
    if set_["pooling"]:
        reduce = {"max": torch.amax, "min": torch.amin, "average": torch.mean}
        return reduce[set_["pooling"]](windows, dim=(-2, -1))
    return (windows * weight.view(-1, 1, 1, *weight.shape[-2:])).sum((0, -2, -1))[None]


def _still(picture, weight, set_):
    """Tables of the first picture, its kernel, and the map of each layer."""
    x, maps = picture.double(), []
    for _ in range(set_["layers"]):
        x = _layer(x, weight, set_)
        maps.append(x)
    row, column = (_covered(n, set_) for n in picture.shape[1:])
    parts = [_table("picture", picture, (row, column))]
    if not set_["pooling"]:
        parts.append(_table("kernel", weight.view(-1, *weight.shape[-2:])))
    for number, result in enumerate(maps, 1):
        name = f"map {number}" if len(maps) > 1 else "result"
        parts.append(_table(name, result, ({0}, {0})))
    what = set_["pooling"] or "sum of the products"
    return (
        f'<div class="row">{"".join(parts)}</div><p>Bold: the pixels under the window '
        f"at its first place, and the {what} there.</p>"
    )


def _covered(n, set_):
    """Which of n pixels the window reads at its first place."""
    first, step = -_margins(n, set_)[0], set_["dilation"]
    places = range(first, first + step * set_["size"], step)
    return {place for place in places if 0 <= place < n}


def _table(name, planes, marked=((), ())):
    """HTML of (C, H, W), a table for each channel; the marked cells are bold."""
    rows, columns = marked
    tables = []
    for number, plane in enumerate(planes.tolist(), 1):
        label = f"{name} {number}" if len(planes) > 1 else name
        body = "".join(
            "<tr>"
            + "".join(
                f"<td><b>{value:.4g}</b></td>"
                if i in rows and j in columns
                else f"<td>{value:.4g}</td>"
                for j, value in enumerate(row)
            )
            + "</tr>"
            for i, row in enumerate(plane)
        )
        tables.append(
            f'<table class="stages"><caption>{html.escape(label)}</caption>'
            f"<tbody>{body}</tbody></table>"
        )
    return "".join(tables)
