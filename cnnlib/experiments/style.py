"""Texture and style: pictures made from what the channels of a layer have in common.

Gatys, Ecker and Bethge, "Texture Synthesis Using Convolutional Neural Networks", 2015,
https://arxiv.org/abs/1505.07376, and "A Neural Algorithm of Artistic Style", 2015,
https://arxiv.org/abs/1508.06576; Ustyuzhaninov, Brendel, Gatys and Bethge, "Texture
Synthesis Using Shallow Convolutional Networks with Random Filters", 2016,
https://arxiv.org/abs/1606.00021.

A picture here is grey, from 0 (black) to 1, (1, 1, H, W). A *look* is a function that
makes a list of maps (1, C, H, W) of it.

Differs from the papers: grey and 96x96; fewer and smaller filters; every Gram matrix
counts relative to its own length, so that no layer outweighs the others.
"""

import base64
import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from cnnlib import init, train, weights
from cnnlib.experiments import experiment, seeing
from cnnlib.models.vgg import STAGES, vgg_stages

PHOTOGRAPHS = Path(__file__).parents[1] / "datasets" / "photographs"
TEXTURES = ("brick", "grass", "gravel")
SIDE = 96  # pixels of what is copied and of what is made
CORNERS = ((20, 20), (140, 140))  # of two pieces of a photograph that do not overlap
SIZES = (3, 5, 7, 11, 15, 23)  # sides of the random filters
EACH = 24  # random filters of each side
GREY = 0.5  # what the looks take for zero
STEPS = 80  # of L-BFGS


def photograph(name):
    """The whole photograph: brick, grass and gravel (1, 1, 256, 256), the cat 96x96."""
    with Image.open(PHOTOGRAPHS / f"{name}.png") as picture:
        numbers = np.asarray(picture, np.float32) / 255
    return torch.from_numpy(numbers)[None, None].to(train.device())


def piece(name, corner=CORNERS[0], side=SIDE):
    """A square of a photograph: (1, 1, side, side)"""
    top, left = corner
    return photograph(name)[..., top : top + side, left : left + side]


# Looks


def filters(sizes=SIZES, each=EACH, seed=0):
    """Random filters (each, 1, size, size) of every size: uniform numbers, scaled to
    length 1."""
    numbers = torch.Generator().manual_seed(seed)
    drawn = [torch.rand(each, 1, size, size, generator=numbers) for size in sizes]
    return [F.normalize(2 * part - 1, dim=(1, 2, 3)) for part in drawn]


def bank(kernels, bend=F.relu):
    """The look of one layer of filters; of a picture that is made its edges are joined,
    so that it has none."""
    kernels = [kernel.to(train.device()) for kernel in kernels]

    def look(x, joined=False):
        found = []
        for kernel in kernels:
            half = kernel.shape[-1] // 2
            wide = F.pad(x, (half,) * 4, mode="circular") if joined else x
            found.append(bend(F.conv2d(wide - GREY, kernel)))
        return found

    return look


def straight(x):
    """Instead of ReLU: nothing."""
    return x


def stages(net):
    """The look of the four stages of a network of the chapter on what filters see."""

    def look(x, joined=False):
        x, found = seeing.normal(x), []
        for name in seeing.STAGES:
            stage = net.get_submodule(name)
            found.append(stage[:3](x))  # convolution, normalisation, ReLU
            x = stage[3:](found[-1])  # pooling, where there is one
        return found

    return look


def deep(seed, widths=(16, 32, 64, 128)):
    """The look of an untrained network of the VGG kind, two convolutions in a stage."""
    torch.manual_seed(seed)
    named = vgg_stages([(2, width) for width in widths], 1)
    net = nn.Sequential(named).apply(init.he).requires_grad_(False).to(train.device())
    return first_maps(net)


def first_maps(net, mean=(GREY,), std=(1.0,)):
    """The look of the first convolution of each stage of a VGG, as Gatys, Ecker and
    Bethge chose them for style; its maximum poolings become means, as they advise."""

    def look(x, joined=False):
        shift, scale = (x.new_tensor(part)[:, None, None] for part in (mean, std))
        x, found = (x - shift) / scale, []
        for stage in net.children():
            found.append(stage[:2](x))
            x = F.avg_pool2d(stage[2:-1](found[-1]), 2)
        return found

    return look


def vgg_look(source, name="vgg19"):
    """The look of a trained VGG; `source` as in `weights.read`: "torchvision", or the
    name of a file of the same format."""
    given = weights.read(source, name)
    body = vgg_stages(STAGES[int(name.removeprefix("vgg"))], 3)
    net = nn.Sequential(body).requires_grad_(False).to(train.device())
    if missing := [key for key in net.state_dict() if key not in given.state]:
        raise ValueError(f"{source} holds another network: it has no {missing[0]}.")
    net.load_state_dict({key: given.state[key] for key in net.state_dict()})
    look = first_maps(net, given.mean, given.std)
    return lambda x, joined=False: look(x.expand(-1, 3, -1, -1))


def only(look, place):
    """The look at one of the lists of maps."""
    return lambda x, joined=False: look(x, joined)[place : place + 1]


# Gram matrices


def gram(maps):
    """Means over all places of the products of two channels: (1, C, H, W) -> (C, C)"""
    flat = maps[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def apart(parts, goals):
    """How far tensors are from `goals`: squares of the differences, relative to those
    of the goal, so that each counts alike."""
    pairs = zip(parts, goals, strict=True)
    return sum((a - goal).square().sum() / goal.square().sum() for a, goal in pairs)


def noise(target, seed):
    """White noise of the mean and deviation of `target`."""
    numbers = torch.Generator().manual_seed(seed)
    drawn = torch.randn(target.shape, generator=numbers).to(target.device)
    return target.mean() + target.std() * drawn


def descend(loss, start, steps=STEPS):
    """(picture, losses): L-BFGS on the pixels, from the picture `start`."""
    x, losses = start.clone().requires_grad_(), []
    optimizer = torch.optim.LBFGS(
        [x],
        max_iter=steps,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    def closure():
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        losses.append(value.item())
        return value

    optimizer.step(closure)
    return x.detach(), losses


def texture(look, target, seed, steps=STEPS):
    """(picture, losses): noise that gets the Gram matrices of `target`."""
    goals = [gram(maps) for maps in look(target)]

    def loss(x):
        return apart([gram(maps) for maps in look(x, joined=True)], goals)

    return descend(loss, noise(target, seed), steps)


def styled(look, view, content, style, share, start, steps=STEPS):
    """(picture, losses): the maps that `view` has of `content`, which count `share`,
    and the Gram matrices that `look` has of `style`, which count 1 - share."""
    shown = view(content, joined=True)
    goals = [gram(maps) for maps in look(style)]

    def loss(x):
        grams = [gram(maps) for maps in look(x, joined=True)]
        like = apart(view(x, joined=True), shown)
        return share * like + (1 - share) * apart(grams, goals)

    return descend(loss, start, steps)


# Judges


def phases_drawn(target, seed):
    """The picture with the same power in every wave and phases drawn at random."""
    waves = torch.fft.rfft2(target)
    drawn = torch.fft.rfft2(noise(target, seed))
    turn = drawn / drawn.abs()
    turn[..., 0, 0] = 1
    return torch.fft.irfft2(waves.abs() * turn, s=target.shape[-2:])


def shuffled(target, seed):
    """The same pixels in another order."""
    numbers = torch.Generator().manual_seed(seed)
    order = torch.randperm(target.numel(), generator=numbers).to(target.device)
    return target.flatten()[order].view_as(target)


def other_filters(x, target, seed=99):
    """Distance of the covariances under filters with which nothing was made, relative
    to those of `target`: their mean over three sizes."""
    look = bank(filters((5, 9, 17), 32, seed))
    far = []
    for ours, theirs in zip(look(x), look(target), strict=True):
        a, b = (torch.cov(maps[0].flatten(1)) for maps in (ours, theirs))
        far.append(((a - b).norm() / b.norm()).item())
    return np.mean(far).item()


def contrast(x, target):
    """Distance of how much the pictures vary within small windows: of the sorted
    deviations in squares of 4x4 and 8x8, at full and half size, in deviations of those
    of `target`."""
    far = []
    for scale in (1, 2):
        for window in (4, 8):
            found = []
            for part in (x, target):
                part = F.avg_pool2d(part, scale)
                squares = F.avg_pool2d(part.square(), window, 1)
                spread = squares - F.avg_pool2d(part, window, 1).square()
                found.append(spread.clamp(min=0).sqrt().flatten().sort().values)
            ours, theirs = found
            far.append(((ours - theirs).abs().mean() / theirs.std()).item())
    return np.mean(far).item()


def waves(x, target, side=6):
    """Mean distance of the logarithms of the power in squares of waves."""
    found = []
    for part in (x, target):
        window = torch.hann_window(part.shape[-1], device=part.device)
        power = torch.fft.fft2((part - part.mean()) * window[:, None] * window)
        power = torch.fft.fftshift(power.abs().square(), (2, 3))
        means = F.avg_pool2d(power, side)
        found.append((means / means.sum() + 1e-5).log())
    return (found[0] - found[1]).abs().mean().item()


JUDGES = {"filters": other_filters, "contrast": contrast, "waves": waves}


def judged(x, target):
    """What three judges say, none of which is a loss with which a picture was made."""
    x = x.clamp(0, 1)
    return {name: judge(x, target) for name, judge in JUDGES.items()}


def packed(picture):
    """A picture as text: PNG with 16 greys."""
    greys = (picture[0, 0].clamp(0, 1) * 15).round() * 17
    file = io.BytesIO()
    Image.fromarray(greys.byte().cpu().numpy()).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def unpacked(text):
    """The picture (H, W) of such a text."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        return torch.from_numpy(np.asarray(picture, np.float32)) / 255


def looks(seed, **size):
    """(the looks that are compared by their names, accuracy of the trained network)."""
    trained, accuracy = seeing.trained(seed, **size)
    untrained = seeing.untrained(seed, size.get("images", 10_000))
    return {
        "3 to 23": bank(filters(SIZES, EACH, seed)),
        "11": bank(filters((11,), 4 * EACH, seed)),
        "3": bank(filters((3,), 4 * EACH, seed)),
        "3 to 23, no ReLU": bank(filters(SIZES, EACH, seed), straight),
        "trained on garments": stages(trained),
        "not trained": stages(untrained),
        "deep, not trained": deep(seed),
    }, accuracy


PARTS = (
    *(
        photograph,
        piece,
        filters,
        bank,
        straight,
        stages,
        deep,
        first_maps,
        gram,
        apart,
    ),
    *(noise, descend, texture, phases_drawn, shuffled, other_filters, contrast, waves),
    *(judged, packed, looks, vgg_stages, seeing.trained, seeing.untrained),
    *(seeing.network, seeing.block, init.he),
)


@experiment("style-textures", [{"seed": seed} for seed in range(3)], PARTS)
def textures(seed, steps=STEPS, **size):
    """Which filters copy a texture? {"judged": {texture: {way: what `judged` says}},
    "losses": {texture: {way: [first, last]}}, "pictures" of seed 0, "accuracy" of the
    network that was trained}.

    Controls are another piece of the photograph, its waves with phases drawn anew, its
    pixels shuffled.
    """
    ways, accuracy = looks(seed, **size)
    result = {"accuracy": accuracy, "judged": {}, "losses": {}, "pictures": {}}
    for name in TEXTURES:
        target = piece(name)
        controls = {
            "another piece": piece(name, CORNERS[1]),
            "phases drawn": phases_drawn(target, seed),
            "pixels shuffled": shuffled(target, seed),
        }
        made, result["losses"][name] = {}, {}
        for way, look in ways.items():
            made[way], losses = texture(look, target, seed, steps)
            result["losses"][name][way] = [losses[0], losses[-1]]
        result["judged"][name] = {
            way: judged(x, target) for way, x in (controls | made).items()
        }
        if seed == 0:
            result["pictures"][name] = {way: packed(x) for way, x in made.items()}
    return result
