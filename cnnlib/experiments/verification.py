"""Verification: are two photographs of the same garment, one that was never seen?"""

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import OneCycleLR

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.transfer import (
    conv_bn,
    features,
    network,
    normalised,
    of_classes,
    stage,
)

# How far a view may differ from the picture: radians, and shares of the side.
TURN, SCALE, SHIFT = 0.3, 0.15, 0.1
LIGHT, NOISE = 0.4, 0.1  # share of the brightness; deviation, black to white being 1
CODE = 64  # numbers of a code
MARGIN, RATE, STEPS = 0.2, 5e-3, 250
GALLERIES = (2, 10, 50, 100, 500, 2000)
# Networks whose layer before the last is the code: they name classes, or garments.
NAMING = ("classes", "garments")
MINING = ("random", "semi-hard", "hardest")
COMPARED = ("pixels", "classes", "semi-hard")  # in the live figure
# Garments held out by whole classes: those that look alike, and those that do not.
HELD_OUT = {"tops": (2, 4, 6), "others": (1, 5, 8)}


def view(images, generator):
    """One photograph of each garment: turned, scaled, shifted, lit and noisy.

    Grey values uint8 (N, 1, H, W) -> normalised float32 of the same shape, on the
    device of `images`; all that is random comes from `generator`, on the CPU.
    """
    count, device = len(images), images.device
    numbers = torch.rand(count, 5, generator=generator) * 2 - 1
    angle, scale, right, down, light = numbers.to(device).T
    angle, scale = TURN * angle, 1 + SCALE * scale
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    # The grid runs from -1 to 1, so a side is 2.
    rows = [cosine, -sine, 2 * SHIFT * right], [sine, cosine, 2 * SHIFT * down]
    matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    x = F.grid_sample(images / 255, grid, align_corners=False)
    x = x * (1 + LIGHT * light).view(-1, 1, 1, 1)
    noise = torch.randn(x.shape, generator=generator).to(device)
    return ((x + NOISE * noise).clamp(0, 1) - data.MEAN) / data.STD


def two_views(images, seed):
    """Two photographs of each garment, a pair of batches."""
    generator = torch.Generator().manual_seed(seed)
    return view(images, generator), view(images, generator)


def contrastive(a, b, same, margin=1.0):
    """Pairs of codes (N, D) pulled together, or pushed `margin` apart: a number.

    `same` (N,) is 1 for two views of one garment and 0 for two garments. Hadsell,
    Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", 2006.
    """
    distance = F.pairwise_distance(a, b)
    pull, push = distance.square(), (margin - distance).clamp(min=0).square()
    return (same * pull + (1 - same) * push).mean() / 2


def squared(a, b):
    """Squared distances of codes: (..., D), (..., D) -> (...)."""
    return (a - b).square().sum(-1)


def triplet(anchor, positive, negative, margin=MARGIN):
    """How much nearer than `margin` the negative is, relative to the positive: a number
    from three batches of codes (N, D).

    Schroff, Kalenichenko and Philbin, "FaceNet", 2015,
    https://arxiv.org/abs/1503.03832, equation 3.
    """
    near, far = squared(anchor, positive), squared(anchor, negative)
    return (near - far + margin).clamp(min=0).mean()


def mined(way, distances, own):
    """For each anchor the index (N,) of its negative, from distances (N, N) of anchors
    to the other views; `own` (N, N) is true where both show the same thing, and the
    diagonal is the positive.

    "hardest" is the nearest; "semi-hard" the nearest beyond the positive, or the
    farthest where there is none; "random" any. FaceNet, section 3.2.
    """
    if way == "random":
        return torch.rand_like(distances).masked_fill(own, -1).argmax(1)
    others = distances.masked_fill(own, torch.inf)
    if way == "hardest":
        return others.argmin(1)
    beyond = others.masked_fill(distances <= distances.diag()[:, None], torch.inf)
    farthest = distances.masked_fill(own, -torch.inf).argmax(1)
    return torch.where(beyond.isfinite().any(1), beyond.argmin(1), farthest)


def siamese_loss(way, a, b, names, margin=MARGIN):
    """(loss, share of negatives that have one) of two batches of codes (N, D), of
    which the rows show the things `names` (N,)."""
    a, b = (F.normalize(batch.float()) for batch in (a, b))
    own = names[:, None] == names
    distances = squared(a[:, None], b)
    if way == "contrastive":
        negative = mined("random", distances, own)
        loss = contrastive(a, b, 1.0) + contrastive(a, b[negative], 0.0)
        return loss, (F.pairwise_distance(a, b[negative]) < 1).float().mean()
    negative = mined(way, distances.detach(), own)
    far = distances.gather(1, negative[:, None])[:, 0]
    active = (distances.diag() - far + margin > 0).float().mean()
    return triplet(a, b, b[negative], margin), active


def partners(labels, index, generator):
    """For each picture of `index` a random one of the same class."""
    same = labels[index][:, None] == labels
    return same.float().multinomial(1, generator=generator)[:, 0]


def learn(way, pictures, seed, steps=STEPS, of="garments", margin=MARGIN, many=48):
    """(network, rows of loss, share of active negatives and spread of the codes):
    AdamW, one cycle, a step for two views of each of `many` garments.

    `way` is "contrastive", how negatives are mined, or one of NAMING. With
    `of="classes"` the second view is one of another garment of the same class.
    """
    torch.manual_seed(seed)
    device, generator = train.device(), torch.Generator().manual_seed(seed)
    images, labels = pictures
    images = images.to(device)
    names = torch.arange(len(labels)) if "garments" in (way, of) else labels
    names = labels if way == "classes" else names
    naming = way in NAMING
    net = network(int(names.max()) + 1 if naming else CODE).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
    schedule = OneCycleLR(optimizer, RATE, max(steps, 1), cycle_momentum=False)
    rows = []
    for _ in range(steps):
        index = torch.randperm(len(labels), generator=generator)[:many]
        other = partners(labels, index, generator) if of == "classes" else index
        x = torch.cat([view(images[part], generator) for part in (index, other)])
        with train.autocast(device):
            outputs = net(x)
        shown = names[index].to(device)
        if naming:
            loss = F.cross_entropy(outputs.float(), shown.repeat(2))
        else:
            loss, active = siamese_loss(way, *outputs.chunk(2), shown, margin)
            spread = F.normalize(outputs.detach().float()).var(0).sum()
            rows.append([loss.item(), active.item(), spread.item()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net, rows


def codes(net, x, naming=False):
    """Codes of length 1, (N, D), of pictures (N, 1, 28, 28). Without a network the
    pixels themselves, less their mean; of one that is `naming`, what its last layer
    reads."""
    if net is None:
        pixels = x.flatten(1)
        return F.normalize(pixels - pixels.mean(1, keepdim=True))
    return F.normalize(features(net[:-1] if naming else net, x))


def pairs(a, b, labels, shifts=10):
    """Distances of two views' codes (N, D), a dictionary: "same" garment, "any" two
    garments, and two of one "class"."""
    by_class = [(labels == kind).nonzero()[:, 0] for kind in labels.unique()]
    steps = range(1, shifts + 1)
    return {
        "same": squared(a, b),
        "any": torch.cat([squared(a, b.roll(-step, 0)) for step in steps]),
        "class": torch.cat(
            [
                squared(a[index], b[index.roll(-step)])
                for index in by_class
                for step in steps
                if step < len(index)
            ]
        ),
    }


def rates(same, different):
    """(thresholds, false rejects, false accepts), float64, of two lists of distances.

    Pairs up to a threshold are accepted; the first accepts none.
    """
    same, different = (part.cpu().double().sort()[0] for part in (same, different))
    thresholds = torch.cat([same, different]).unique()
    thresholds = torch.cat([thresholds[:1] - 1, thresholds])
    accepted, falsely = (
        torch.searchsorted(part, thresholds, right=True).double() / len(part)
        for part in (same, different)
    )
    return thresholds, 1 - accepted, falsely


def area(same, different):
    """Area under the curve of right accepts over false accepts."""
    _, rejects, accepts = rates(same, different)
    return torch.trapezoid(1 - rejects, accepts).item()


def equal_error(same, different):
    """The rate at the threshold where false rejects and false accepts are nearest."""
    _, rejects, accepts = rates(same, different)
    place = (rejects - accepts).abs().argmin()
    return ((rejects + accepts)[place] / 2).item()


def recognised(a, b, size):
    """Share of views b whose nearest of `size` codes a is their own, over all groups of
    so many garments, in order; codes (N, D) of length 1."""
    groups = len(a) // size
    a, b = (part[: groups * size].view(groups, size, -1) for part in (a, b))
    nearest = (b @ a.transpose(1, 2)).argmax(2)
    return (nearest == torch.arange(size, device=a.device)).float().mean().item()


def judged(distances, a, b):
    """What codes are worth, from `pairs` and the codes themselves: areas, equal error
    rates and recognition."""
    same, others = distances["same"], ("any", "class")
    return {
        "area": {of: area(same, distances[of]) for of in others},
        "error": {of: equal_error(same, distances[of]) for of in others},
        "recognised": {
            size: recognised(a, b, size) for size in GALLERIES if size <= len(a)
        },
    }


def alike(codes, labels):
    """Area for another question, whether two pictures are of one class: all pairs."""
    near, far = [], []
    for place in range(1, len(codes)):
        distances = squared(codes[place], codes[:place])
        same = labels[:place] == labels[place]
        near.append(distances[same])
        far.append(distances[~same])
    return area(torch.cat(near), torch.cat(far))


PARTS = (
    *(view, two_views, contrastive, squared, triplet, mined, siamese_loss, partners),
    *(learn, codes, pairs, rates, area, equal_error, recognised, judged, alike),
    *(stage, network, conv_bn, features, of_classes, normalised, init.he),
)
SEEDS = range(3)


@experiment(
    "verification-views",
    [
        *(
            {"way": way, "updates": STEPS, "seed": seed}
            for seed in SEEDS
            for way in ("pixels", *NAMING, "contrastive", *MINING)
        ),
        *(
            {"way": way, "updates": 4 * STEPS, "seed": seed}
            for seed in SEEDS
            for way in (*NAMING, "semi-hard")
        ),
        *({"way": "classes", "updates": 0, "seed": seed} for seed in SEEDS),
        *(
            {"way": "hardest", "updates": STEPS, "seed": seed, "margin": 0.0}
            for seed in SEEDS
        ),
    ],
    PARTS,
)
def views(way, updates, seed, margin=MARGIN, kept=500):
    """Which codes tell garments apart that were never seen? What `judged` says, and
    "history", every tenth row of `learn`.

    Controls are "pixels", without a network, and no updates, a network of random
    weights. "distances", in thousandths, are `kept` of each kind of pairs, of seed 0
    and the ways that the live figure compares.
    """
    known, unseen = data.fashion_mnist()
    net, history = None, []
    if way != "pixels":
        net, history = learn(way, known, seed, updates, margin=margin)
    a, b = (
        codes(net, x.to(train.device()), way in NAMING)
        for x in two_views(unseen.images, 1000 + seed)
    )
    distances = pairs(a, b, unseen.labels)
    found = {**judged(distances, a, b), "history": history[::10]}
    if way in COMPARED and seed == 0 and 0 < updates <= STEPS:
        found["distances"] = {
            of: (1000 * part[:: -(-len(part) // kept)]).round().int().tolist()
            for of, part in distances.items()
        }
    return found


@experiment(
    "verification-classes",
    [
        {"way": way, "held_out": held_out, "seed": seed}
        for seed in SEEDS
        for held_out in HELD_OUT
        for way in ("classes", "semi-hard")
    ],
    PARTS,
)
def kinds(way, held_out, seed, updates=STEPS):
    """Are two garments of one class, three classes being held out? Areas of the trained
    codes and of pixels, for garments of "seen" classes and of those "held out"."""
    known, tests = data.fashion_mnist()
    away = HELD_OUT[held_out]
    seen = tuple(kind for kind in range(10) if kind not in away)
    net, _ = learn(way, of_classes(known, seen), seed, updates, of="classes")
    found = {}
    for name, classes in {"seen": seen, "held out": away}.items():
        x, labels = normalised(of_classes(tests, classes), train.device())
        found[name] = {
            "trained": alike(codes(net, x, way in NAMING), labels),
            "pixels": alike(codes(None, x), labels),
        }
    return found
