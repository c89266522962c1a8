"""One sentence instead of a stack trace when a picture does not fit a network."""

from functools import partial


def expects(net, name, channels, side, *, minimum=False):
    """`net`, which from now on checks the shape of what it is given.

    It takes (N, channels, side, side); with `minimum` also larger pictures. Anything
    else raises ValueError naming network, got, needed.
    """
    net.register_forward_pre_hook(partial(_check, name, channels, side, minimum))
    return net


def _check(name, channels, side, minimum, net, args):
    shape = tuple(args[0].shape)
    sides = shape[2:]
    large = minimum and all(got >= side for got in sides)
    if len(shape) == 4 and shape[1] == channels and (large or sides == (side, side)):
        return
    least = " or larger" if minimum else ""
    wanted = f"(N, {channels}, {side}, {side}){least}"
    raise ValueError(f"{name} needs images of shape {wanted}; got {shape}.")
