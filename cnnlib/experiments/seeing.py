"""Pictures that a trained network asks for, and maps of what decides for it.

Erhan, Bengio, Courville and Vincent, "Visualizing Higher-Layer Features of a Deep
Network", 2009; Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks",
2013, https://arxiv.org/abs/1312.6034; Zhou et al., "Learning Deep Features for
Discriminative Localization", 2016, https://arxiv.org/abs/1512.04150; Adebayo et al.,
"Sanity Checks for Saliency Maps", 2018, https://arxiv.org/abs/1810.03292.

A picture here is grey, from 0 (background) to 1, (N, 1, 28, 28); the networks get it
normalised. That a second network be asked whether it recognises what the first one
made is ours.
"""

import base64
import copy
import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.batch_norm import norms, remeasured
from cnnlib.models.resnet import conv_bn
from cnnlib.models.small import vgg_small

CLASSES = len(data.CLASSES)
STAGES = ("stem", "stage1", "stage2", "stage3")
# Ways to climb: weights of what is subtracted from the score, pixels of shift in each
# step, and whether the picture is made of waves instead of pixels.
WAYS = {
    "nothing": {},
    "L2": {"square": 30.0},
    "total variation": {"variation": 30.0},
    "jitter": {"jitter": 3},
    "all three": {"square": 30.0, "variation": 30.0, "jitter": 3},
    "waves and jitter": {"waves": True, "jitter": 3},
}


def block(in_channels, out_channels, kernel_size, *end):
    """A convolution with batch normalisation and ReLU, and what closes it."""
    return nn.Sequential(
        *conv_bn(in_channels, out_channels, kernel_size), nn.ReLU(), *end
    )


def network(num_classes=CLASSES):
    """Four convolutions, an average over 7x7 places and one dense layer:
    (N, 1, 28, 28) -> (N, num_classes)"""
    net = OrderedDict(
        stem=block(1, 16, 5, nn.MaxPool2d(2)),  # (N, 16, 14, 14)
        stage1=block(16, 32, 3, nn.MaxPool2d(2)),  # (N, 32, 7, 7)
        stage2=block(32, 64, 3),  # (N, 64, 7, 7)
        stage3=block(64, 96, 3),  # (N, 96, 7, 7)
        average=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (N, 96)
        head=nn.Linear(96, num_classes),
    )
    return nn.Sequential(net).apply(init.he)


# name: (builder, learning rate, epochs)
MAKERS = {"small": (network, 5e-3, 6), "VGG": (vgg_small, 1e-3, 4)}


def trained(seed, name="small", images=10_000, tests=2_000, epochs=None):
    """(network, test accuracy); in evaluation mode, its parameters need no gradient."""
    make, rate, usual = MAKERS[name]
    torch.manual_seed(seed)
    net = make()
    sets = data.fashion_mnist(images, tests)
    known = data.Batches(sets[0], 64, shuffle=True, seed=seed, device=train.device())
    held_out = data.Batches(sets[1], 1000, device=train.device())
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    *_, last = train.fit(net, known, held_out, epochs or usual, optimizer)
    return still(net), last.test_accuracy


def still(net):
    """`net` in evaluation mode, without gradients of its parameters."""
    return net.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)


def untrained(seed, images=10_000):
    """A network that has learnt nothing but the statistics of the garments."""
    torch.manual_seed(seed)
    known, _ = data.fashion_mnist(images, 1)
    device = train.device()
    return still(
        remeasured(network().to(device), data.Batches(known, 500, device=device))
    )


def normal(pictures):
    """Grey values as the networks know them."""
    return (pictures - data.MEAN) / data.STD


def grey(images):
    """`Images` as pictures on the device."""
    return images.to(train.device()) / 255


def total_variation(pictures):
    """Mean difference of neighbours, down and across: (N, 1, H, W) -> (N,)"""
    down = (pictures[..., 1:, :] - pictures[..., :-1, :]).abs().mean((1, 2, 3))
    across = (pictures[..., 1:] - pictures[..., :-1]).abs().mean((1, 2, 3))
    return down + across


def waves(z):
    """Every wave in z divided by its frequency, (N, 1, H, W) -> the same."""
    height, width = z.shape[-2:]
    down = torch.fft.fftfreq(height, device=z.device)[:, None]
    across = torch.fft.rfftfreq(width, device=z.device)
    frequency = (down**2 + across**2).sqrt().clamp(min=1 / max(height, width))
    return torch.fft.irfft2(torch.fft.rfft2(z) / frequency, s=z.shape[-2:]) / width


def climb(score, z, way, steps=200, rate=0.1, seed=0):
    """Pictures sigmoid(z) that raise score(pictures), (N,), by Adam on z."""
    z = z.clone().requires_grad_()
    shifts = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([z], lr=rate)
    square, variation = way.get("square", 0), way.get("variation", 0)
    far = way.get("jitter", 0)
    shape = waves if way.get("waves") else nn.Identity()
    for _ in range(steps):
        pictures = torch.sigmoid(shape(z))
        moved = torch.randint(-far, far + 1, (2,), generator=shifts).tolist()
        value = score(pictures.roll(moved, (2, 3)))
        value = value - square * pictures.square().mean((1, 2, 3))
        value = value - variation * total_variation(pictures)
        optimizer.zero_grad()
        (-value.sum()).backward()
        optimizer.step()
    return torch.sigmoid(shape(z)).detach()


def starts(count, seed):
    """Noise to start from, (count, 1, 28, 28)."""
    noise = torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    return noise.to(train.device())


def of_class(net, wanted):
    """The score of `climb` that is the logit of each picture's wanted class."""
    return lambda pictures: net(normal(pictures)).gather(1, wanted[:, None])[:, 0]


def recognised(net, pictures, wanted):
    """Share of the pictures that `net` puts into the wanted class."""
    with torch.no_grad():
        return (net(normal(pictures)).argmax(1) == wanted).float().mean().item()


def nearest(pictures, known):
    """Classes of the training pictures nearest to each: pixels, Euclidean."""
    images, labels = known
    distance = torch.cdist(pictures.flatten(1), grey(images).flatten(1))
    return labels.to(distance.device)[distance.argmin(1)]


def verdict(judges, pictures, wanted, known):
    """What is said of pictures: the share that each judge puts into the wanted class,
    the share whose nearest training picture is of that class, and the total variation.
    """
    shares = {who: recognised(net, pictures, wanted) for who, net in judges.items()}
    near = (nearest(pictures, known) == wanted).float().mean().item()
    return {
        "judges": shares,
        "nearest": near,
        "variation": total_variation(pictures).mean().item(),
    }


PARTS = (block, network, conv_bn, trained, still, normal, grey, init.he)
PARTS += (data.Batches, train.fit, train.evaluate, norms, remeasured, untrained)
CLIMB = (climb, waves, total_variation, starts, of_class, recognised, nearest)


@experiment(
    "seeing-judge",
    [{"seed": seed} for seed in range(3)],
    (*PARTS, *CLIMB, vgg_small, verdict),
)
def judge(seed, images=10_000, tests=2_000, epochs=None, samples=5, updates=200):
    """Who recognises the pictures that a network asks for? {"accuracy": {judge: share},
    "verdicts": {way: `verdict`}}.

    The network judges its own pictures; so do one of the same architecture and another
    seed, and one of another architecture. Besides the ways there are held-out pictures
    ("real"), the noise to start from, and what an untrained network asks for.
    """
    size = images, tests, epochs
    names = {"own": ("small", 0), "other seed": ("small", 100), "VGG": ("VGG", 0)}
    judges, accuracy = {}, {}
    for who, (name, more) in names.items():
        judges[who], accuracy[who] = trained(seed + more, name, *size)
    known, held_out = data.fashion_mnist(images, tests)
    wanted = torch.arange(CLASSES, device=train.device()).repeat_interleave(samples)
    z = starts(len(wanted), seed)
    makers = {way: (judges["own"], way) for way in WAYS}
    makers["untrained"] = (untrained(seed, images), "all three")
    pictures = {
        name: climb(of_class(net, wanted), z, WAYS[way], updates)
        for name, (net, way) in makers.items()
    }
    verdicts = {
        name: verdict(judges, made, wanted, known) for name, made in pictures.items()
    }
    verdicts["noise"] = verdict(judges, torch.sigmoid(z), wanted, known)
    labels = held_out.labels.to(train.device())
    verdicts["real"] = verdict(judges, grey(held_out.images), labels, known)
    return {"accuracy": accuracy, "verdicts": verdicts}


STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
SHOWN = (1, 4, 7)  # trouser, coat, sneaker


def packed(picture):
    """The grey values of a picture in 16 steps, two in a byte, as text: base 64."""
    digits = "".join(f"{round(15 * value):x}" for value in picture.flatten().tolist())
    return base64.b64encode(bytes.fromhex(digits)).decode()


@torch.no_grad()
def said(net, pictures, wanted):
    """What `net` says of each picture: {"wanted": probability of the wanted class in
    thousandths, "class": the most probable class, "sure": its probability}."""
    shares = net(normal(pictures)).softmax(1).float().cpu()
    best = shares.max(1)
    own = shares.gather(1, wanted.cpu()[:, None])[:, 0]
    values = {"wanted": own, "sure": best.values}
    rounded = {key: (1000 * v).round().int().tolist() for key, v in values.items()}
    return {**rounded, "class": best.indices.tolist()}


@experiment(
    "seeing-steps",
    [{"seed": seed} for seed in range(3)],
    (*PARTS, *CLIMB[:6], packed, said),
)
def steps(seed, images=10_000, tests=2_000, epochs=None, samples=3, climbed=STEPS):
    """What do the network and its judge say while a picture is made? {way: {"shares":
    {judge: the share recognised after each number of steps}, "shown": {class: {
    "pictures": `packed` after each, judge: `said` of them}}}}.

    The ways are no restraint and all three; the judge is the same network from another
    seed. The first sample of some classes is shown, of the first network.
    """
    judges = {
        who: trained(seed + more, "small", images, tests, epochs)[0]
        for who, more in (("own", 0), ("other seed", 100))
    }
    wanted = torch.arange(CLASSES, device=train.device()).repeat_interleave(samples)
    score, z = of_class(judges["own"], wanted), starts(len(wanted), seed)
    found = {}
    for way in ("nothing", "all three"):
        made = [climb(score, z, WAYS[way], count) for count in climbed]
        shares = {
            who: [recognised(net, pictures, wanted) for pictures in made]
            for who, net in judges.items()
        }
        shown = {}
        for kind in SHOWN if seed == 0 else ():
            own = torch.stack([pictures[samples * kind] for pictures in made])
            same = torch.full((len(own),), kind, device=own.device)
            words = {who: said(net, own, same) for who, net in judges.items()}
            shown[kind] = {"pictures": [packed(picture) for picture in own], **words}
        found[way] = {"shares": shares, "shown": shown}
    return found


def maps(net, pictures):
    """What each stage computes, after its ReLU and before its pooling, by name."""
    x, found = normal(pictures), {}
    for name in STAGES:
        stage = net.get_submodule(name)
        found[name] = stage[:3](x)
        x = stage[3:](found[name])
    return found


def half_plane(turn, away, size):
    """1 on one side of a line, 0 on the other: turn and away (N,) -> (N, size, size).

    `away` is the distance from the middle in pixels, in the direction `turn`.
    """
    place = torch.arange(size) - (size - 1) / 2
    turn, away = turn[:, None, None], away[:, None, None]
    distance = away - turn.cos() * place - turn.sin() * place[:, None]
    return (distance + 0.5).clamp(0, 1)


def edges(size=5, turns=24):
    """Straight edges of all directions and places, mean 0 and length 1, a row each."""
    turn = torch.arange(turns) * (2 * math.pi / turns)
    away = torch.arange(-size // 2 + 1, size // 2 + 1)
    grid = torch.cartesian_prod(turn, away.float())
    rows = half_plane(grid[:, 0], grid[:, 1], size).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    return rows / rows.norm(dim=1, keepdim=True)


def likeness(filters):
    """The largest cosine of each filter, (F, 1, 5, 5), with an edge: (F,)"""
    rows = filters.flatten(1).float().cpu()
    return (F.normalize(rows) @ edges(filters.shape[-1]).T).abs().amax(1)


# Lines that bound a shape: their directions, and whether its size moves them away.
SHAPES = ("edge", "line", "corner", "triangle", "rectangle")


def shapes(kind, count, seed, size=28):
    """Random shapes of a kind near the middle, half of them dark on light:
    (count, 1, size, size)"""
    numbers = torch.Generator().manual_seed(seed)

    def between(low, high):
        return low + (high - low) * torch.rand(count, generator=numbers)

    first, open_, long, wide = (
        *(between(0, 2 * math.pi), between(math.pi / 6, 5 * math.pi / 6)),
        *(between(1, 9), between(0.5, 2.5)),
    )
    quarter, third = math.pi / 2, 2 * math.pi / 3
    zero = torch.zeros(count)
    sides = {
        "edge": [(zero, zero)],
        "line": [(zero, wide), (zero + math.pi, wide)],
        "corner": [(zero, zero), (math.pi - open_, zero)],
        "triangle": [(zero + third * side, long / 2) for side in range(3)],
        "rectangle": [
            (zero + quarter * side, (wide + 0.5, long)[side % 2]) for side in range(4)
        ],
    }[kind]
    right, down = between(-4, 4), between(-4, 4)
    drawn = torch.ones(count, size, size)
    for turn, away in sides:
        turn = turn + first
        away = away + turn.cos() * right + turn.sin() * down
        drawn = torch.minimum(drawn, half_plane(turn, away, size))
    dark = torch.rand(count, generator=numbers)[:, None, None] < 0.5
    return torch.where(dark, 1 - drawn, drawn)[:, None]


@torch.no_grad()
def in_the_middle(net, pictures, size=500):
    """The largest answer of each unit in the middle of its map, over all pictures:
    {stage: (C,)}"""
    found = {}
    for part in pictures.split(size):
        for name, values in maps(net, part.to(train.device())).items():
            middle = values[:, :, values.shape[2] // 2, values.shape[3] // 2]
            found.setdefault(name, []).append(middle.amax(0).float().cpu())
    return {name: torch.stack(parts).amax(0) for name, parts in found.items()}


@torch.no_grad()
def strongest(net, pictures, labels, top=9, size=500):
    """Two dictionaries by stage, a number for each unit: its mean over the map of the
    picture where that is largest, and the share of the commonest class among the `top`
    pictures with the highest peaks."""
    means, peaks = {}, {}
    for part in pictures.split(size):
        for name, values in maps(net, part).items():
            means.setdefault(name, []).append(values.mean((2, 3)).float().cpu())
            peaks.setdefault(name, []).append(values.amax((2, 3)).float().cpu())
    best = {name: torch.cat(means[name]).amax(0) for name in STAGES}
    purity = {}
    for name in STAGES:
        first = torch.cat(peaks[name]).topk(top, 0).indices  # (top, C)
        counts = F.one_hot(labels.cpu()[first], CLASSES).sum(0)
        purity[name] = counts.amax(1) / top
    return best, purity


def of_unit(net, name, units):
    """The score of `climb` that is the mean of each picture's unit over its map."""
    rows = torch.arange(len(units))
    return lambda pictures: maps(net, pictures)[name][rows, units].mean((1, 2))


@experiment(
    "seeing-layers",
    [
        {"net": net, "seed": seed}
        for net in ("trained", "untrained")
        for seed in range(3)
    ],
    (
        *(*PARTS, *CLIMB[:4], maps, half_plane, edges, likeness, shapes),
        *(in_the_middle, strongest, of_unit),
    ),
)
def layers(
    net,
    seed,
    images=10_000,
    tests=2_000,
    epochs=None,
    samples=16,
    updates=200,
    pool=1000,
):
    """What do the units of each stage want? For the first stage its filters' likeness
    to edges, and to what they were at the start ("kept"); for every stage one number
    for each unit: its answer to the best edge or line as a share of that to the best
    shape ("straight"), the purity of its best pictures, and for some units the answer
    to what `climb` finds as a multiple of that to the best picture ("excess"). None
    where a unit is dead.
    """
    made = begun = untrained(seed, images)
    if net == "trained":
        made, _ = trained(seed, "small", images, tests, epochs)
    known, held_out = data.fashion_mnist(images, tests)
    by_shape = [
        in_the_middle(made, shapes(kind, pool, seed=place))
        for place, kind in enumerate(SHAPES)
    ]
    _, purity = strongest(made, grey(held_out.images), held_out.labels)
    best, _ = strongest(made, grey(known.images), known.labels)
    first, start = (one.stem[0].weight.flatten(1) for one in (made, begun))
    result = {
        "likeness": rounded(likeness(made.stem[0].weight)),
        "kept": rounded(F.cosine_similarity(first, start)),
    }
    for name in STAGES:
        answers = torch.stack([answer[name] for answer in by_shape])  # (shapes, C)
        units = torch.arange(min(samples, answers.shape[1]))
        score = of_unit(made, name, units)
        found = climb(score, starts(len(units), seed), WAYS["nothing"], updates)
        with torch.no_grad():
            reached = score(found).cpu()
        result[name] = {
            "straight": rounded(answers[:2].amax(0) / answers.amax(0)),
            "purity": rounded(purity[name]),
            "excess": rounded(reached / best[name][units]),
        }
    return result


def rounded(values):
    """A list of numbers; None for what no number is."""
    return [round(v, 4) if math.isfinite(v) else None for v in values.tolist()]


def of_logit(net, pictures, wanted):
    """(gradient of the wanted logits with respect to the pictures, the logits)"""
    x = pictures.clone().requires_grad_()
    logits = of_class(net, wanted)(x)
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    return gradient, logits.detach()


def activation_map(net, pictures, wanted):
    """The last maps, weighed as the last layer weighs their means: (N, 7, 7). Their
    mean is the logit less its bias."""
    with torch.no_grad():
        last = maps(net, pictures)[STAGES[-1]]
        return torch.einsum("nchw,nc->nhw", last, net.head.weight[wanted])


@torch.no_grad()
def occlusion(net, pictures, wanted, side=4):
    """How far the wanted logit falls when a square of the picture is black, square by
    square: (N, 28 / side, 28 / side)"""
    score = of_class(net, wanted)
    whole, squares = score(pictures), pictures.shape[-1] // side
    falls = []
    for place in range(squares**2):
        row, column = (side * part for part in divmod(place, squares))
        covered = pictures.clone()
        covered[..., row : row + side, column : column + side] = 0
        falls.append(whole - score(covered))
    return torch.stack(falls, 1).view(-1, squares, squares)


def enlarged(rough):
    """(N, 7, 7) -> (N, 28, 28)"""
    return F.interpolate(rough[:, None], scale_factor=4, mode="bilinear")[:, 0]


def guided(net):
    """A copy of `net` whose ReLUs let no negative gradient through."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_full_backward_hook(
                lambda _, given, __: (given[0].clamp(0),)
            )
    return net


METHODS = {
    "gradient": lambda net, x, y: of_logit(net, x, y)[0][:, 0].abs(),
    "gradient x picture": lambda net, x, y: (of_logit(net, x, y)[0] * x)[:, 0].abs(),
    "guided gradient": lambda net, x, y: of_logit(guided(net), x, y)[0][:, 0].abs(),
    "activation map": lambda net, x, y: enlarged(activation_map(net, x, y)),
    "occlusion": lambda net, x, y: enlarged(occlusion(net, x, y)),
}


def ranks(values):
    """The rank of each number in its row, equal ones share theirs: (N, P) -> (N, P)"""
    values, ordered = values.contiguous(), values.sort(1).values
    first = torch.searchsorted(ordered, values, right=False)
    after = torch.searchsorted(ordered, values, right=True)
    return (first + after).float() / 2


def alike(one, other):
    """Spearman's rank correlation of two maps of each picture, its mean: a number."""
    a, b = (ranks(part.flatten(1)) for part in (one, other))
    a, b = (part - part.mean(1, keepdim=True) for part in (a, b))
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return ((a * b).sum(1) / lengths.clamp(min=1e-9)).mean().item()


def forgetful(net, depth, seed, images=10_000):
    """A copy of `net` in which the last `depth` parts of five (head, stage3, ... stem)
    are drawn anew, with the statistics of the garments."""
    torch.manual_seed(seed)
    net, fresh = copy.deepcopy(net), network().to(train.device())
    for name in ("head", *reversed(STAGES))[:depth]:
        net.get_submodule(name).load_state_dict(fresh.get_submodule(name).state_dict())
    known, _ = data.fashion_mnist(images, 1)
    return still(remeasured(net, data.Batches(known, 500, device=train.device())))


def fall(net, pictures, wanted, important, share=0.2):
    """Mean fall of the wanted probability when the 4x4 squares that matter most by
    `important`, (N, 28, 28), are made black."""
    squares = F.avg_pool2d(important[:, None], 4).flatten(1)
    count = round(share * squares.shape[1])
    keep = torch.ones_like(squares).scatter(1, squares.topk(count, 1).indices, 0)
    mask = keep.view(-1, 1, 7, 7).repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        before, after = (
            net(normal(x)).softmax(1).gather(1, wanted[:, None]).mean().item()
            for x in (pictures, pictures * mask)
        )
    return before - after


@experiment(
    "seeing-maps",
    [{"seed": seed} for seed in range(3)],
    (
        *(*PARTS, maps, of_logit, of_class, activation_map, occlusion, enlarged),
        *(guided, ranks, alike, forgetful, fall),
    ),
)
def explained(seed, images=10_000, tests=2_000, epochs=None, shown=200):
    """Do maps of importance hang on what the network has learnt? {"alike": {method:
    [how alike its maps stay when 1 to 5 parts of the network are drawn anew]},
    "picture": {method: how alike they are to the picture itself}, "fall": {method: what
    the probability loses when the squares that matter most are covered}}, over pictures
    that the network puts into the right class.
    """
    net, _ = trained(seed, "small", images, tests, epochs)
    _, held_out = data.fashion_mnist(images, tests)
    x, y = grey(held_out.images), held_out.labels.to(train.device())
    with torch.no_grad():
        right = (net(normal(x)).argmax(1) == y).nonzero()[:shown, 0]
    x, y = x[right], y[right]
    others = [forgetful(net, depth, seed + 50, images) for depth in range(1, 6)]
    result = {"alike": {}, "picture": {}, "fall": {}}
    for name, method in METHODS.items():
        own = method(net, x, y)
        result["alike"][name] = [alike(own, method(other, x, y)) for other in others]
        result["picture"][name] = alike(own, x[:, 0])
        result["fall"][name] = fall(net, x, y, own)
    result["fall"]["the picture itself"] = fall(net, x, y, x[:, 0])
    result["fall"]["at random"] = fall(net, x, y, starts(len(x), seed)[:, 0])
    return result
