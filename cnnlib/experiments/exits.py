"""Exits: masks from the shallow and the deep end of a U-Net++, with and without deep
supervision, and from networks of their sizes."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from cnnlib import data, init, train
from cnnlib.boxes import iou
from cnnlib.experiments import experiment
from cnnlib.experiments.googlenet import Detach
from cnnlib.experiments.transfer import conv_bn
from cnnlib.models.unet import (
    Grid,
    Up,
    convolutions,
    grid,
    nested_reads,
    unet,
    unet_nested,
    unet_reads,
)
from cnnlib.scenes import INK, TRIES, cut_out

SIDE = 32  # pixels of a scene
ZOOM = 0.4, 0.7  # of a garment
BAG, TOPS = 8, (0, 2, 3, 4, 6)  # bags, and what is worn above the legs
# What a mask is of: any garment, or bags alone.
QUESTIONS = {"any garment": (BAG, *TOPS), "bags only": (BAG,)}
WIDTHS = (8, 16, 32, 64)  # channels of the rows
# Losses of a U-Net++ of depth 3, and networks of one exit.
WAYS = {
    "supervised": (3, True),  # a loss at each exit
    "end only": (3, False),  # the other heads learn, but change nothing below them
    "depth 1 alone": (1, False),
    "depth 2 alone": (2, False),
    "U-Net": (3, False),
}
BATCH = 16


def scene(garments, random, most=3):
    """(picture uint8 (32, 32), kinds uint8 (32, 32)) with one to `most` garments of a
    list of (kind, cut-outs), from which each is drawn with the generator `random`.

    `kinds` is known to the pixel: 0 where no garment is, and 1 + its kind elsewhere.
    Boxes share less than 0.15; where `TRIES` places do not do, a garment is left out.
    """
    picture = 20 + 10 * torch.randn(SIDE, SIDE, generator=random)
    kinds, boxes = torch.zeros(SIDE, SIDE, dtype=torch.uint8), torch.zeros(0, 4)
    for _ in range(int(torch.randint(1, most + 1, (), generator=random))):
        kind, cuts = garments[int(torch.randint(len(garments), (), generator=random))]
        cut = cuts[int(torch.randint(len(cuts), (), generator=random))]
        zoom = ZOOM[0] + (ZOOM[1] - ZOOM[0]) * float(torch.rand((), generator=random))
        size = [max(round(zoom * length), 4) for length in cut.shape]
        drawn = F.interpolate(
            cut[None, None].float(), size, mode="bilinear", antialias=True
        )[0, 0]
        ink = drawn > INK
        for _ in range(TRIES):
            top, left = (
                int(torch.randint(SIDE - side + 1, (), generator=random))
                for side in size
            )
            low, right = top + size[0], left + size[1]
            box = torch.tensor([[left, top, right, low]]).float()
            if not len(boxes) or iou(box, boxes).amax() < 0.15:
                picture[top:low, left:right][ink] = drawn[ink]
                kinds[top:low, left:right][ink] = 1 + kind
                boxes = torch.cat([boxes, box])
                break
    return picture.clamp(0, 255).byte(), kinds


@cache
def scenes(number, part, seed):
    """(pictures (number, 32, 32), kinds of the same shape) of "train" or "test"
    garments: nearly half of them bags, the others of the five kinds of tops."""
    images, labels = data.fashion_mnist()[part == "test"]
    garments = [
        (kind, [cut_out(image[0]) for image in images[labels == kind]])
        for kind in (BAG, *TOPS)
    ]
    garments += 3 * garments[:1]
    random = torch.Generator().manual_seed(seed)
    made = [scene(garments, random) for _ in range(number)]
    return tuple(torch.stack(parts) for parts in zip(*made, strict=True))


def inputs(pictures, device):
    """Grey values (N, H, W) -> normalised (N, 1, H, W)"""
    x = ((pictures / 255 - data.MEAN) / data.STD)[:, None]
    return x.to(device, memory_format=torch.channels_last)


def masks(kinds, question):
    """Of kinds (N, H, W), where a garment is that the question asks for: the same
    shape, of booleans."""
    return torch.stack([kinds == 1 + kind for kind in QUESTIONS[question]]).any(0)


def network(way):
    """The network of one of WAYS, for grey scenes and one mask."""
    depth, _ = WAYS[way]
    build = unet if way == "U-Net" else unet_nested
    net = build(WIDTHS[: depth + 1], convs=1, in_channels=1, num_classes=1)
    last = {depth: net.get_submodule(f"exit{depth}")}
    if "alone" in way:
        net = Grid(net.reads, nodes_of(net), last)
    return net.apply(init.he)


def nodes_of(net):
    """{(row, column): module} of a `Grid`."""
    return {node: net.get_submodule("x{}{}".format(*node)) for node in net.reads}


def overlap(found, true):
    """Intersection over union of two masks, over all their pixels."""
    return ((found & true).sum() / (found | true).sum()).item()


@torch.no_grad()
def answers(net, x, size=100):
    """Logits of each exit for all scenes: (exits, N, H, W)"""
    net.eval()
    with train.autocast(x.device):
        parts = [torch.stack(net(part))[:, :, 0] for part in x.split(size)]
    return torch.cat(parts, 1).float()


def judged(net, x, true):
    """Overlap of each exit, from the shallowest, and last that of their mean."""
    logits = answers(net, x)
    if len(logits) > 1:
        logits = torch.cat([logits, logits.sigmoid().mean(0).logit()[None]])
    return [overlap(one > 0, true) for one in logits]


def learn(net, x, true, steps, seed, rate, supervised=True, looks=(), look=None):
    """Rows [steps so far, *look(net)] at the shares `looks` of the training: AdamW,
    one cycle, half of the scenes mirrored.

    The loss is the sum of the binary cross-entropies of all exits. Without
    `supervised` the gradient of the last alone goes below its head.
    """
    heads = [f"exit{column}" for column in net.exits[:-1]]
    for name in heads if not supervised else ():
        setattr(net, name, nn.Sequential(Detach(), net.get_submodule(name)))
    net.to(x.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    schedule = OneCycleLR(optimizer, rate, steps, cycle_momentum=False)
    generator = torch.Generator().manual_seed(seed)
    order, rows = torch.zeros(0, dtype=torch.int64), []
    for step in range(1, steps + 1):
        net.train()
        if len(order) < BATCH:
            order = torch.randperm(len(x), generator=generator)
        index, order = order[:BATCH], order[BATCH:]
        batch, wanted = x[index], true[index, None].to(x.dtype)
        turned = (torch.rand(BATCH, generator=generator) < 0.5).to(x.device)
        batch, wanted = (
            torch.where(turned.view(-1, 1, 1, 1), part.flip(3), part)
            for part in (batch, wanted)
        )
        with train.autocast(x.device):
            outputs = net(batch)
        loss = sum(
            F.binary_cross_entropy_with_logits(logits.float(), wanted)
            for logits in outputs
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step in [round(share * steps) for share in looks]:
            rows.append([step, *look(net)])
    for name in heads if not supervised else ():
        setattr(net, name, net.get_submodule(name)[1])
    return rows


TRAINING, VALIDATION, TESTS = 600, 200, 400  # scenes
TRIED = (3e-3, 1e-2, 3e-2, 1e-1)
MASKS = (
    *(scene, scenes, inputs, masks, network, nodes_of, overlap, answers, judged, learn),
    *(Grid, Up, convolutions, grid, unet, unet_nested, unet_reads, nested_reads),
    *(Detach, conv_bn, iou, cut_out, init.he),
)


def run(question, way, rate, seed, steps):
    """Overlaps on scenes of validation and on those of the test, one for each exit and
    one for the mean of several, and "history", [step, *overlaps] on validation."""
    torch.manual_seed(seed)
    device = train.device()
    net = network(way)
    pictures, kinds = scenes(TRAINING, "train", 2 * seed)
    held_out, tests = (
        (inputs(some, device), masks(of, question).to(device))
        for some, of in (
            scenes(VALIDATION, "train", 2 * seed + 1),
            scenes(TESTS, "test", 1000),
        )
    )
    history = learn(
        net,
        inputs(pictures, device),
        masks(kinds, question).to(device),
        *(steps, seed, rate, WAYS[way][1]),
        looks=(1 / 3, 2 / 3, 1),
        look=lambda net: judged(net, *held_out),
    )
    return {
        "validation": judged(net, *held_out),
        "test": judged(net, *tests),
        "history": history,
    }


@experiment(
    "exits-rates",
    [
        {"question": "bags only", "way": way, "rate": rate, "seed": 0, "steps": 150}
        for way in WAYS
        for rate in TRIED
    ],
    (*MASKS, run),
)
def rates(**setting):
    """Which learning rate suits each network? Short runs, judged on validation."""
    return run(**setting)


# The best of TRIED for each network on validation, in the rows of `rates`.
BEST = 3e-2


@experiment(
    "exits-masks",
    [
        *(
            {"question": "bags only", "way": way, "seed": seed, "steps": 400}
            for seed in range(3)
            for way in WAYS
        ),
        *(
            {"question": "any garment", "way": way, "seed": seed, "steps": 120}
            for seed in range(3)
            for way in ("supervised", "depth 1 alone")
        ),
    ],
    (*MASKS, run),
)
def overlaps(**setting):
    """What is each exit worth, on both questions, and each network of one exit?"""
    return run(rate=BEST, **setting)


@experiment(
    "exits-longer",
    [
        {"question": "bags only", "way": way, "seed": 0, "steps": 800}
        for way in ("depth 1 alone", "supervised")
    ],
    (*MASKS, run),
)
def longer(**setting):
    """Twice as many steps: were the others long enough?"""
    return run(rate=BEST, **setting)
