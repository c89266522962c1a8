"""Drawings of numbers in space: what a norm averages over, what a filter reads."""

from cnnlib.diagrams.layout import WIDTH
from cnnlib.diagrams.svg import Canvas, Diagram

# Which places of a table (pictures, channels) share a mean with its first one.
NORMS = {
    "batch": lambda n, c, groups: c == 0,
    "layer": lambda n, c, groups: n == 0,
    "instance": lambda n, c, groups: n == c == 0,
    "group": lambda n, c, groups: n == 0 and c < groups,
}


def norms(pictures=3, channels=4, group=2):
    """A `Diagram` of four cubes (pictures, channels, places): in each, the values that
    share one mean and one variance under batch, layer, instance and group norm."""
    canvas = Canvas()
    for i, (name, shared) in enumerate(NORMS.items()):
        left, top = 14 + i * 89, 52
        canvas.text(left + 32, 18, name, 11.5, font_weight="600")
        counted = 0
        for n in reversed(range(pictures)):
            for c in range(channels):
                marked = shared(n, c, group)
                counted += marked
                x, y = left + 13 * c + 6 * n, top - 7 * n
                kind = "mark" if marked else "map"
                edge = {"stroke": "#55595f", "stroke_width": 0.8}
                canvas.add("rect", kind, x=x, y=y, width=12, height=44, rx=1, **edge)
        canvas.words.append(
            f"{name} norm: {counted} of {pictures * channels} maps share a mean"
        )
        canvas.text(left + 26, top + 58, "channels", 9.4, kind="soft")
    canvas.text(
        14, 132, "A bar is one map, all its places; behind it stand", 10, "start"
    )
    canvas.text(14, 146, "those of the other pictures of the batch.", 10, "start")
    return Diagram("What four norms average over", canvas, WIDTH, 156)


def volumes(channels, side, kernel, filters):
    """A `Diagram` of a convolution in space: a (channels, side, side) block and a
    filter of `kernel` make one number for each place, and `filters` filters as many
    maps."""
    canvas, out = Canvas(), side - kernel + 1
    unit = 64 / side
    deep, front = 6 + 3 * channels, unit * kernel
    canvas.block(10, 48, 64, 64, deep)
    canvas.block(10, 48, front, front, deep, kind="conv")
    canvas.text(42, 128, f"{channels} x {side} x {side}", 10.5)
    canvas.text(110, 70, "x", 14)
    canvas.block(126, 56, front, front, deep, kind="conv")
    canvas.text(140, 128, f"{channels} x {kernel} x {kernel}", 10.5)
    canvas.text(140, 142, f"{filters} such filters", 9.4, kind="soft")
    canvas.line((186, 66), (212, 66))
    canvas.shape("ink", (218, 66), (211, 62.5), (211, 69.5))
    size = unit * out
    for m in reversed(range(filters)):
        canvas.block(230 + 12 * m, 62 - 6 * m, size, size, 3)
    canvas.box("mark", 230 + unit / 2, 62, unit, unit, rx=0)
    canvas.text(270, 128, f"{filters} x {out} x {out}", 10.5)
    canvas.text(270, 142, "one number a place", 9.4, kind="soft")
    canvas.words += [
        f"a block of {channels} x {side} x {side}",
        f"{filters} filters of {channels} x {kernel} x {kernel}",
        f"{filters} maps of {out} x {out}",
    ]
    return Diagram("A convolution in space", canvas, WIDTH, 152)
