"""One sentence instead of a stack trace when a picture does not fit a network."""

from functools import partial


def expects(net, name, channels, side, *, minimum=False, multiple=False):
    """`net`, which from now on checks the shape of what it is given.

    It takes (N, channels, side, side); with `minimum` also larger pictures, with
    `multiple` those whose sides are multiples of `side`. Anything else raises
    ValueError naming network, got, needed.
    """
    larger = " or larger" if minimum else " or multiples of it" if multiple else ""
    net.register_forward_pre_hook(partial(_check, name, channels, side, larger))
    return net


def _check(name, channels, side, larger, net, args):
    shape = tuple(args[0].shape)
    sides = shape[2:]
    fits = {
        "": sides == (side, side),
        " or larger": all(got >= side for got in sides),
        " or multiples of it": all(got and got % side == 0 for got in sides),
    }
    if len(shape) == 4 and shape[1] == channels and fits[larger]:
        return
    wanted = f"(N, {channels}, {side}, {side}){larger}"
    raise ValueError(f"{name} needs images of shape {wanted}; got {shape}.")
