"""Every map of a trained LeNet, its units written out as the sums they are."""

import base64
import copy
import io
from html import escape

import matplotlib.figure
import numpy as np
import torch
from PIL import Image
from torch import nn

from cnnlib import data, measured
from cnnlib.figures import weights
from cnnlib.figures.figure import Figure
from cnnlib.figures.weights import packed, weighted, whole_numbers

ACTIVATIONS = {nn.ReLU: "ReLU", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh"}
POOLINGS = {nn.MaxPool2d: "max", nn.AvgPool2d: "average"}
INK = matplotlib.colormaps["gray_r"].with_extremes(bad="0.8")  # between maps: grey


def microscope(
    net=None, pictures=None, classes=data.CLASSES, mean=data.MEAN, std=data.STD
):
    """A `Figure` in which `net` classifies a picture that one picks, draws or shifts.

    It shows every map, and writes out the multiply-adds of any unit. `net` is a chain
    of the layers of `lenet`; what the figure computes is what `rounded(net)` computes.
    `pictures` are `data.Images` of 28x28 pixels; the first is shown at the start and in
    the still form. `classes` are the names of the answers; `mean` and `std` normalise
    as in `data.Batches`. Without a network it shows those of `cnnlib.figures.weights`,
    of which one reads digits and the other, behind a switch, garments. Raises
    ValueError for a layer of another kind, and for a network without pictures.
    """
    if net is None:
        (name, stored), *others = ((name, _stored(name)) for name in weights.SETS)
        net, pictures, classes, mean, std = stored
        more = [{"name": other, **_content(*rest)} for other, rest in others]
        switch = {"name": name, "others": more}
    elif pictures is None:
        raise ValueError("a network needs pictures to read: give some data.Images.")
    else:
        switch = {}
    layers = describe(net)
    images = pictures.images.numpy()
    content = {
        "layers": layers,
        **_content(net, pictures, classes, mean, std),
        **switch,
    }
    maps = _maps(rounded(net), (images[0] / 255 - mean) / std)
    still = (
        "<p>A picture, what each layer makes of it, and the answer. Where scripts run, "
        "it is drawn, shifted and taken apart unit by unit.</p>"
        f"<!--{measured('-->' + _still(maps, layers, images[0], classes) + '<!--')}-->"
    )
    line = "A trained network, to look into unit by unit."
    return Figure("microscope", still, content, line, ["shift"])


def _stored(name):
    """Network, two test pictures of each class, names of the classes, mean and std."""
    pictures, classes, scale = weights.SETS[name]
    images, labels = pictures()[1]
    order = [
        int((labels == k).nonzero()[n]) for n in (0, 1) for k in range(len(classes))
    ]
    shown = data.Images(images[order], labels[order])
    return weights.load(name), shown, classes, scale["mean"], scale["std"]


def _content(net, pictures, classes, mean, std):
    """What the script needs of a network besides its layers."""
    return {
        "weights": measured(_text(packed(net))),
        "pictures": _text(pictures.images.numpy().tobytes()),
        "labels": pictures.labels.tolist(),
        "classes": classes,
        "mean": mean,
        "std": std,
    }


def rounded(net):
    """A copy of `net` on the CPU with each weight rounded to one of 255 multiples of a
    step; every filter of a convolution and every unit of a dense layer has its own."""
    net = copy.deepcopy(net).cpu().float().eval()
    with torch.no_grad():
        for layer in weighted(net):
            whole, step = whole_numbers(layer.weight)
            layer.weight.copy_((whole.float().flatten(1) * step).view_as(whole))
    return net


def describe(net):
    """The layers of `net` as dictionaries, an activation with the layer before it.

    Raises ValueError for a layer that the figure cannot show.
    """
    layers = []
    for name, module in net.named_modules():
        if type(module) in ACTIVATIONS and layers:
            layers[-1]["activation"] = ACTIVATIONS[type(module)]
        elif type(module) not in (nn.Sequential, nn.Flatten):
            stage = name.partition(".")[0]
            title = stage.upper() if len(stage) < 3 else stage.capitalize()
            layers.append({"name": title, **_layer(name, module)})
    return layers


def _layer(name, module):
    """Kind and sizes of a layer; `inputs` is how many values one of its units reads."""
    if type(module) is nn.Linear:
        sizes = {"units": module.out_features, "inputs": module.in_features}
        return {"kind": "dense", **sizes}
    if type(module) in POOLINGS:
        kernel = module.kernel_size
        if isinstance(kernel, int) and kernel == module.stride and not module.padding:
            pooling = POOLINGS[type(module)]
            return {"kind": "pooling", "pooling": pooling, "kernel": kernel}
    if type(module) is nn.Conv2d:
        kernel, padding = module.kernel_size[0], module.padding[0]
        plain = nn.Conv2d(*module.weight.shape[1::-1], kernel, padding=padding)
        if str(module) == str(plain):
            sizes = {"units": module.out_channels, "inputs": module.weight[0].numel()}
            places = {"kernel": kernel, "padding": padding}
            return {"kind": "convolution", **sizes, **places}
    raise ValueError(
        f"cannot show layer {name!r}, {module}: only square convolutions with "
        "stride 1, max and average pooling without overlap, dense layers, and after "
        "one of these ReLU, sigmoid or tanh."
    )


def _text(content):
    return base64.b64encode(content).decode("ascii")


def _still(maps, layers, image, classes):
    """An <img> of the input, the maps of each layer and the answer."""
    shares = maps[-1].softmax(0)
    top = int(shares.argmax())
    answer = f"{classes[top]}, {100 * shares[top]:.1f} %"
    drawn, small = io.BytesIO(), io.BytesIO()
    _drawing(image[0], layers, maps, classes, answer).savefig(drawn, dpi=200)
    Image.open(drawn).convert("L").quantize(16).save(small, "PNG", optimize=True)
    alt = (
        f"The picture, beside it the maps of {len(maps) - 1} layers, and "
        f"bars of the classes: the network says {answer}."
    )
    source = f"data:image/png;base64,{_text(small.getvalue())}"
    return f'<img src="{source}" alt="{escape(alt)}" width="720">'


def _maps(net, image):
    """What each layer of `describe(net)` makes of a normalised picture (1, 28, 28)."""
    x, maps = torch.from_numpy(image[None]).float(), []
    with torch.no_grad():
        for module in net.modules():
            if type(module) is not nn.Sequential:
                x = module(x)
                if type(module) in ACTIVATIONS:
                    maps[-1] = x[0]
                elif type(module) is not nn.Flatten:
                    maps.append(x[0])
    return maps


def _drawing(image, layers, maps, classes, answer):
    """Input and answer on the left, the maps of the other layers on the right."""
    figure = matplotlib.figure.Figure(figsize=(7.2, 5.4))
    left, right = figure.add_gridspec(
        1, 2, width_ratios=(1, 2.2), left=0.1, right=0.99, top=0.95, bottom=0.01
    )
    above, below = left.subgridspec(2, 1, hspace=0.1)
    ax = figure.add_subplot(above, xticks=[], yticks=[])
    ax.imshow(image, cmap="gray_r")
    ax.spines[:].set_color("0.7")
    ax.set_title("input", loc="left", fontsize=9)
    ax = figure.add_subplot(below, xticks=[], xlim=(0, 1))
    ax.barh(classes, 1, color="0.94")
    ax.barh(classes, maps[-1].softmax(0).tolist(), color="0.4")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=8)
    ax.set_title(answer, loc="left", fontsize=9)
    sheets = [_sheet(values.numpy()) for values in maps[:-1]]
    ratios = [sheet.shape[0] / sheet.shape[1] for sheet in sheets]
    rows = right.subgridspec(len(sheets), 1, height_ratios=ratios, hspace=0.35)
    for row, layer, sheet in zip(rows, layers, sheets, strict=False):
        ax = figure.add_subplot(row)
        ax.imshow(sheet, cmap=INK, aspect="auto")
        ax.axis("off")
        ax.set_title(layer["name"], loc="left", fontsize=9, pad=2)
    return figure


def _sheet(values):
    """Maps (C, H, W) side by side, at most eight in a row; units (N,) in two rows."""
    if values.ndim == 1:
        return np.pad(values, (0, len(values) % 2)).reshape(2, -1)
    gap, columns = max(1, values.shape[2] // 10), min(len(values), 8)
    space = [(0, -len(values) % columns), (0, gap), (0, gap)]
    framed = np.pad(values, space, constant_values=np.nan)
    rows = framed.reshape(-1, columns, *framed.shape[1:])
    return rows.transpose(0, 2, 1, 3).reshape(-1, columns * framed.shape[2])
