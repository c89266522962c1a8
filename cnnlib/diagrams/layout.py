"""Draws the graph of a module from top to bottom, at most 360 pixels wide."""

from math import log2

import torch

from cnnlib import models
from cnnlib.diagrams.graph import (
    JOINS,
    SMALL,
    Repeat,
    Side,
    Split,
    boxes,
    chain,
    groups,
    kernel,
    last,
    stride,
)
from cnnlib.diagrams.svg import Canvas, Diagram, number

WIDTH = 360  # fits a phone of 390, where no text may be smaller than 9 pixels
HIGH, GAP = 21, 11  # of a box, and between two
LETTER = 5.4  # pixels of an average letter of 10.5 pixels
THICK = 24  # a line of `weigh` MACs


def draw(module, input_shape, title=None, **how):
    """A `Diagram` of `module` for one picture of `input_shape` (C, H, W).

    Boxes are layers (window, channels, stride), grey blocks are maps with their
    channels, height and width. `closed=Inception` draws modules of that type as one
    box; `fused=False` gives normalisation and activation boxes of their own;
    `folded=False` draws equal parts as often as they run; `towers=2` draws two halves
    where convolutions are grouped; `weigh=1e8` makes lines as thick as the MACs of the
    layer that they lead to, 24 pixels for 1e8; `beside=[...]` writes a word beside each
    box of the main path. Raises ValueError for a module whose paths cross.
    """
    name = title or type(module).__name__
    return compare({name: (module, input_shape)}, title=name, **how)


def compare(modules, title=None, **how):
    """A `Diagram` of several modules side by side: {"name": (module, input_shape)}."""
    options = {key: how.pop(key) for key in ("closed", "fused", "folded") if key in how}
    chains = {
        name: chain(module, shape, **options)
        for name, (module, shape) in modules.items()
    }
    canvas, low = Canvas(), 0
    column = WIDTH / len(chains)
    for i, (name, parts) in enumerate(chains.items()):
        top = 8
        if len(chains) > 1:
            canvas.text((i + 0.5) * column, 16, name, 11.5, font_weight="600")
            canvas.words.append(name)
            top = 24
        pen = _Pen(canvas, i * column, column, parts, **how)
        low = max(low, pen.whole(parts, top))
    return Diagram(title or " beside ".join(chains), canvas, WIDTH, low + 8)


def built(name):
    """The network of the book called `name`, without values, and the (C, H, W) of its
    pictures.

    It draws no random numbers. Raises ValueError for another name.
    """
    with torch.device("meta"):
        return models.build(name), models.find(name).input_shape


def describe(node):
    """One sentence on a box: its name, layer, output, parameters and MACs."""
    what = label(node)
    if node.kind == "conv":
        what = f"convolution {what}"
    shape = " x ".join(map(str, node.shape))
    text = f"{node.name}: {what}, output {shape}"
    if node.parameters:
        text += f", {node.parameters:,} parameters"
    return text + (f", {node.macs:,} MACs" if node.macs else "")


def label(node):
    """What stands in a box: 3x3, 64 /2 is a 3x3 window, 64 channels, stride 2; each
    is a filter for each channel."""
    size, step = kernel(node), stride(node)
    name = type(node.module).__name__
    if node.kind == "input":
        return " x ".join(map(str, node.shape))
    if node.kind == "conv":
        text = f"{size}x{size}, {node.shape[0]}" + (f" /{step}" if step > 1 else "")
        return text + grouped(groups(node), node.shape[0])
    if node.kind == "dense":
        return f"dense {node.shape[0]:,}"
    if node.kind == "pool":
        if "Adaptive" in name:
            return "global average"
        if name == "Subsampling":
            return "2x2 average /2"
        if name == "Subsampled":
            return "skip, zeros"
        way = "max" if "Max" in name else "average"
        return f"{size}x{size} {way}" + (f" /{step}" if step > 1 else "")
    if node.kind in SMALL:
        return SMALL[node.kind]
    if node.kind in JOINS:
        return JOINS[node.kind]
    return {
        "ClassCodes": "10 class codes",
        "Gated": "gate",
    }.get(name, name if node.module is not None else node.kind)


def grouped(number, channels):
    """Words for `number` groups of channels that do not see each other; two are drawn
    as towers."""
    if number == channels > 1:
        return " each"
    return f" in {number} groups" if number > 2 else ""


def small(nodes):
    return " ".join(SMALL[node.kind] for node in nodes if SMALL[node.kind] != "flatten")


def followed(text, more, fits):
    """`text` and the words `more` after it, if need be without dropout, if they fit."""
    for end in (more, more.removesuffix(" dropout")):
        if more and len(text) + 2 + len(end) <= fits:
            return f"{text}, {end}"
    return text


class _Pen:
    """Draws the parts of one column; y grows downwards."""

    def __init__(self, canvas, left, column, parts, weigh=0, beside=(), towers=1):
        self.canvas, self.left, self.column = canvas, left, column
        self.weigh, self.towers = weigh, towers
        self.beside = iter(beside)
        self.alone = column == WIDTH
        nodes = list(boxes(parts, once=True))
        self.pixels = max([n.shape[1] for n in nodes if len(n.shape) == 3], default=1)
        side = [p for p in _splits(parts) if len(p.branches) == 2]
        self.arm = 0
        if side or any(isinstance(p, Side) for p in parts):
            both = any(all(split.branches) for split in side)
            heads = any(isinstance(p, Side) for p in parts)
            self.arm = (74 if both or heads else 18) if self.alone else 18
        margin = 62 if self.alone else 34 if column > 120 else 6
        room = column - self.arm - margin - (16 if self.alone else 8)
        self.wide = min(136 if towers == 1 else 196, room)
        self.x = left + margin + self.wide / 2
        many = any(len(p.branches) > 2 for p in _splits(parts))
        if many or (not self.alone and not self.arm):
            self.x = left + column / 2
        self.shown, self.stage, self.source, self.low = None, None, None, 0

    def whole(self, parts, y):
        return self.run(parts, self.x, y, self.wide, main=True)

    def run(self, parts, x, y, width, main=False):
        """Draws `parts` from y on; returns the y where they end."""
        for i, part in enumerate(parts):
            if isinstance(part, Split):
                y = self.split(part, x, y, width, main)
            elif isinstance(part, Repeat):
                y = self.repeat(part, x, y, width, main)
            elif isinstance(part, Side):
                y = self.side(part, x, y)
            else:
                y = self.step(part, x, y, width, main, first=i == 0 and main)
        return y

    def step(self, node, x, y, width, main, first=False):
        """A box with the line that leads to it; on the main path with the maps."""
        if not first:
            y = self.into(node.macs, x, y, main)
        if main:
            self.source = node
        return self.box(node, x, y, width, main)

    def into(self, macs, x, y, main):
        """The line down to a part, through the maps that it reads, if they are new."""
        thick = max(1, THICK * macs / self.weigh) if self.weigh else 1.3
        source = self.source
        gap = 26 if self.weigh else GAP
        if main and self.new():
            return self.maps(source, x, y)
        xs = self.centres(x) if main and self.split_now(source) else [x]
        for centre in xs:
            self.canvas.line((centre, y), (centre, y + gap), width=thick)
        return y + gap

    def new(self):
        """Whether the next part reads maps that are not drawn yet."""
        node = self.source
        fresh = node is not None and node.kind != "input" and node.shape != self.shown
        return fresh and self.column > 120

    def split_now(self, node):
        """Whether the maps of a node lie in several towers."""
        return self.towers > 1 and node.kind != "input" and node.shape[0] % 1000

    def centres(self, x):
        part = self.wide / self.towers
        return [x - self.wide / 2 + (i + 0.5) * part for i in range(self.towers)]

    def maps(self, source, x, y):
        """What `source` made, as a block: its front is the map, its depth the
        channels, both on a scale of logarithms."""
        self.shown = source.shape
        channels, *sides = source.shape
        towers = self.towers if self.split_now(source) else 1
        text = " x ".join(map(str, [channels // towers, *sides]))
        if towers > 1:
            text = f"{towers} x {text}"
        if not self.alone:
            self.canvas.line((x, y), (x, y + 18))
            self.canvas.text(x + 5, y + 13, text, 9.5, "start", "soft")
            return y + 18
        front = 3 + 25 * log2(sides[0] if sides else 1) / max(1, log2(self.pixels))
        deep = 2 * log2(channels // towers) + 1
        high = front + deep / 2
        centres = self.centres(x) if towers > 1 else [x]
        for centre in centres:
            self.canvas.line((centre, y), (centre, y + high + 12))
            left = centre - front / 2 - 0.35 * deep
            self.canvas.block(left, y + 6 + deep / 2, front, front, deep)
        at = x + (self.wide / 2 + 4 if towers > 1 else 34)
        size = 9.4 if towers > 1 else 10
        self.canvas.text(at, y + 10 + high / 2, text, size, "start", "soft")
        return y + high + 12

    def box(self, node, x, y, width, main):
        words, more = label(node), small(node.after)
        kind = "map" if node.kind == "input" else kind_of_box(node)
        high = HIGH + (13 if self.weigh and node.macs else 0)
        if hasattr(node.module, "maps"):
            high = 26 + 7 * (1 + max(map(max, node.module.maps)))
        halves = self.towers if kind in ("conv", "pool", "dense") and main else 1
        if halves > 1 and (kind == "pool" or node.shape[0] % 1000):
            return self.halves(node, x, y, width)
        self.canvas.box(kind, x, y, width, high, describe(node))
        if hasattr(node.module, "maps"):
            self.table(node.module.maps, x, y + 22)
        before = small(node.before)
        full = " ".join(filter(None, (before and before + ",", words)))
        fits = width / LETTER - 1
        text = followed(full if len(full) <= fits else words, more, fits)
        if node.kind == "input" and self.column < 120:
            text = f"{node.shape[0]} maps"
        size = 10.5 if len(text) <= fits else max(9.3, 10.5 * fits / len(text))
        self.canvas.text(x, y + 14.5, text, size)
        if self.weigh and node.macs:
            self.canvas.text(x, y + 28, f"{node.macs / 1e6:.1f} M", 9.5, kind="soft")
        if main and self.alone and not self.weigh:
            self.name(node, y)
            if word := next(self.beside, None):
                self.canvas.text(x + width / 2 + 8, y + 14, word, 10, "start", "soft")
        return y + high

    def name(self, node, y):
        """The stage that begins with this box, at the left edge."""
        stage = node.name.split(".")[0]
        if stage != self.stage and "." not in stage and not stage.isdigit():
            self.canvas.text(self.left + 4, y + 14, stage, 9.4, "start", "soft")
        self.stage = stage

    def halves(self, node, x, y, width):
        """A layer in as many towers as there are; lines cross where all is read."""
        apart = node.kind == "pool" or groups(node) > 1
        words = label(node).replace(
            f" {node.shape[0]:,}", f" {node.shape[0] // self.towers:,}"
        )
        more = small(node.after)
        self.canvas.words.append(describe(node))
        centres = self.centres(x)
        part = width / self.towers - 8
        for i, centre in enumerate(centres):
            if not apart:
                above = centres if self.shown else [x]
                for other in above:
                    self.canvas.line((other, y), (centre, y + 16))
            about = f"{describe(node)}, tower {i + 1}"
            top = y if apart else y + 16
            self.canvas.box(node.kind, centre, top, part, HIGH, about)
            self.canvas.words.pop()
            text = followed(words, more, 17)
            size = 10.5 if len(text) <= 15 else 9.3
            self.canvas.text(centre, top + 14.5, text, size)
        self.name(node, top)
        return top + HIGH

    def table(self, maps, x, top):
        """Which maps each output reads: a dot in column and row."""
        step, left = 7, x - 7 * len(maps) / 2
        squares = {"map": "", "mark": ""}
        for column, seen in enumerate(maps):
            for row in range(1 + max(map(max, maps))):
                kind = "mark" if row in seen else "map"
                at = f"{number(left + step * column)} {number(top + step * row)}"
                squares[kind] += f"M{at}h5v5h-5z"
        for kind, path in squares.items():
            self.canvas.add("path", kind, d=path, stroke_width="0")

    def split(self, part, x, y, width, main):
        """Branches side by side, lines from their fork and to their join."""
        if main and self.new():
            y = self.maps(self.source, x, y)
        if main:
            self.source = part.join
        if len(part.branches) > 2:
            return self.fan(part, y)
        longest, short = sorted(part.branches, key=len, reverse=True)
        width -= 0 if main else 22  # room for the line around a split in a branch
        low = self.run(longest, x, y, width)
        slim = min(68, self.column - width - 30) if self.alone else 0
        if short and slim:
            other = x + width / 2 + 6 + slim / 2
            self.canvas.line((x, y + 4), (other, y + 4), (other, y + 4 + GAP))
            end = self.run_boxes(short, other, y + 4 + GAP, slim)
            return self.join(part.join, x, y, max(low, end), tail=(other, end))
        arm = x + width / 2 + (14 if self.alone else 11)
        at = self.join(part.join, x, y, low, arm=arm)
        for i, node in enumerate(short):  # no room: a mark on the line
            top = (y + low) / 2 - 6 + 14 * i
            self.canvas.box(kind_of_box(node), arm, top, 7, 12, describe(node))
        return at

    def fan(self, part, y):
        """More than two branches, over the whole width."""
        room = self.column / len(part.branches)
        xs = [self.left + (i + 0.5) * room for i in range(len(part.branches))]
        middle = self.left + self.column / 2
        self.canvas.line((middle, y), (middle, y + 8))
        self.canvas.line((xs[0], y + 8), (xs[-1], y + 8))
        ends = [
            self.run(branch, centre, y + 8, room - 8)
            for centre, branch in zip(xs, part.branches, strict=True)
        ]
        low = max(ends) + 12
        for centre, end in zip(xs, ends, strict=True):
            self.canvas.line((centre, end), (centre, low))
        about = describe(part.join)
        self.canvas.box("join", middle, low, self.column - 8, 18, about)
        text = f"{label(part.join)}: {part.join.shape[0]} channels"
        self.canvas.text(middle, low + 13, text, 10.5)
        return low + 18

    def run_boxes(self, branch, x, y, width):
        """A short branch, its boxes close together."""
        for i, node in enumerate(branch):
            if i:
                self.canvas.line((x, y), (x, y + 5))
            y = self.box(node, x, y + (5 if i else 0), width, False)
        return y

    def join(self, node, x, top, low, arm=None, tail=None):
        """The sign of a sum or concatenation; its other line comes along `arm`, or from
        the end `tail` of a branch."""
        radius = 7.5
        at = low + GAP + radius - 3
        half = radius if node.kind == "add" else 24
        self.canvas.line((x, low), (x, at - radius))
        if tail:
            self.canvas.line(tail, (tail[0], at), (x + half, at))
        else:
            turn = f"M{number(x)} {number(top + 4)}H{number(arm - 6)}q6 0 6 6"
            back = f"V{number(at - 6)}q0 6 -6 6H{number(x + half)}"
            self.canvas.add("path", "line", d=turn + back, stroke_width="1.8")
        about = describe(node)
        self.canvas.box("join", x, at - radius, 2 * half, 2 * radius, about, rx=radius)
        down, size = (4.5, 13) if node.kind == "add" else (3.5, 10)
        self.canvas.text(x, at + down, label(node), size)
        if more := small(node.after):
            self.canvas.text(x - half - 4, at + 3.5, more, 9.5, "end", "soft")
        return at + radius

    def repeat(self, part, x, y, width, main):
        """A dashed frame with its number of times."""
        if main and self.new():
            y = self.maps(self.source, x, y)
        top = y + 7
        self.canvas.line((x, y), (x, top))
        frame = len(self.canvas.parts)
        self.canvas.words.append(f"{part.times} times")
        if main:
            self.shown = self.source.shape
        low = self.run(part.parts, x, top, width, main)
        left = x - width / 2 - (8 if self.alone else 5)
        arm = isinstance(part.parts[0], Split)
        right = x + width / 2 + ((18 if self.alone else 14) if arm else 5)
        place = {"x": left, "y": top, "width": right - left, "height": low + 5 - top}
        self.canvas.add("rect", "group", rx=5, stroke_dasharray="3 3", **place)
        self.canvas.parts.insert(frame, self.canvas.parts.pop())
        middle = (top + low) / 2 + 8
        times = f"x{part.times}"
        self.canvas.text(left - 3, middle, times, 11, "end", font_weight="600")
        self.canvas.line((x, low), (x, low + 5))
        if main:
            self.source = last(part.copies[-1])
        return low + 5

    def side(self, part, x, y):
        """A head that leaves the main path to the right, below the one before."""
        if y < self.low:
            self.canvas.line((x, y), (x, self.low))
            y = self.low
        slim = 84
        centre = self.left + self.column - slim / 2 - 2
        self.canvas.line((x, y + 3), (centre, y + 3), (centre, y + 3 + GAP))
        self.low = 4 + self.run_boxes(part.parts, centre, y + 3 + GAP, slim)
        return y


def kind_of_box(node):
    return node.kind if node.kind in ("conv", "dense", "pool") else "norm"


def _splits(parts):
    for part in parts:
        if isinstance(part, Split):
            yield part
            for branch in part.branches:
                yield from _splits(branch)
        elif isinstance(part, Repeat):
            yield from _splits(part.parts)
