"""Functions that readers write for an exercise, tried on random inputs.

An exercise of claims.yml without an `answer` asks for a function. The module named like
its chapter (`padding_stride` for padding-stride) says what the function must do:

    @trials("convolution/exercise-write-correlate")
    def correlate():
        for height, width in (1, 1), (2, 3):
            x, k = torch.randn(6, 7), torch.randn(height, width)
            yield (x, k), F.conv2d(x[None, None], k[None, None])[0, 0]

Each trial is the arguments and the right result, which comes from another program than
the one the reader is asked for. `mistake` makes the trials and says what went wrong.
"""

import importlib

import torch

TRIALS = {}


def trials(id):
    """Register the decorated generator of (arguments, result) for exercise `id`."""

    def register(make):
        TRIALS[id] = make
        return make

    return register


def find(id):
    """The generator of trials for exercise `id`; LookupError where there is none."""
    chapter = id.partition("/")[0].replace("-", "_")
    importlib.import_module(f"{__name__}.{chapter}")
    return TRIALS[id]


def mistake(id, function):
    """What `function` did wrong first, in a sentence, or None; `...` if it returns
    that, as before a reader has written it. The trials are the same every time, and
    the function works on copies of the arguments."""
    if not callable(function):
        return f"the answer is a function, and this is {_named(function)}."
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for arguments, right in find(id)():
            given = f"for {', '.join(map(_named, arguments))}"
            try:
                result = function(*map(_copied, arguments))
            except Exception as error:
                return f"{given} it raised {type(error).__name__}: {error}."
            if result is ...:
                return ...
            if fault := _fault(result, right):
                return f"{given} {fault}."
    return None


def _fault(result, right):
    """How `result` differs from `right`, or None."""
    if isinstance(right, tuple):
        if not isinstance(result, tuple | list) or len(result) != len(right):
            return f"it returned {_named(result)} and not {len(right)} values"
        faults = (_fault(*pair) for pair in zip(result, right, strict=True))
        return next(filter(None, faults), None)
    other = f"it returned {_named(result)}, not {_named(right)}"
    if isinstance(right, int | str):
        return None if result == right else other
    try:
        result = torch.as_tensor(result)  # a list of numbers or an array is as good
    except (TypeError, ValueError, RuntimeError):
        return other
    right = torch.as_tensor(right)
    if result.shape != right.shape:
        return other
    if torch.allclose(result.to(right), right, rtol=1e-3, atol=1e-4):
        return None
    largest = (result.to(right) - right).abs().max().item()
    return f"the result has the right shape but is off by up to {largest:.2g}"


def _named(value):
    """A value in a few words."""
    if isinstance(value, torch.Tensor) and value.ndim:
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list) and any(map(torch.is_tensor, value)):
        return f"({', '.join(map(_named, value))})"
    return repr(value)


def _copied(value):
    return value.clone() if isinstance(value, torch.Tensor) else value
