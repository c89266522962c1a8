"""What a network costs: shapes, parameters, multiply-accumulates, receptive field.

Everything here is exact integer arithmetic on shapes; no image is ever processed. The
conventions, stated once: costs are for ONE image; one multiply-accumulate (MAC) is one
multiplication together with its addition; additions of biases, normalisation,
activation and pooling are not counted as MACs. Published "FLOPs" of He et al. (2015)
and torchvision's ``_ops`` are MACs in this sense; torch's FlopCounterMode counts two
operations per MAC.
"""

import copy
from typing import NamedTuple

import torch
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
PRODUCTS = {"matmul", "__matmul__", "mm", "bmm"}
POOLINGS = {"max_pool2d", "avg_pool2d"}


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
    pixels (height, width) of one output value; None where it was not followed."""

    name: str
    output_shape: tuple
    parameters: int
    macs: int
    activations: int
    receptive_field: tuple | None


class Table(tuple):
    """Rows of a cost table, one per stage; `.parameters` and `.macs` are the sums."""

    @property
    def parameters(self):
        return sum(row.parameters for row in self)

    @property
    def macs(self):
        return sum(row.macs for row in self)

    def cells(self):
        """Header, rows and total as text."""
        yield "stage", "output", "parameters", "MACs", "receptive field"
        for row in self:
            shape = " x ".join(map(str, row.output_shape)) or "-"
            field = row.receptive_field
            seen = " x ".join(map(str, field)) if field else "-"
            yield row.name, shape, f"{row.parameters:,}", f"{row.macs:,}", seen
        yield "total", "", f"{self.parameters:,}", f"{self.macs:,}", ""

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


def table(net, input_shape):
    """Costs of `net` for one image of `input_shape` (C, H, W), a row per child module.

    The net is copied to the meta device and run there in eval mode, so ImageNet-size
    networks need neither data nor time. Work that `net` does outside its children
    stands in a row "(net)".
    """
    net = copy.deepcopy(net).float().to("meta").eval()
    counter = _Counter()
    names = [name for name, _ in net.named_children()]
    for name, child in net.named_children():
        child.register_forward_pre_hook(counter.enter(name))
        child.register_forward_hook(counter.leave)
    x = torch.empty(1, *input_shape, device="meta")
    _follow(x, _Field((1, 1), (1, 1)))
    with torch.no_grad(), counter:
        net(x)
    rows = []
    for name in [*names, None]:
        module = net if name is None else net.get_submodule(name)
        own = module.parameters(recurse=name is not None)
        parameters = sum(p.numel() for p in own if p.requires_grad)
        out = counter.outputs.get(name)
        if name is None and not (parameters or counter.macs.get(None)):
            continue
        shape = () if out is None else tuple(out.shape[1:])
        values = 0 if out is None else out[0].numel()
        field = getattr(out, "_field", None)
        size = field.size if field else None
        macs = counter.macs.get(name, 0)
        rows.append(Row(name or "(net)", shape, parameters, macs, values, size))
    return Table(rows)


class _Field(NamedTuple):
    """Receptive field of one value, and the distance in input pixels of the fields of
    two neighbours; (height, width) each. Araujo, Norris and Sim, "Computing Receptive
    Fields of Convolutional Neural Networks", Distill 2019,
    https://distill.pub/2019/computing-receptive-fields/"""

    size: tuple
    jump: tuple

    def window(self, kernel, stride, dilation):
        size = tuple(
            r + (k - 1) * d * j
            for r, k, d, j in zip(self.size, kernel, dilation, self.jump, strict=True)
        )
        jump = tuple(j * s for j, s in zip(self.jump, stride, strict=True))
        return _Field(size, jump)


def _follow(tensor, field):
    tensor._field = field


class _Counter(TorchFunctionMode):
    """Sees every call of a torch function: adds up MACs per stage and follows the
    receptive field from inputs to output."""

    def __init__(self):
        super().__init__()
        self.stage = None
        self.macs, self.outputs = {}, {}

    def enter(self, name):
        def hook(module, args):
            self.stage = name

        return hook

    def leave(self, module, args, output):
        self.outputs[self.stage] = output
        self.stage = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor):
            name = getattr(func, "__name__", "")
            macs = _macs(name, args, kwargs, out)
            self.macs[self.stage] = self.macs.get(self.stage, 0) + macs
            _propagate(name, args, kwargs, out)
        return out


def _macs(name, args, kwargs, out):
    if name in CONVOLUTIONS or name == "linear":
        weight = _arguments("input weight", args, kwargs)["weight"]
        return out.numel() * weight.shape[1:].numel()
    if name in PRODUCTS:
        return out.numel() * args[0].shape[-1]
    return 0


def _propagate(name, args, kwargs, out):
    """Give `out` its receptive field, from those of the tensors it was made from."""
    sources = [tensor for tensor in _tensors(args) if hasattr(tensor, "_field")]
    if not sources:
        return
    source, field = sources[0], sources[0]._field
    if name == "conv2d":
        names = "input weight bias stride padding dilation"
        given = _arguments(names, args, kwargs)
        kernel = given["weight"].shape[2:]
        stride, dilation = given.get("stride", 1), given.get("dilation", 1)
        field = field.window(kernel, _pair(stride), _pair(dilation))
    elif name in POOLINGS:
        given = _arguments("input kernel_size stride", args, kwargs)
        kernel = _pair(given["kernel_size"])
        stride = _pair(given.get("stride") or kernel)
        field = field.window(kernel, stride, (1, 1))
    elif source.ndim == 4 and out.ndim == 4 and out.shape[2:] == source.shape[2:]:
        sizes = [tensor._field.size for tensor in sources]
        field = _Field(tuple(map(max, zip(*sizes, strict=True))), field.jump)
    elif source.ndim == 4 and (out.ndim == 2 or out.shape[2:] == (1, 1)):
        whole = source.shape[2:]
        field = field.window(whole, whole, (1, 1))
    elif source.ndim == 4:
        return  # the windows of this operation are not known here
    _follow(out, field)


def _tensors(args):
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from _tensors(arg)


def _arguments(names, args, kwargs):
    """Positional and keyword arguments of a call as one dictionary."""
    return dict(zip(names.split(), args, strict=False)) | kwargs


def _pair(value):
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values
