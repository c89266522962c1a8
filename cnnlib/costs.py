"""What a network costs: shapes, parameters, multiply-accumulates, receptive field.

Everything here is exact integer arithmetic on shapes; no image is ever processed. The
conventions, stated once: costs are for ONE image; one multiply-accumulate (MAC) is one
multiplication together with its addition; additions of biases, normalisation,
activation, pooling and other work value by value are not counted as MACs. Attention is
counted in full, with or without a mask. Published "FLOPs" of He et al. (2015) and
torchvision's ``_ops`` are MACs in this sense; torch's FlopCounterMode counts two
operations per MAC, and its formulas are used here.

What is not known is None, and "-" in the printed table: the MACs of an operation that
multiplies and adds, but has no formula here (Fourier transforms, solvers, bilinear
layers, operations from outside torch); the shape of a stage that returned several
shapes, or ran several times with different ones; receptive fields that `cnnlib.fields`
could not follow.
"""

import copy
import re
from collections import defaultdict
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from cnnlib import fields

BATCH_NORM = torch.ops.aten.native_batch_norm.default
# Operations that torch's counter leaves out: MACs from the output and the arguments.
MACS = {
    "addbmm": lambda out, added, a, b: a.numel() * b.shape[2],
    "addmv": lambda out, added, a, b: a.numel(),
    "addr": lambda out, added, a, b: a.numel() * b.numel(),
    "conv_tbc": lambda out, x, weight, *_: out[..., 0].numel() * weight.numel(),
    "dot": lambda out, a, b: a.numel(),
    "mv": lambda out, a, b: a.numel(),
    "vdot": lambda out, a, b: a.numel(),
}
# Operations that multiply and add, should they be in neither list.
UNKNOWN = re.compile(
    "mm$|mm_|mv$|conv(?!ert)|fft|linalg_(?!vector_norm)|cdist|solve|attention|_rnn"
    "|lstm|gru|sparse|trilinear(?!3d)|cholesky|householder|ormqr|inverse"
)


def output_size(size, kernel, stride=1, padding=0, dilation=1, ceil_mode=False):
    """Output positions of a convolution or pooling along one axis, as PyTorch counts.

    floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1; `ceil_mode`
    takes the ceiling, less a last window that would start in the padding
    (nn.MaxPool2d).
    Raises ValueError when the kernel is larger than the padded input.
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        raise ValueError(
            f"a kernel of {kernel} with dilation {dilation} does not fit an input of "
            f"{size} with padding {padding}: make the input at least "
            f"{size - room} or the kernel smaller."
        )
    if not ceil_mode:
        return room // stride + 1
    positions = -(-room // stride) + 1
    return positions - ((positions - 1) * stride >= size + padding)


def output_size_tensorflow(size, kernel, stride=1, padding="SAME"):
    """Output positions along one axis under TensorFlow's two paddings.

    SAME: ceil(size / stride); VALID: ceil((size - kernel + 1) / stride).
    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    if padding == "SAME":
        return -(-size // stride)
    if padding == "VALID":
        return -(-(size - kernel + 1) // stride)
    raise ValueError(f'padding is "SAME" or "VALID", not {padding!r}.')


class Row(NamedTuple):
    """Costs of one stage: `output_shape` and `activations` (values) of its output for
    one image, `parameters` (trainable), `macs`, and the `receptive_field` in input
    pixels (height, width) of one output value, with the `jump` from one value to the
    next and the `start`, the first pixel that the first value sees.

    Parameters that several stages share stand in the first of their rows only. MACs and
    activations of a stage that runs several times are added up. What is unknown is
    None; the shape of a stage that never ran is ()."""

    name: str
    output_shape: tuple | None
    parameters: int | None
    macs: int | None
    activations: int
    receptive_field: tuple | None
    jump: tuple | None
    start: tuple | None


class Table(tuple):
    """Rows of a cost table, one per stage; `.parameters` and `.macs` are the sums, None
    if a row does not know its own."""

    @property
    def parameters(self):
        return _sum(row.parameters for row in self)

    @property
    def macs(self):
        return _sum(row.macs for row in self)

    def cells(self):
        """Header, rows and total as text."""
        yield "stage", "output", "parameters", "MACs", "receptive field"
        for row in self:
            shape, seen = (
                " x ".join(map(str, sizes or "-"))
                for sizes in (row.output_shape, row.receptive_field)
            )
            yield row.name, shape, *map(_number, (row.parameters, row.macs)), seen
        yield "total", "", *map(_number, (self.parameters, self.macs)), ""

    def __repr__(self):
        rows = list(self.cells())
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for first, *others in rows:
            cells = [first.ljust(widths[0])]
            cells += [
                cell.rjust(width)
                for cell, width in zip(others, widths[1:], strict=True)
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def _repr_html_(self):
        head, *body = self.cells()
        lines = ["<table>", "<thead><tr>"]
        lines += [f'<th scope="col">{cell}</th>' for cell in head]
        lines += ["</tr></thead>", "<tbody>"]
        for first, *others in body:
            cells = "".join(f'<td align="right">{cell}</td>' for cell in others)
            lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
        return "\n".join([*lines, "</tbody></table>"])


def _sum(numbers):
    numbers = list(numbers)
    return None if None in numbers else sum(numbers)


def _number(value):
    return "-" if value is None else f"{value:,}"


def table(net, input_shape):
    """Costs of `net` for one image of `input_shape` (C, H, W), a row per child module.

    A copy of the net without values runs on the meta device in eval mode, so networks
    of any size need neither data nor time; lazy layers find their sizes in it. Work
    that `net` does outside its children stands in a row "(net)". Sequences (C, L) and
    volumes (C, D, H, W) are counted the same way. Raises ValueError if what `net`
    computes depends on the values of the picture, as in object detection.
    """
    name = type(net).__name__
    weights = [*net.parameters(), *net.buffers()]
    net = copy.deepcopy(net, {id(x): _without_values(x) for x in weights}).eval()
    counter = _Counter(net)
    x = torch.empty(1, *input_shape, device="meta")
    fields.start(x)
    try:
        with torch.no_grad(), counter:
            net(x)
    except (NotImplementedError, RuntimeError) as error:
        if "meta tensor" not in str(error) and "register_meta" not in str(error):
            raise
        raise ValueError(
            f"{name} decides by the values of a picture what it computes, so there is "
            "no bill that holds for every picture: count its parts, such as "
            f"table(net.backbone, {input_shape})."
        ) from error
    stages = [(name, child.parameters()) for name, child in net.named_children()]
    rows, counted = [], set()
    for stage, parameters in [*stages, ("(net)", net.parameters())]:
        own = [p for p in parameters if p not in counted]
        counted.update(own)
        unknown = any(map(is_lazy, own))
        trained = None if unknown else sum(p.numel() for p in own if p.requires_grad)
        macs = _sum(counter.macs[stage])
        if stage != "(net)" or (trained, macs) != (0, 0):
            rows.append(_row(stage, trained, macs, counter.outputs[stage]))
    return Table(rows)


def _without_values(x):
    """A parameter or buffer of the same shape on the meta device."""
    if is_lazy(x):
        return type(x)(device="meta", requires_grad=x.requires_grad)
    kind = torch.float32 if x.is_floating_point() else x.dtype
    empty = torch.empty(x.shape, dtype=kind, device="meta")
    if isinstance(x, torch.nn.Parameter):
        return torch.nn.Parameter(empty, x.requires_grad)
    return empty


def _row(stage, parameters, macs, outputs):
    """Row of a stage that returned `outputs`, pairs of a shape and its fields."""
    shapes = [shape for shape, _ in outputs]
    shape = _agreed(shapes) if shapes else ()
    looks = []
    for what in ("size", "jump", "start"):
        seen = _agreed([tuple(f and getattr(f, what) for f in fs) for _, fs in outputs])
        looks.append(None if not seen or None in seen else seen)
    return Row(stage, shape, parameters, macs, sum(map(prod, shapes)), *looks)


def _agreed(values):
    """The one value if there is no other."""
    return values[0] if values and values.count(values[0]) == len(values) else None


class _Counter(TorchDispatchMode):
    """Sees every torch operation of a net: collects MACs and outputs of its stages and
    follows the receptive field from the input to them."""

    def __init__(self, net):
        super().__init__()
        self.formulas = FlopCounterMode().flop_registry
        self.stage, self.running = "(net)", None
        self.macs, self.outputs = defaultdict(list), defaultdict(list)
        for name, child in net.named_children():
            for module in child.modules():  # those of a ModuleList run by themselves
                module.register_forward_pre_hook(partial(self.enter, name))
                module.register_forward_hook(self.leave)

    def enter(self, name, module, args):
        if self.running is None:
            self.stage, self.running = name, module

    def leave(self, module, args, output):
        if module is self.running:
            for x in fields.tensors(output):
                self.outputs[self.stage] += [(tuple(x.shape[1:]), fields.of(x))]
            self.stage, self.running = "(net)", None

    @staticmethod
    def run(func, args, kwargs):
        """What `func` returns: without values a batch normalisation would take most of
        the time of a bill, so it returns what has the shapes of its results."""
        if func is BATCH_NORM:
            x = args[0]
            return torch.empty_like(x), x.new_empty(0), x.new_empty(0)
        return func(*args, **kwargs)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = self.run(func, args, kwargs)
        self.macs[self.stage].append(self.count(func, args, out))
        fields.follow(func, args, kwargs, out)
        return out

    def count(self, func, args, out):
        """MACs of an operation; None if it multiplies and adds in a way not known."""
        space, name = func._schema.name.removesuffix("_").split("::")  # add_ as add
        operation = getattr(torch.ops.aten, name, None)
        if operation in self.formulas:
            return self.formulas[operation](*args, out_val=out) // 2
        if name in MACS:
            return MACS[name](out, *fields.tensors(args))
        known = space == "aten" and not UNKNOWN.search(name)
        return 0 if known else None
