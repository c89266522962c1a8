"""Receptive fields: which pixels of the input the values of a network look at.

Followed from one torch operation to the next, along each axis of the picture apart, by
arithmetic on shapes: size, jump and start as in Araujo, Norris and Sim, "Computing
Receptive Fields of Convolutional Neural Networks", Distill 2019,
https://distill.pub/2019/computing-receptive-fields/. Pixels in the padding count, also
where it mirrors the map, so a start may be negative; branches see what their paths see
together, and a position sees what any of its channels sees. A field is lost (None), not
guessed, where an operation moves positions in a way that is not followed here (indexing
by a tensor, `roll`, `F.grid_sample`, a convolution of a reshaped map, paths of
different jumps) or writes into a part of a tensor.
"""

import re
from fractions import Fraction
from functools import reduce
from math import ceil, floor, gcd, inf, lcm, prod
from typing import NamedTuple

import torch
from torch.utils._pytree import tree_leaves

ELEMENTWISE = {"_prelu_kernel", "_to_copy", "channel_shuffle", "copy", "hardswish"}
ELEMENTWISE |= {"native_batch_norm"}
UNFOLLOWED_VIEWS = {"as_strided", "diagonal", "unfold"}
UNFOLLOWED_VIEWS |= {"view_as_complex", "view_as_real"}


class Field(NamedTuple):
    """What the values of a tensor see along one axis of the picture.

    `whole`: first and last pixel that they see together; `size`: pixels from the first
    to the last that one value sees, at most, None if unknown; `dims`: dimensions of the
    tensor along which the values see different pixels: one for a feature map, more
    after a reshape, none once all see the same.
    Where positions are regular, `spans` are the first and last pixel seen from each
    position of one period (one position, or several after enlarging) and `step` the
    pixels from one period to the next.
    """

    whole: tuple
    size: int | None
    dims: frozenset
    spans: tuple = ()
    step: int = 0

    def at(self, position):
        """First and last pixel seen from one position."""
        periods, phase = divmod(position, len(self.spans))
        return tuple(pixel + periods * self.step for pixel in self.spans[phase])

    @property
    def start(self):
        """First pixel that the first value sees; None if unknown."""
        return min(first for first, _ in self.spans) if self.spans else None

    @property
    def jump(self):
        """Pixels between the fields of neighbours; None if unknown."""
        jump = Fraction(self.step, len(self.spans)) if self.spans else None
        return int(jump) if jump is not None and jump.denominator == 1 else jump


def _union(spans):
    """First and last pixel of all; nothing (inf, -inf) if there are none."""
    firsts, lasts = zip((inf, -inf), *spans, strict=True)
    return min(firsts), max(lasts)


def _regular(whole, dim, spans, step):
    size = max(0, *(last - first + 1 for first, last in spans))
    return Field(whole, size, frozenset({dim}), tuple(spans), step)


def _constant(span):
    return Field(span, span[1] - span[0] + 1, frozenset(), (span,))


def start(x):
    """Let each value of the picture `x` (1, C, ...) see its own pixel."""
    x._fields = tuple(
        _regular((0, x.shape[dim] - 1), dim, [(0, 0)], 1) for dim in range(2, x.ndim)
    )


def of(tensor):
    """Fields of a tensor along the axes of the picture, None where lost; an empty
    tuple if the tensor does not depend on the picture."""
    known = getattr(tensor, "_fields", ())
    return getattr(tensor.untyped_storage(), "_lost", known)


def tensors(values):
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class _Call(NamedTuple):
    """A call of a torch operation, and its arguments by the names of its schema."""

    func: torch._ops.OpOverload
    args: tuple
    name: str
    given: dict


def follow(func, args, kwargs, result):
    """Give the tensors that the torch operation `func` returned their fields."""
    sources = [(place, x) for place, x in enumerate(tensors((args, kwargs))) if of(x)]
    if not sources:
        return
    name = func._schema.name.split("::")[1].removesuffix("_")
    schema = func._schema.arguments
    given = {a.name: a.default_value for a in schema} | kwargs
    given |= {a.name: value for a, value in zip(schema, args, strict=False)}
    call = _Call(func, args, name, given)
    for output, out in enumerate(tensors(result)):
        found = [
            [field and _through(call, field, x, place, out, output) for field in of(x)]
            for place, x in sources
        ]
        new = tuple(reduce(_join, axis) for axis in zip(*found, strict=True))
        memory = out.untyped_storage()
        in_part = out.numel() * out.itemsize < memory.nbytes()
        if func._schema.is_mutable and in_part and new != of(out):
            memory._lost = (None,) * len(new)  # for all tensors that share it
        out._fields = new


def _through(call, field, x, place, out, output):
    """What `field` of `x`, tensor `place` of the arguments, becomes in `out`, tensor
    `output` of the results; None where the operation is not followed."""
    name, given = call.name, call.given
    every = range(x.ndim)
    if name in ("cat", "stack"):
        dim = given["dim"] % out.ndim
        if name == "stack":
            return _rename(field, {d: d + (d >= dim) for d in every})
        return field._replace(spans=()) if dim in field.dims else field
    factor = place - len(tensors(call.args)) + 2  # 0 and 1, less for what is added
    if name in ("mm", "bmm", "addmm", "baddbmm") and factor >= 0:
        return _blend(field, {x.ndim - 1 - factor})
    whole_picture = name == "native_group_norm" or given.get("training")
    pointwise = torch.Tag.pointwise in call.func.tags or name in ELEMENTWISE
    if pointwise and not whole_picture:
        return _broadcast(field, x, out)
    if place > 0:
        return None
    if whole_picture:  # its mean and deviation are those of the whole picture
        return _blend(field, {0, *every[2:]})
    if (call.func.is_view or name == "_unsafe_view") and name not in UNFOLLOWED_VIEWS:
        before = torch.empty(x.shape, device="meta")
        after = tensors(call.func(before, *call.args[1:]))[output]
        return _view(field, before, after)
    if "keepdim" in given or out.ndim == 0:
        dims = given.get("dim")
        dims = [dims] if isinstance(dims, int) else dims or every
        dims = {dim % x.ndim for dim in dims}
        field = _blend(field, dims)
        if given.get("keepdim"):
            return field
        left = [dim for dim in every if dim not in dims]
        return _rename(field, {dim: place for place, dim in enumerate(left)})
    if name == "index" and out.ndim == x.ndim:  # channels chosen, say
        chosen = {
            dim for dim, index in enumerate(given["indices"]) if index is not None
        }
        return None if field.dims & chosen or len(chosen) > 1 else field
    if name in ("_softmax", "_log_softmax", "_safe_softmax"):
        return _blend(field, {given["dim"] % x.ndim})
    if name == "native_layer_norm":
        return _blend(field, {*every[-len(given["normalized_shape"]) :]})
    if name == "convolution":
        field = _blend(field, {1})
    windows = _windows(name, given, x, out)
    return windows and _look(field, windows, out)


def _rename(field, dims):
    return field._replace(dims=frozenset(dims[dim] for dim in field.dims))


def _blend(field, dims):
    """Each value now depends on all positions along `dims`."""
    left = field.dims - dims
    if left == field.dims:
        return field
    return Field(field.whole, None, left) if left else _constant(field.whole)


def _broadcast(field, x, out):
    """`x` used in an elementwise operation that returns `out`."""
    shift = out.ndim - x.ndim
    if shift < 0:  # statistics that a normalisation returns besides
        return None
    if any(x.shape[dim] < out.shape[dim + shift] for dim in field.dims):
        return _constant(field.at(0)) if field.spans else None
    return _rename(field, {dim: dim + shift for dim in range(x.ndim)})


def _view(field, before, after):
    """Dimensions moved, split, merged, cut or sliced: `after` is such a view of the
    contiguous tensor `before`, and its strides tell which dimension went where."""
    if not field.dims:
        return field
    moved = set()  # dimensions of `after` along which positions of the field change
    for dim in field.dims:
        stride, end = before.stride(dim), before.stride(dim) * before.shape[dim]
        for d, (n, s) in enumerate(zip(after.shape, after.stride(), strict=True)):
            if s < end and s * (n - 1) >= stride:
                moved.add(d)
    if field.spans:
        first = after.storage_offset() // stride % before.shape[dim]
        if not moved:
            return _constant(field.at(first))
        d = min(moved)
        move, between = divmod(after.stride(d), stride)
        if len(moved) == 1 and not between and after.shape[d] <= before.shape[dim]:
            field = field._replace(dims=frozenset(moved))
            return _look(field, {d: ([[first]], move)}, after)
    kept = prod(after.shape[d] for d in moved)
    if after.numel() == before.numel() or kept == prod(map(before.size, field.dims)):
        return field._replace(dims=frozenset(moved), spans=())
    return None  # some positions are gone: what the others see together is unknown


def _look(field, windows, out):
    """Every output looks through a window at positions of its dimension. `windows`:
    {dim: (the window, a list of positions, of each output of one period,
    positions from one period to the next)}."""
    moved = {dim for dim in field.dims if windows.get(dim, SAME) != SAME}
    if not moved:
        return field
    if not field.spans:
        return None
    (dim,) = moved
    (period, move), known = windows[dim], len(field.spans)
    turns = known // gcd(known, move)
    spans = [
        _union(field.at(turn * move + position) for position in window)
        for turn in range(turns)
        for window in period
    ]
    step = field.step * move * turns // known
    looked = field._replace(spans=spans, step=step)
    whole = _union(looked.at(position) for position in range(out.shape[dim]))
    return _regular(whole, dim, spans, step)


def _join(one, other):
    """Field of a value that is made from two."""
    if one is None or other is None or one == other:
        return one and other
    whole = _union([one.whole, other.whole])
    for covering in (one, other):
        if not covering.dims and covering.whole == whole:
            return covering
    if one.jump == other.jump and one.dims == other.dims and one.jump:
        positions = lcm(len(one.spans), len(other.spans))
        spans = [_union([one.at(i), other.at(i)]) for i in range(positions)]
        return _regular(whole, *one.dims, spans, int(one.jump * positions))
    return Field(whole, None, one.dims | other.dims)


def _windows(name, given, x, out):
    """`windows` of an operation for `_look`; None if it has none that are known."""
    if name == "convolution":
        build = _transposed if given["transposed"] else _sliding
        settings = [given[key] for key in ("stride", "padding", "dilation")]
        settings = zip(given["weight"].shape[2:], *settings, strict=True)
        return {dim: build(*setting) for dim, setting in enumerate(settings, 2)}
    if name.endswith("_pad_nd") or re.fullmatch("(reflection|replication)_pad.d", name):
        before = (given.get("pad") or given["padding"])[::2]
        return {x.ndim - 1 - i: ([[-p]], 1) for i, p in enumerate(before)}
    if name in ("pixel_shuffle", "pixel_unshuffle"):
        factor = given.get("upscale_factor") or given["downscale_factor"]
        window = [[0]] * factor, 1
        if name == "pixel_unshuffle":
            window = [range(factor)], factor
        return {x.ndim - 2: window, x.ndim - 1: window}
    kind = re.match("(_?[a-z_]+)([123])d(_with_indices)?$", name)
    if not kind:
        return None
    dims = range(x.ndim - int(kind[2]), x.ndim)
    if kind[1] in ("max_pool", "avg_pool"):
        kernel = given["kernel_size"]
        settings = kernel, given["stride"] or kernel, given["padding"]
        settings = [*settings, given.get("dilation", 1)]
        settings = [[s] if isinstance(s, int) else s for s in settings]
        settings = zip(*(s * (len(dims) // len(s)) for s in settings), strict=True)
        return {d: _sliding(*s) for d, s in zip(dims, settings, strict=True)}
    scales = [value for key, value in given.items() if key.startswith("scales")]
    for dim, scale in zip(dims, scales, strict=False):
        if scale is not None and scale * x.shape[dim] != out.shape[dim]:
            return None
    corners = given.get("align_corners", False)
    sizes = {dim: (x.shape[dim] - corners, out.shape[dim] - corners) for dim in dims}
    ratios = {dim: Fraction(size[0], size[1] or 1) for dim, size in sizes.items()}
    windows = {dim: _resized(kind[1], ratio, corners) for dim, ratio in ratios.items()}
    return None if None in windows.values() else windows


SAME = [[0]], 1


def _sliding(kernel, stride, padding, dilation):
    return [[t * dilation - padding for t in range(kernel)]], stride


def _transposed(kernel, stride, padding, dilation):
    """Output o adds up the inputs i with o = i stride - padding + t dilation."""
    return [
        [
            (o + padding - t * dilation) // stride
            for t in range(kernel)
            if (o + padding - t * dilation) % stride == 0
        ]
        for o in range(stride)
    ], 1


def _resized(kind, ratio, corners):
    """Windows of an operation that reads `ratio` inputs for every output."""
    half = 0 if corners else Fraction(1, 2)
    period = []
    for o in range(ratio.denominator):
        centre = (o + half) * ratio - half
        if kind in ("_adaptive_avg_pool", "adaptive_max_pool"):
            window = range(floor(o * ratio), ceil((o + 1) * ratio))
        elif kind == "upsample_nearest":
            window = [floor(o * ratio)]
        elif kind == "_upsample_nearest_exact":
            window = [floor(centre + half)]
        elif kind in ("upsample_linear", "upsample_bilinear", "upsample_trilinear"):
            window = [floor(centre), ceil(centre)]
        elif kind == "upsample_bicubic":
            reach = centre.denominator > 1
            window = [floor(centre) - reach, ceil(centre) + reach]
        else:
            return None
        period.append(window)
    return period, ratio.numerator
