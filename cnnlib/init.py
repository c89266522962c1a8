"""Initialisation schemes, one function each, for `net.apply(...)`.

Every function sets the weights of convolutions and dense layers in place and their
biases to zero, and leaves other modules alone. `fan_in` is the number of inputs of one
output value: in_channels / groups x kernel height x kernel width.
"""

from torch import nn

LAYERS = (nn.Conv2d, nn.Linear)


def lecun(module):
    """Uniform in +-2.4 / fan_in: LeCun et al., "Gradient-based learning applied to
    document recognition", 1998, appendix A, https://doi.org/10.1109/5.726791"""
    if isinstance(module, LAYERS):
        bound = 2.4 / module.weight[0].numel()
        nn.init.uniform_(module.weight, -bound, bound)
        _zero_bias(module)


def glorot(module):
    """Uniform with variance 2 / (fan_in + fan_out): Glorot and Bengio, "Understanding
    the difficulty of training deep feedforward neural networks", AISTATS 2010,
    https://proceedings.mlr.press/v9/glorot10a.html"""
    if isinstance(module, LAYERS):
        nn.init.xavier_uniform_(module.weight)
        _zero_bias(module)


def he(module):
    """Normal with variance 2 / fan_in: He et al., "Delving Deep into Rectifiers", ICCV
    2015, https://arxiv.org/abs/1502.01852"""
    if isinstance(module, LAYERS):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        _zero_bias(module)


def _zero_bias(module):
    if module.bias is not None:
        nn.init.zeros_(module.bias)
