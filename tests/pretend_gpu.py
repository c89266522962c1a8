"""A pretend GPU: CPU tensors that answer `cuda:0` and refuse what a GPU refuses.

    with pretend_gpu():
        net = models.build("resnet_small").to(train.device())

runs what was written for a GPU on a machine without one, with real numbers, and
`python -m tests.pretend_gpu cnnlib.train ARGUMENTS` does so for a module. Like CUDA it

- refuses tensors of two devices in one operation (but for numbers of the CPU in
  arithmetic), arrays of GPU tensors, CPU tensors indexed by GPU tensors, generators of
  the other device, pinned memory on the GPU, gradients of the other device, products of
  integers, CPU tensors in collectives of several processes, and work in a fork;
- copies from device to device: what was copied does not change with its source, and
  with `non_blocking` it arrives on the CPU no sooner than at `synchronize`;
- has random numbers of its own, autocast of its own (its lists of operations are those
  of https://docs.pytorch.org/docs/stable/amp.html), and TensorFloat-32 in convolutions:
  ten bits of each factor,
  https://docs.pytorch.org/docs/stable/notes/cuda.html#tf32-on-ampere;
- saves tensors as tensors of its device, and prints them so;
- adds numbers up in another order every time: `noise` is the relative error that this
  leaves in float32 (1e-6 is usual); what has few digits, such as sums of small
  integers, is exact in every order and stays so.

What it cannot show: memory, speed, streams and their races, `torch.compile` (refused),
the fused and grouped kernels of optimisers, reduced precision in backward passes,
indices out of range, which CUDA notices late, modules' backward hooks and functions of
one's own with a backward, to which gradients look like CPU tensors.
"""

import contextlib
import functools
import math
import os
import re
import runpy
import sys
from types import FunctionType, SimpleNamespace
from unittest import mock

import torch
from torch import distributed, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import _allowed_determinism_checks_to_fns as DETERMINISM

CPU = torch.device("cpu")
TWO = (
    "Expected all tensors to be on the same device, but found at least two devices, "
    "{} and {}! (in {})"
)
INDEX = (
    "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
)
ARRAY = (
    "can't convert {} device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
    "to host memory first."
)
GENERATOR = "Expected a '{}' device type for generator but found '{}'"
FORKED = (
    "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
    "you must use the 'spawn' start method"
)


def names(text):
    return set(text.split())


# Operations by their names in Python, without underscores at the ends.
CONVOLUTIONS = {f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)}
PRODUCTS = names(
    "linear matmul rmatmul mm bmm mv dot vdot inner tensordot einsum addmm addmv addr "
    "addbmm baddbmm chain_matmul multi_dot bilinear cdist scaled_dot_product_attention"
)
SUMS = CONVOLUTIONS | PRODUCTS
SUMS |= names(
    "sum mean nansum nanmean cumsum logsumexp var std var_mean std_mean norm "
    "vector_norm matrix_norm softmax log_softmax cross_entropy_loss nll_loss mse_loss "
    "l1_loss kl_div batch_norm layer_norm group_norm instance_norm normalize "
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d upsample_bilinear2d trace prod"
)
LOWER = CONVOLUTIONS | names(  # autocast to the lower precision
    "linear matmul rmatmul mm bmm mv einsum addmm addmv addr addbmm baddbmm "
    "chain_matmul multi_dot prelu scaled_dot_product_attention"
)
FLOAT32 = names(  # autocast to float32
    "pow rpow rdiv rtruediv acos asin binary_cross_entropy_with_logits cosh "
    "cosine_embedding_loss cdist cosine_similarity cross_entropy_loss cumprod cumsum "
    "dist erfinv exp expm1 group_norm hinge_embedding_loss kl_div l1_loss layer_norm "
    "log log10 log_softmax log1p log2 margin_ranking_loss mse_loss "
    "multilabel_margin_loss multi_margin_loss nll_loss norm normalize pdist "
    "poisson_nll_loss prod reciprocal "
    "rsqrt sinh smooth_l1_loss soft_margin_loss softmax softmin softplus sum renorm "
    "tan triplet_margin_loss"
)
ELEMENTWISE = names(  # may take numbers (tensors without axes) of the CPU
    "add sub rsub mul div rdiv truediv rtruediv floordiv rfloordiv true_divide "
    "floor_divide mod rmod fmod remainder pow rpow eq ne lt le gt ge maximum minimum "
    "fmax fmin atan2 and or xor logical_and logical_or logical_xor bitwise_and "
    "bitwise_or bitwise_xor copysign hypot xlogy where masked_fill clamp clamp_min "
    "clamp_max lerp addcmul addcdiv mse_loss subtract multiply divide"
)
RANDOM = names(
    "rand randn randint randperm rand_like randn_like randint_like normal uniform "
    "bernoulli multinomial poisson exponential log_normal cauchy geometric random "
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout "
    "feature_alpha_dropout rrelu trunc_normal kaiming_uniform kaiming_normal "
    "xavier_uniform xavier_normal orthogonal sparse gumbel_softmax "
    "scaled_dot_product_attention"
)


class OnGPU(torch.Tensor):
    """A tensor of the pretended GPU; its class, one of `KINDS`, says of which."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


class StorageOnGPU(torch.UntypedStorage):
    """What a tensor of the GPU is saved from, and what a loaded one is made of."""

    @property
    def device(self):
        return self.place


GPUS = [torch.device("cuda", index) for index in range(8)]
KINDS = {gpu: type(f"OnGPU{gpu.index}", (OnGPU,), {"place": gpu}) for gpu in GPUS}
STORAGES = {
    gpu: type("UntypedStorage", (StorageOnGPU,), {"place": gpu}) for gpu in GPUS
}


class _Generators(type(torch.Generator)):
    def __instancecheck__(cls, thing):
        return isinstance(thing, torch._C.Generator)


class Generator(torch._C.Generator, metaclass=_Generators):
    """torch.Generator, for CPU and GPU."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls)
        made.where = resolve(device)
        return made

    @property
    def device(self):
        return self.where


class State:
    """Of the pretended GPUs of this process."""

    def __init__(self, count, noise, capability):
        self.count, self.noise, self.capability = count, noise, capability
        self.current = 0
        self.process = os.getpid()
        self.stream = torch._C.Generator()  # random numbers made on the GPU
        self.uniform = 2 * torch.rand(2**20, generator=torch._C.Generator()) - 1
        self.start = 0
        self.arriving = []  # pairs (CPU tensor, what it is going to be)

    @functools.cache  # noqa: B019
    def errors(self, dtype):
        """Relative errors of sums; in half precision, which rounds a sum made in
        float32, seldom, and then by the last digit."""
        eps = torch.finfo(dtype).eps
        if eps < torch.finfo(torch.float32).eps or dtype == torch.float32:
            size = self.noise * eps / torch.finfo(torch.float32).eps
            return (self.uniform * size).to(dtype)
        seldom = self.uniform.abs() > 1 - 2 * self.noise / eps
        return (self.uniform.sign() * seldom * eps).to(dtype)

    def some_errors(self, shape, dtype):
        """Others each time."""
        self.start = (self.start + 7919) % 2**19
        numel = math.prod(shape)
        many = self.errors(dtype)
        if self.start + numel > len(many):
            many = many.repeat(2 + numel // len(many))
        return many[self.start :][:numel].view(shape)

    def synchronize(self, device=None):
        while self.arriving:
            target, value = self.arriving.pop()
            target.data.copy_(value)


state = None


def fast_precision():
    """What the CPU, which does the work, is fast at: "bfloat16" or "float32"."""
    from cnnlib import train

    return str(train.precision(torch.device("cpu"))).removeprefix("torch.")


@contextlib.contextmanager
def pretend_gpu(count=1, noise=0.0, capability=(8, 0)):
    """Inside, torch sees so many GPUs of this compute capability."""
    global state
    from cnnlib import train

    before, state = state, State(count, noise, capability)
    train.precision.cache_clear()
    try:
        with contextlib.ExitStack() as stack:
            for module, functions in replacements(capability).items():
                stack.enter_context(mock.patch.multiple(module, **functions))
            stack.enter_context(mock.patch.dict(DETERMINISM, default=metadata))
            stack.enter_context(Everywhere())
            yield
    finally:
        state = before
        train.precision.cache_clear()


class Everywhere(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def replacements(capability):
    """What torch says about GPUs, by module."""
    now = state

    def current():
        return now.current

    def choose(device):
        now.current = resolve(device).index

    def seed(number):
        now.stream.manual_seed(number % 2**63 ^ 0x5DEECE66D)  # not the CPU's numbers

    def properties(device=None):
        return SimpleNamespace(
            name="Pretended GPU",
            major=capability[0],
            minor=capability[1],
            total_memory=2**33,
            multi_processor_count=1,
        )

    def compiled(*args, **kwargs):
        raise NotImplementedError("torch.compile cannot be pretended")

    def join(*args, **kwargs):
        group("gloo", *args[1:], **{k: v for k, v in kwargs.items() if k != "backend"})

    def of_gpus(collective):
        """NCCL, the default where there are GPUs, knows no CPU tensors."""

        @functools.wraps(collective)
        def checked(tensor, *args, **kwargs):
            if not isinstance(tensor, OnGPU):
                raise RuntimeError("No backend type associated with device type cpu")
            return collective(tensor, *args, **kwargs)

        return checked

    def backward(*args, **kwargs):
        """What hooks and checkpoints do meanwhile, they do where there are GPUs."""
        with torch._C._EnableTorchFunction(), Everywhere():
            return engine(*args, **kwargs)

    engine, group = torch.autograd._engine_run_backward, distributed.init_process_group
    stream = SimpleNamespace(is_capturing=lambda: False, synchronize=now.synchronize)
    accelerator = {
        "is_available": lambda: True,
        "device_count": lambda: now.count,
        "current_accelerator": lambda check_available=False: torch.device("cuda"),
        "current_device_index": current,
        "set_device_index": choose,
        "current_stream": lambda device=None: stream,
        "synchronize": now.synchronize,
    }
    cuda = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: capability >= (8, 0),
        "device_count": lambda: now.count,
        "current_device": current,
        "set_device": choose,
        "get_device_name": lambda device=None: "Pretended GPU",
        "get_device_capability": lambda device=None: capability,
        "get_device_properties": properties,
        "current_stream": lambda device=None: stream,
        "is_current_stream_capturing": lambda: False,
        "synchronize": now.synchronize,
        "manual_seed": seed,
        "manual_seed_all": seed,
        "get_rng_state": lambda device=None: now.stream.get_state(),
        "set_rng_state": lambda new, device=None: now.stream.set_state(new),
        "memory_allocated": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 0,
        "empty_cache": lambda: None,
    }
    return {
        torch: {"Generator": Generator, "compile": compiled},
        torch.autograd: {"_engine_run_backward": backward},
        torch.accelerator: accelerator,
        torch.cuda: cuda,
        torch.UntypedStorage: {"to": storage_to},
        distributed: {
            "init_process_group": join,
            "all_reduce": of_gpus(distributed.all_reduce),
            "broadcast": of_gpus(distributed.broadcast),
        },
    }


def metadata(tensor):
    """What a checkpoint remembers of a tensor; it looks while the CPU computes."""
    return {"shape": tensor.shape, "dtype": tensor.dtype}


def storage_to(storage, *, device, non_blocking=False):
    """torch.UntypedStorage.to, as `torch.load` calls it."""
    copy, device = storage.clone(), resolve(device)
    copy.__class__ = STORAGES.get(device, torch.UntypedStorage)
    return copy


def resolve(device):
    """The torch.device that is meant, with its index; None for None."""
    if device is None:
        return None
    device = GPUS[device] if isinstance(device, int) else torch.device(device)
    if device.type != "cuda":
        return device
    index = state.current if device.index is None else device.index
    if index >= state.count:
        raise RuntimeError("CUDA error: invalid device ordinal")
    return GPUS[index]


def on_gpu(device):
    return device is not None and device.type == "cuda"


def run(func, *args, **kwargs):
    """Call with GPU tensors taken as the CPU tensors that they are."""
    with torch._C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


def place(tensor):
    return tensor.place if isinstance(tensor, OnGPU) else run(DEVICE, tensor)


def tensors(x):
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(x, torch.Tensor):
        yield x
    elif isinstance(x, list | tuple):
        for y in x:
            yield from tensors(y)
    elif isinstance(x, dict):
        yield from tensors(list(x.values()))


def convert(x, change):
    """The same, with `change(tensor)` in the place of every tensor."""
    if isinstance(x, torch.Tensor):
        return change(x)
    if type(x) in (list, tuple):
        return type(x)(convert(y, change) for y in x)
    if isinstance(x, dict):
        return {key: convert(y, change) for key, y in x.items()}
    return x


def turn(tensor, device):
    """Make this very tensor one of `device`, and return it."""
    if on_gpu(device):
        if isinstance(tensor, nn.Parameter):
            tensor._is_param = True  # what isinstance asks for
        tensor.__class__ = KINDS[device]
    elif isinstance(tensor, OnGPU):
        is_parameter = tensor.__dict__.pop("_is_param", False)
        tensor.__class__ = nn.Parameter if is_parameter else torch.Tensor
    return tensor


def made_on(device, result, given=()):
    """`result` of an operation on the GPU, whose new tensors are the GPU's."""
    known = {id(tensor) for tensor in given}
    for tensor in tensors(result):
        if type(tensor) is torch.Tensor and id(tensor) not in known:
            turn(tensor, device)
    return result


HANDLERS = {}


def handles(*functions):
    def register(handler):
        HANDLERS.update(dict.fromkeys(functions, handler))
        return handler

    return register


def dispatch(func, args, kwargs):
    if handler := HANDLERS.get(func):
        return handler(func, *args, **kwargs)
    if "device" in kwargs:
        kwargs = {**kwargs, "device": resolve(kwargs["device"])}
    name = short_name(func)
    given = [*tensors(args), *tensors(kwargs)]
    in_place = is_in_place(func)
    here = common_place(name, given)
    if here and in_place and place(given[0]) != here:
        raise RuntimeError(TWO.format(here, place(given[0]), name))
    target = kwargs.get("device") or here
    generator = kwargs.get("generator")
    if generator is not None and generator.device != (target or CPU):
        wanted, found = (target or CPU).type, generator.device.type
        raise RuntimeError(GENERATOR.format(wanted, found))
    if kwargs.get("pin_memory"):
        kwargs = {k: v for k, v in kwargs.items() if k != "pin_memory"}
        return HANDLERS[torch.Tensor.pin_memory](None, dispatch(func, args, kwargs))
    if not on_gpu(target) and here is None:
        return func(*args, **kwargs)
    if os.getpid() != state.process:
        raise RuntimeError(FORKED)
    if parts := opened(func):
        with Everywhere():
            return parts(*args, **kwargs)
    if on_gpu(kwargs.get("device")):
        kwargs["device"] = CPU
    if not in_place and "out" not in kwargs:
        args, kwargs = autocasted(func, args, kwargs)
    refuse_integers(name, [*tensors(args), *tensors(kwargs)])
    out = computed(func, name, args, kwargs, in_place)
    if in_place and isinstance(out, torch.Tensor):
        return given[0]  # the object stays itself
    return made_on(target, out, given)


@functools.cache
def opened(func):
    """A function of torch that is written in Python, whose parts come to `dispatch`
    one by one instead of the whole; None where `func` is another."""
    module = getattr(func, "__module__", None)
    if module not in ("torch.nn.functional", "torch.functional"):
        return None
    if "handle_torch_function" not in getattr(func, "__globals__", ()):
        return None
    asked = ("has_torch_function", "has_torch_function_unary")
    never = dict.fromkeys((*asked, "has_torch_function_variadic"), lambda *args: False)
    copied = FunctionType(
        func.__code__,
        {**func.__globals__, **never},
        func.__name__,
        func.__defaults__,
        func.__closure__,
    )
    copied.__kwdefaults__ = func.__kwdefaults__
    return copied


@functools.cache
def short_name(func):
    """Of an operation: "add" for torch.add, Tensor.__radd__ and Tensor.add_."""
    name = getattr(func, "__name__", "")
    if name[:3] in ("__i", "__r") and name[3:-2] in ELEMENTWISE:
        return name[3:-2]
    return name.strip("_")


@functools.cache
def is_in_place(func):
    name = getattr(func, "__name__", "")
    if name.endswith("__"):
        return name[:3] == "__i" and name[3:-2] in ELEMENTWISE
    return name.endswith("_")


def common_place(name, given):
    """The GPU on which the tensors `given` are, None where none is on a GPU."""
    found = {tensor.place for tensor in given if isinstance(tensor, OnGPU)}
    if not found:
        return None
    here = found.pop()
    for tensor in given:
        there = place(tensor)
        number = there == CPU and not run(torch.Tensor.dim, tensor)
        if there != here and not (number and name in ELEMENTWISE):
            raise RuntimeError(TWO.format(here, there, name))
    return here


def refuse_integers(name, given):
    if name in PRODUCTS | CONVOLUTIONS:
        for tensor in given:
            dtype = tensor.dtype
            if not (dtype.is_floating_point or dtype.is_complex):
                raise RuntimeError(f'"{name}_cuda" not implemented for {dtype}')


def autocasted(func, args, kwargs):
    """The arguments as torch.autocast("cuda") would give them to an operation."""
    if not torch.is_autocast_enabled("cuda"):
        return args, kwargs
    name = getattr(func, "__name__", "").strip("_")
    if name in LOWER:
        dtype = torch.get_autocast_dtype("cuda")
    elif name in FLOAT32 and kwargs.get("dtype") is None:
        dtype = torch.float32
    else:
        return args, kwargs

    def cast(tensor):
        eligible = tensor.is_floating_point() and tensor.dtype != torch.float64
        return tensor.to(dtype) if eligible and isinstance(tensor, OnGPU) else tensor

    return convert(args, cast), convert(kwargs, cast)


def computed(func, name, args, kwargs, in_place):
    """The operation, on the CPU, to the precision and with the randomness of a GPU."""
    is_sum = name in SUMS and not in_place and "out" not in kwargs
    if is_sum and state.capability >= (8, 0) and reads_tf32(name):
        args, kwargs = convert(args, tf32), convert(kwargs, tf32)
    with contextlib.ExitStack() as stack:
        if name in RANDOM and kwargs.get("generator") is None:
            stack.enter_context(random_numbers())
        if torch.is_autocast_enabled("cpu"):  # is nothing to the GPU
            stack.enter_context(torch.autocast("cpu", enabled=False))
        try:
            out = run(func, *args, **kwargs)
        except NotImplementedError:
            out = in_float32(func, args, kwargs)
    return convert(out, in_another_order) if is_sum and state.noise else out


def in_float32(func, args, kwargs):
    """What the CPU cannot do in half precision, and a GPU can."""

    def change(dtype):
        return lambda x: x.to(dtype) if x.is_floating_point() else x

    low = next(x.dtype for x in tensors(args) if x.is_floating_point())
    args, kwargs = (convert(x, change(torch.float32)) for x in (args, kwargs))
    return convert(run(func, *args, **kwargs), change(low))


def reads_tf32(name):
    if name in CONVOLUTIONS:
        return torch.backends.cudnn.allow_tf32
    return name in PRODUCTS and torch.backends.cuda.matmul.allow_tf32


def tf32(tensor):
    """float32 rounded to the ten bits that a tensor core reads."""
    if tensor.dtype != torch.float32:
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        bits = tensor.detach().contiguous().view(torch.int32)
        rounded = ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
        return tensor + (rounded - tensor.detach())  # with the gradient of `tensor`


def in_another_order(tensor):
    """A sum, off by what the order of its additions changes. What has few digits was
    rounded nowhere, and is exact."""
    if not tensor.dtype.is_floating_point:
        return tensor
    half = torch.finfo(tensor.dtype).eps > 1e-4
    with torch._C.DisableTorchFunctionSubclass():
        long = (tensor.detach() * (1 if half else 1024)).frac_().ne_(0)
        errors = state.some_errors(tensor.shape, tensor.dtype)
        return tensor * (errors * long).add_(1)


@contextlib.contextmanager
def random_numbers():
    """Inside, torch's CPU functions draw from the GPU's stream."""
    cpu = torch.default_generator
    before = cpu.get_state()
    cpu.set_state(state.stream.get_state())
    try:
        yield
    finally:
        state.stream.set_state(cpu.get_state())
        cpu.set_state(before)


DEVICE = torch.Tensor.device.__get__


@handles(DEVICE)
def device_of(func, tensor):
    return place(tensor)


@handles(torch.Tensor.is_cuda.__get__)
def is_cuda(func, tensor):
    return isinstance(tensor, OnGPU)


@handles(torch.Tensor.is_cpu.__get__)
def is_cpu(func, tensor):
    return place(tensor) == CPU


@handles(torch.Tensor.get_device)
def get_device(func, tensor):
    return tensor.place.index if isinstance(tensor, OnGPU) else -1


@handles(torch._has_compatible_shallow_copy_type)
def compatible(func, *args):
    return run(func, *args)


@handles(torch.Tensor.data.__set__)
def set_data(func, tensor, new):
    run(func, tensor, new)
    turn(tensor, place(new))


@handles(torch.Tensor.grad.__get__)
def get_grad(func, tensor):
    grad = run(func, tensor)
    if grad is not None and isinstance(tensor, OnGPU):
        turn(grad, tensor.place)
    return grad


@handles(torch.Tensor.grad.__set__)
def set_grad(func, tensor, grad):
    if grad is not None and place(grad) != place(tensor):
        raise RuntimeError(
            f"attempting to assign a gradient with device type '{place(grad).type}' to "
            f"a tensor with device type '{place(tensor).type}'."
        )
    run(func, tensor, grad)


@handles(torch.Tensor.to)
def to(func, tensor, *args, **kwargs):
    target, args = kwargs.pop("device", None), list(args)
    if "other" in kwargs:
        args.insert(0, kwargs.pop("other"))
    if args and isinstance(args[0], torch.Tensor):
        args[:1] = place(args[0]), args[0].dtype
    if args and not isinstance(args[0], torch.dtype):
        target = args.pop(0)
    names = ("dtype", "non_blocking", "copy")
    kwargs |= dict(zip(names, args, strict=False))
    return moved(tensor, target, **kwargs)


@handles(torch.Tensor.cpu)
def cpu(func, tensor, **kwargs):
    return moved(tensor, CPU, **kwargs)


@handles(torch.Tensor.cuda)
def cuda(func, tensor, device=None, non_blocking=False, **kwargs):
    target = "cuda" if device is None else device
    return moved(tensor, target, non_blocking=non_blocking, **kwargs)


def moved(tensor, target, dtype=None, non_blocking=False, copy=False, **layout):
    """Tensor.to, with its arguments sorted."""
    here, target = place(tensor), resolve(target) or place(tensor)
    dtype = dtype or tensor.dtype
    if not on_gpu(here) and not on_gpu(target):
        return tensor_to(tensor, target, dtype, copy=copy, **layout)
    if os.getpid() != state.process:
        raise RuntimeError(FORKED)
    if target.type not in ("cpu", "cuda"):
        return run(tensor_to, tensor, target, dtype, **layout)
    if here == target:
        return made_on(here, run(tensor_to, tensor, dtype, copy=copy, **layout))
    result = run(tensor_to, tensor, dtype, copy=True, **layout)
    if on_gpu(target):
        return turn(result, target)
    turn(result, CPU)
    arrive(result, non_blocking)
    return result


tensor_to = torch.Tensor.to


def arrive(result, non_blocking):
    """A copy to the CPU: at once, after all before it, or when synchronised."""
    if non_blocking:
        state.arriving.append((result, result.detach().clone()))
        garbage = float("nan") if result.dtype.is_floating_point else 0
        result.data.fill_(garbage)
    else:
        state.synchronize()


@handles(torch.Tensor.copy_)
def copy_(func, tensor, source, non_blocking=False):
    run(func, tensor, source)
    if on_gpu(place(source)) and not on_gpu(place(tensor)):
        arrive(tensor, non_blocking and getattr(tensor, "_pinned", False))
    return tensor


@handles(torch.Tensor.set_)
def set_(func, tensor, *args, **kwargs):
    run(func, tensor, *args, **kwargs)
    return tensor


@handles(torch.Tensor.numpy, torch.Tensor.__array__)
def numpy(func, tensor, *args, **kwargs):
    if isinstance(tensor, OnGPU):
        if not kwargs.pop("force", False):
            raise TypeError(ARRAY.format(tensor.place))
        tensor = tensor.detach().cpu()
    return func(tensor, *args, **kwargs)


@handles(torch.Tensor.pin_memory)
def pin_memory(func, tensor, device=None):
    if isinstance(tensor, OnGPU):
        raise RuntimeError(
            f"cannot pin '{tensor.place}' tensor: only dense CPU tensors can be pinned"
        )
    pinned = tensor.clone()
    pinned._pinned = True
    return pinned


@handles(torch.Tensor.is_pinned)
def is_pinned(func, tensor, device=None):
    return getattr(tensor, "_pinned", False)


@handles(torch.Tensor.__getitem__, torch.Tensor.__setitem__)
def item(func, tensor, index, *value):
    check_index(tensor, index, value)
    if isinstance(tensor, OnGPU):
        return made_on(tensor.place, run(func, tensor, index, *value))
    there = any(isinstance(new, OnGPU) for new in tensors(value))
    return run(func, tensor, index, *value) if there else func(tensor, index, *value)


@handles(torch.Tensor.index_put_, torch.Tensor.index_put, torch.index_put)
def index_put(func, tensor, index, value, accumulate=False):
    check_index(tensor, index, [value])
    if not isinstance(tensor, OnGPU):
        return run(func, tensor, index, value, accumulate)
    out = run(func, tensor, index, value, accumulate)
    return tensor if is_in_place(func) else made_on(tensor.place, out)


def check_index(tensor, index, value):
    """An index may be on the CPU or where the tensor is; what is written to the places
    that a tensor names must be there, unless it is a single number; a slice may be
    copied from anywhere."""
    indices = list(tensors(index))
    here = place(tensor)
    for each in indices:
        if place(each) not in (here, CPU):
            raise RuntimeError(INDEX)
    for new in tensors(value):
        if indices and place(new) != here and run(torch.Tensor.dim, new):
            raise RuntimeError(TWO.format(here, place(new), "index_put_"))


@handles(torch.tensor, torch.as_tensor, torch.asarray)
def tensor_of(func, content, **kwargs):
    """Of a list of numbers on the GPU: they are fetched one by one."""
    if isinstance(content, torch.Tensor):
        target = resolve(kwargs.pop("device", None))
        out = run(func, content, **kwargs)
        out = out if out is content else made_on(place(content), out)
        return out if target in (None, place(content)) else moved(out, target)
    target = resolve(kwargs.get("device"))
    if not on_gpu(target):
        return run(func, content, **kwargs)
    return turn(run(func, content, **{**kwargs, "device": CPU}), target)


@handles(torch.Tensor.__repr__)
def representation(func, tensor, *, tensor_contents=None):
    if not isinstance(tensor, OnGPU):
        return func(tensor, tensor_contents=tensor_contents)
    gpu = tensor.place
    text = repr(turn(tensor, CPU))
    turn(tensor, gpu)
    rest = re.search(r"(, (size|dtype|grad_fn|requires_grad)=[^\n]*)?\)$", text).start()
    return f"{text[:rest]}, device='{tensor.place}'{text[rest:]}"


@handles(torch.Tensor.__format__)
def formatted(func, tensor, specification):
    if not isinstance(tensor, OnGPU):
        return func(tensor, specification)
    if specification and tensor.dim():
        raise TypeError("unsupported format string passed to Tensor.__format__")
    return format(repr(tensor) if tensor.dim() else tensor.item(), specification)


@handles(torch.Tensor.register_hook, torch.Tensor.register_post_accumulate_grad_hook)
def register_hook(func, tensor, hook):
    if not isinstance(tensor, OnGPU):
        return func(tensor, hook)
    return run(func, tensor, lambda grad: hook(made_on(tensor.place, grad)))


@handles(torch.Tensor.__deepcopy__, nn.Parameter.__deepcopy__)
def deepcopy(func, tensor, memo):
    if not isinstance(tensor, OnGPU):
        return func(tensor, memo)
    if id(tensor) not in memo:
        if not tensor.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support "
                "the deepcopy protocol at the moment."
            )
        same = tensor.detach().clone().requires_grad_(tensor.requires_grad)
        same.__dict__.update(tensor.__dict__)
        memo[id(tensor)] = same
        if tensor.grad is not None and not isinstance(tensor, nn.Parameter):
            same.grad = tensor.grad.clone()  # which a parameter's copy has not
    return memo[id(tensor)]


@handles(torch.Tensor.__reduce_ex__, nn.Parameter.__reduce_ex__)
def reduced(func, tensor, protocol):
    """How a tensor is pickled: its storage says on which device it was."""
    if not isinstance(tensor, OnGPU):
        return func(tensor, protocol)
    if isinstance(tensor, nn.Parameter):
        arguments = tensor.detach(), tensor.requires_grad, {}
        return torch._utils._rebuild_parameter, arguments
    build, arguments = run(torch.Tensor._reduce_ex_internal, tensor, protocol)
    arguments[0]._untyped_storage.__class__ = STORAGES[tensor.place]
    return build, arguments


def main():
    """Run the module that the arguments name, where there are eight GPUs."""
    del sys.argv[0]
    with pretend_gpu(count=len(GPUS)):
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
