"""Draws a network that is a grid of nodes: rows are sizes, lines what a node reads."""

from torch import nn

from cnnlib import costs
from cnnlib.diagrams.graph import trace
from cnnlib.diagrams.layout import WIDTH
from cnnlib.diagrams.svg import Canvas, Diagram, number
from cnnlib.models.unet import Up, needed

BOX, HIGH, STEP = 37, 30, 56  # width and height of a node, from row to row


def nodes(net, input_shape, title=None, exit=None):
    """A `Diagram` of a `Grid` of `cnnlib.models.unet`, for one picture of `input_shape`
    (C, H, W): a box for each node and each exit, with its channels, and the lines along
    which maps go, as they went while it ran. With `exit` the nodes that this exit does
    not need are drawn without colour."""
    boxes = [n for n in trace(net, input_shape, (nn.Sequential, Up))[0] if n.module]
    rows = {row.name: row for row in costs.table(net, input_shape)}
    places = {"x{}{}".format(*node): node for node in net.reads}
    kept = needed(net.reads, (0, exit)) if exit else net.reads
    depth = max(row for row, _ in net.reads)
    unit = (WIDTH - BOX - 34) / (2 * depth)
    top = 30 + 10 * depth
    canvas, lines, shapes = Canvas(), [], []

    def spot(node):
        row, column = node
        return 26 + BOX / 2 + unit * (row + 2 * column), top + STEP * row

    for box in boxes:
        node = places.get(box.name)
        used = exit is None or node in kept or box.name == f"exit{exit}"
        if node:
            x, y = spot(node)
            sources = [places[s.name] for s in box.sources if s.name in places]
            lines += [(spot(s), (x, y), used) for s in sources]
            shapes.append((box, x, y, HIGH, "conv" if used else "map"))
        else:
            x, low = spot((0, int(box.name.removeprefix("exit"))))
            lines.append(((x, low), (x, 8), used))
            shapes.append((box, x, 8, 17, "dense" if used else "map"))
    for (x, y), (right, up), used in lines:
        dashes = {} if used else {"stroke_dasharray": "2 3"}
        far = (right - x) / (2 * unit)
        if y == up and far > 1.1:  # over the nodes between
            high = y - 13 * (far - 1) - 5
            start, end, middle = number(x + 12), number(right - 12), number(high)
            path = f"M{start} {number(y)}C{start} {middle} {end} {middle} {end}"
            path += f" {number(y)}"
            canvas.add("path", "line", d=path, stroke_width=1.3, **dashes)
        else:
            middle = HIGH / 2 if x != right else 0
            canvas.line((x, y + middle), (right, up + middle), **dashes)
    for box, x, y, high, kind in shapes:
        row = rows[box.name]
        size = " x ".join(map(str, row.output_shape))
        about = f"{box.name}: output {size}, {row.parameters:,} parameters"
        canvas.box(kind, x, y, BOX, high, f"{about}, {row.macs:,} MACs")
        if box.name in places:
            canvas.text(x, y + 13, box.name, 10.5)
            canvas.text(x, y + 25, str(box.shape[0]), 9.4, kind="soft")
        else:
            canvas.text(x, y + 12.5, box.name, 9.8)
    for row in range(depth + 1):
        side = rows[f"x{row}0"].output_shape[1]
        canvas.text(4, top + STEP * row + 19, str(side), 9.8, "start", "soft")
    low = top + STEP * depth + HIGH + 8
    return Diagram(title or type(net).__name__, canvas, WIDTH, low)
