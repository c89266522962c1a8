"""One sentence instead of a stack trace when a picture does not fit a network."""

from functools import partial


def expects(net, name, channels, height, width=None, *, minimum=False):
    """`net`, which from now on checks the shape of what it is given.

    It takes (N, channels, height, width), width = height unless given; with `minimum`
    also larger pictures. Anything else raises ValueError naming network, got, needed.
    """
    size = (height, width or height)
    net.register_forward_pre_hook(partial(_check, name, channels, size, minimum))
    return net


def _check(name, channels, size, minimum, net, args):
    shape = tuple(args[0].shape)
    if len(shape) == 4 and shape[1] == channels:
        sides = list(zip(shape[2:], size, strict=True))
        if shape[2:] == size or (minimum and all(got >= need for got, need in sides)):
            return
    least = " or larger" if minimum else ""
    wanted = f"(N, {channels}, {size[0]}, {size[1]}){least}"
    raise ValueError(f"{name} needs images of shape {wanted}; got {shape}.")
