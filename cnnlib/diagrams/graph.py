"""What a module computes, as a graph of layers, traced while it runs without values.

Every layer that runs is a box, every tensor that goes from one to another a line. The
graph is then written as a chain: of boxes, of splits (branches that meet in a sum or a
concatenation) and of repeated parts.
"""

import copy
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

JOINS = {"add": "+", "cat": "concat", "mul": "times"}
# Layers that are written into the box of the layer before or behind them.
SMALL = {
    "BatchNorm2d": "BN",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "GELU": "GELU",
    "LayerNorm": "LN",
    "LocalResponseNorm": "LRN",
    "ReLU": "ReLU",
    "ReLU6": "ReLU6",
    "Scale": "scale",
    "SiLU": "SiLU",
    "ScaledTanh": "tanh",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "relu": "ReLU",
}


class Node:
    """One layer as it ran: its `kind`, the `sources` that it read, and its `shape`
    without the batch. `before` and `after` are the small layers drawn in its box."""

    def __init__(self, kind, name, module, sources, shape):
        self.kind, self.name, self.module = kind, name, module
        self.sources, self.shape = sources, shape
        self.before, self.after = [], []

    @property
    def modules(self):
        """All modules of the box, in the order in which they run; an operation without
        a module is None."""
        small = [node.module for node in (*self.before, *self.after)]
        cut = len(self.before)
        return [*small[:cut], self.module, *small[cut:]]

    @property
    def parameters(self):
        found = {p for m in self.modules if m is not None for p in m.parameters()}
        return sum(p.numel() for p in found if p.requires_grad)

    @property
    def macs(self):
        """Multiply-accumulates for one picture, counted as `cnnlib.costs` does."""
        module, places = self.module, 1
        if self.kind == "conv":
            places = self.shape[1] * self.shape[2]
            kernels = getattr(module, "filters", [module])
            return places * sum(layer.weight.numel() for layer in kernels)
        return module.weight.numel() if self.kind == "dense" else 0


class Split(NamedTuple):
    """Branches (lists of parts; an empty one is a plain line) that meet in `join`."""

    branches: list
    join: Node


class Repeat(NamedTuple):
    """`parts` drawn once for `times` equal ones; `copies` are the lists of all."""

    times: int
    parts: list
    copies: list


class Side(NamedTuple):
    """A chain that leaves the main path and has an output of its own."""

    parts: list


def trace(module, input_shape, closed=()):
    """Nodes of `module` for one picture of `input_shape` (C, H, W), in the order in
    which they ran; the first is the input. It runs as in training, with all its heads;
    the first output is the main one, and its node comes back as second value.

    Modules of a type in `closed` are one node. Raises ValueError if the module returns
    no tensor.
    """
    module = _hollow(module).train()
    x = torch.empty(2, *input_shape, device="meta")  # 2: batch norm needs a variance
    recorder = _Recorder(x, closed)
    for name, layer in module.named_modules():
        layer.register_forward_pre_hook(partial(recorder.enter, name))
        layer.register_forward_hook(recorder.leave)
    with torch.no_grad(), recorder:
        output = module(x)
    first = output[0] if isinstance(output, tuple) else output
    if id(first) not in recorder.made:
        raise ValueError(
            f"{type(module).__name__} returns {type(output).__name__}: draw a module "
            "that returns a tensor, or a tuple whose first is the main output."
        )
    return recorder.nodes, recorder.made[id(first)]


def _hollow(module):
    """A copy without values, on the meta device."""
    memo = {}
    for x in (*module.parameters(), *module.buffers()):
        empty = torch.empty_like(x, device="meta", requires_grad=False)
        if isinstance(x, nn.Parameter):
            empty = nn.Parameter(empty, x.requires_grad)
        memo[id(x)] = empty
    return copy.deepcopy(module, memo)


class _Recorder(TorchFunctionMode):
    """Notes each layer that runs, and each function of torch outside of layers."""

    def __init__(self, x, closed):
        super().__init__()
        self.closed, self.running = closed, None
        self.nodes, self.kept = [], []  # kept: tensors, so that no id is used twice
        self.made = {}
        self.note("input", "input", None, (), x)

    def note(self, kind, name, module, args, output):
        sources = [self.made[id(x)] for x in args if id(x) in self.made]
        if id(output) in map(id, args):
            return  # handed on as it is
        node = Node(kind, name, module, sources, tuple(output.shape[1:]))
        self.nodes.append(node)
        self.kept.append(output)
        self.made[id(output)] = node

    def enter(self, name, module, args):
        leaf = not any(module.children()) or hasattr(module, "maps")
        if self.running is None and (leaf or isinstance(module, self.closed)):
            self.running = module, name

    def leave(self, module, args, output):
        if self.running and module is self.running[0]:
            self.note(kind_of(module), self.running[1], module, args, output)
            self.running = None

    @staticmethod
    def run(func, args, kwargs):
        """The function, or where it is a batch normalisation an output of its shape:
        without values it would take most of the time of a drawing."""
        if func is F.batch_norm:
            x, mean = args[:2]
            if mean is not None and len(mean) == x.shape[1]:
                return torch.empty_like(x)
        return func(*args, **kwargs)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        output = self.run(func, args, kwargs or {})
        if self.running is None and isinstance(output, torch.Tensor):
            lists = (arg if isinstance(arg, list) else [arg] for arg in args)
            flat = [x for one in lists for x in one]
            name = func.__name__.strip("_").removeprefix("i")
            self.note(name, name, None, flat, output)
        return output


def kind_of(module):
    """What box a layer gets: conv, dense, pool, its own name if small, or block."""
    name = type(module).__name__
    if isinstance(module, nn.Conv2d) or hasattr(module, "maps"):
        return "conv"
    if isinstance(module, nn.Linear):
        return "dense"
    if "Pool" in name or name.startswith("Subsampl"):
        return "pool"
    return name if name in SMALL else "block"


def chain(module, input_shape, closed=(), fused=True, folded=True):
    """The parts of `module`, from the input on: nodes, splits, repeats and sides.

    With `fused` small layers (normalisation, activation) stand in the box of their
    layer; with `folded` equal parts in a row are drawn once.
    """
    nodes, last = trace(module, input_shape, closed)
    if fused:
        nodes = _fuse(nodes)
        last = next(n for n in nodes if n is last or last in (*n.before, *n.after))
    readers = {id(node): [] for node in nodes}
    for node in nodes:
        for source in dict.fromkeys(node.sources):
            readers[id(source)].append(node)
    place = {id(node): i for i, node in enumerate(nodes)}
    main = _sources_of(last)
    meeting = _meeting_points([n for n in nodes if id(n) in main], readers, place, main)
    drawn = []

    def walk(node, stop):
        parts = []
        while node is not None and node is not stop:
            if not (parts and isinstance(parts[-1], Split) and node is parts[-1].join):
                parts.append(node)
            drawn.append(node)
            following = [r for r in readers[id(node)] if id(r) in main]
            aside = [r for r in readers[id(node)] if id(r) not in main]
            if id(node) not in main:
                following, aside = aside, []
            parts += [Side(walk(reader, None)) for reader in aside]
            if len(following) < 2:
                node = following[0] if following else None
                continue
            join = meeting[id(node)]
            branches = [walk(r, join) if r is not join else [] for r in following]
            parts.append(Split(branches, join))
            node = join
        return fold(parts) if folded else parts

    parts = walk(nodes[0], None)
    if len(drawn) != len(nodes):
        raise ValueError(
            f"the paths of {type(module).__name__} cross, which cannot be drawn as "
            "branches: draw it with that part `closed`."
        )
    return parts


def _sources_of(node):
    """The ids of all nodes that `node` depends on, and its own."""
    found, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found.add(id(node))
            waiting += node.sources
    return found


def _meeting_points(nodes, readers, place, main):
    """For each node that several read: the first node through which all their paths go
    (its immediate post-dominator)."""
    meeting = {}
    for node in reversed(nodes):
        following = [r for r in readers[id(node)] if id(r) in main]
        found = following[0] if following else None
        for other in following[1:]:
            while found is not other:
                if place[id(found)] < place[id(other)]:
                    found = meeting[id(found)]
                else:
                    other = meeting[id(other)]
        meeting[id(node)] = found
    return meeting


def _fuse(nodes):
    """Nodes with the small ones moved into their neighbours."""
    count = {id(node): 0 for node in nodes}
    for node in nodes:
        for source in node.sources:
            count[id(source)] += 1
    into, kept = {}, []
    for node in nodes:
        node.sources = [into.get(id(source), source) for source in node.sources]
        source = node.sources[0] if node.sources else None
        alone = source is not None and len(node.sources) == 1
        end = source.after[-1] if alone and source.after else source
        alone = alone and count[id(end)] == 1
        if node.kind in SMALL and alone and _absorbs(source, node):
            source.after.append(node)
            into[id(node)] = source
            continue
        if alone and source.kind in SMALL and node.kind in ("conv", "dense", "pool"):
            node.before = [source, *source.after]
            source.after = []
            node.sources = source.sources
            kept.remove(source)
        kept.append(node)
    return kept


def _absorbs(node, small):
    if node.kind == "add":
        return SMALL[small.kind] == "ReLU"
    return node.kind in ("conv", "dense", "pool", *SMALL)


def fold(parts):
    """Parts with equal ones in a row (splits, or groups of two or three layers) drawn
    once."""
    marks = [signature(part) for part in parts]
    out, start = [], 0
    while start < len(parts):
        best = 1, 1
        new = start == 0 or _home(parts[start]) != _home(parts[start - 1])
        for period in (1, 2, 3):
            times = 1
            one = marks[start : start + period]
            while one == marks[start + times * period :][:period]:
                times += 1
            may = isinstance(parts[start], Split) if period == 1 else new
            if may and times > 1 and times * period > best[0] * best[1]:
                best = period, times
        period, times = best
        if times > 1:
            copies = [parts[start + i * period :][:period] for i in range(times)]
            out.append(Repeat(times, copies[0], copies))
        else:
            out.append(parts[start])
        start += period * times
    return out


def _home(part):
    """The module two levels down that a part belongs to, as stage1.0."""
    return part.name.split(".")[:2] if isinstance(part, Node) else None


def signature(part):
    """Equal for parts that look alike: what they do, not how many channels come in."""
    if isinstance(part, Split):
        inner = tuple(tuple(map(signature, branch)) for branch in part.branches)
        return "split", part.join.kind, inner, part.join.shape[1:]
    if isinstance(part, Repeat):
        return "repeat", part.times, tuple(map(signature, part.parts))
    if isinstance(part, Side):
        return "side", id(part)
    kinds = tuple(None if m is None else type(m).__name__ for m in part.modules)
    widths = kernel(part), stride(part), groups(part), part.shape, kinds
    return ".".join(part.name.split(".")[2:]), widths


def kernel(node):
    """Side of the window of a convolution or pooling; None for others."""
    module = node.module
    if hasattr(module, "filters"):
        module = module.filters[0]
    size = getattr(module, "kernel_size", None)
    return size[0] if isinstance(size, tuple) else size


def stride(node):
    step = getattr(node.module, "stride", 1)
    return step[0] if isinstance(step, tuple) else step


def groups(node):
    """Groups of channels that do not see each other."""
    return getattr(node.module, "groups", 1)


def boxes(parts, once=False):
    """All nodes of `parts`, with those of folded copies; with `once` as drawn."""
    for part in parts:
        if isinstance(part, Split):
            for branch in part.branches:
                yield from boxes(branch, once)
            yield part.join
        elif isinstance(part, Repeat):
            for copied in part.copies[:1] if once else part.copies:
                yield from boxes(copied, once)
        elif isinstance(part, Side):
            yield from boxes(part.parts, once)
        else:
            yield part


def edges(parts):
    """Pairs of nodes that a line of the drawing joins, those of folded copies too."""
    return list(_edges(parts, None))


def _edges(parts, source):
    for part in parts:
        if isinstance(part, Split):
            for branch in part.branches:
                yield from _edges(branch, source)
                yield (last(branch) or source), part.join
            source = part.join
        elif isinstance(part, Repeat):
            for copied in part.copies:
                yield from _edges(copied, source)
                source = last(copied)
        elif isinstance(part, Side):
            yield from _edges(part.parts, source)
        else:
            if source is not None:
                yield source, part
            source = part


def last(parts):
    """The node in which the main path of `parts` ends; None if there is none."""
    main = [part for part in parts if not isinstance(part, Side)]
    if not main:
        return None
    if isinstance(main[-1], Split):
        return main[-1].join
    return last(main[-1].copies[-1]) if isinstance(main[-1], Repeat) else main[-1]
