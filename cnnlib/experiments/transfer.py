"""Transfer: which layers to keep of a network that was trained on something else."""

import copy
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from cnnlib import data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.batch_norm import norms, remeasured
from cnnlib.models.resnet import conv_bn

# Pullover, coat and shirt stand for Tigger, Misty and neither; the others are known.
KNOWN = (0, 1, 3, 5, 7, 8, 9)
CATS = (2, 4, 6)
# Pictures of each cat: (steps of training, drawings of so many pictures)
SIZES = {5: (60, 4), 20: (80, 2), 100: (150, 1), 500: (300, 1)}
# Ways to use a network: its first stages that are frozen, those that are kept (the
# others start anew), and whether batch normalisation keeps its statistics.
WAYS = {
    "4 frozen": (4, 4, False),
    "3 frozen": (3, 4, False),
    "2 frozen": (2, 4, False),
    "1 frozen": (1, 4, False),
    "none frozen": (0, 4, False),
    "3 frozen, the last anew": (3, 3, False),
    "none frozen, statistics kept": (0, 4, True),
}


def stage(in_channels, out_channels, *end):
    """A 3x3 convolution with batch normalisation and ReLU, and what closes it."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, 3), nn.ReLU(), *end)


def network(num_classes):
    """Four convolutions and a dense layer: (N, 1, 28, 28) -> (N, num_classes)"""
    net = OrderedDict(
        stem=stage(1, 16, nn.MaxPool2d(2)),  # (N, 16, 14, 14)
        stage1=stage(16, 32, nn.MaxPool2d(2)),  # (N, 32, 7, 7)
        stage2=stage(32, 64, nn.MaxPool2d(2)),  # (N, 64, 3, 3)
        stage3=stage(64, 96, nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (N, 96)
        head=nn.Linear(96, num_classes),
    )
    return nn.Sequential(net).apply(init.he)


def of_classes(pictures, classes):
    """The `Images` of these classes, labelled 0, 1, ... in the order of `classes`."""
    masks = [pictures.labels == kind for kind in classes]
    labels = sum(place * mask for place, mask in enumerate(masks))
    chosen = torch.stack(masks).any(0)
    return data.Images(pictures.images[chosen], labels[chosen])


def cats(seed, most=500):
    """Pictures of the three cats to train on, `most` of each, and those held out.

    The first 3 n of the training pictures are n of each cat, whatever n is.
    """
    everything = map(torch.cat, zip(*data.fashion_mnist(), strict=True))
    images, labels = of_classes(data.Images(*everything), CATS)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_cat = [order[labels[order] == cat] for cat in range(len(CATS))]
    first = torch.stack([index[:most] for index in by_cat], 1).flatten()
    rest = torch.cat([index[most:] for index in by_cat])
    return [data.Images(images[index], labels[index]) for index in (first, rest)]


def normalised(pictures, device):
    """All pictures as one batch (x, y) on `device`."""
    return next(iter(data.Batches(pictures, len(pictures.labels), device=device)))


SOURCES = {
    "garments": lambda: [of_classes(part, KNOWN) for part in data.fashion_mnist()],
    "digits": lambda: data.digits(),
}


def trained_on(source, seed, epochs=6):
    """(network, its accuracy on held-out pictures of the source).

    "random" has learnt nothing, but its normalisations know the garments' statistics;
    its accuracy is None.
    """
    torch.manual_seed(seed)
    device = train.device()
    known, held_out = SOURCES["garments" if source == "random" else source]()
    batches = data.Batches(known, 64, shuffle=True, seed=seed, device=device)
    net = network(int(known.labels.max()) + 1).to(device)
    if source == "random":
        return remeasured(net, batches), None
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    tests = data.Batches(held_out, 1000, device=device)
    *_, last = train.fit(net, batches, tests, epochs, optimizer)
    return net, last.test_accuracy


def adapted(net, num_classes, seed, kept=4):
    """A network for so many classes whose first `kept` stages are copies of those of
    `net`; the head and the other stages are drawn anew."""
    torch.manual_seed(seed)
    new = network(num_classes).to(train.device())
    for place in range(kept):
        new[place].load_state_dict(net[place].state_dict())
    return new


@torch.no_grad()
def features(stages, x, size=500):
    """What `stages` make of all pictures x, in evaluation mode and float32."""
    stages.eval()
    with train.autocast(x.device):
        return torch.cat([stages(part).float() for part in x.split(size)])


def rate(frozen):
    """The peak learning rate: a head alone wants a larger one than whole stages."""
    return 0.1 if frozen == 4 else 0.005


def learn(net, x, y, frozen, steps, seed, keep_statistics=False):
    """Train all but the first `frozen` stages of `net`, in place; returns `net`.

    AdamW for so many steps on random batches of 64, one cycle. What the frozen stages
    make of x is computed once.
    """
    x, rest = features(net[:frozen], x), net[frozen:]
    optimizer = torch.optim.AdamW(rest.parameters(), lr=rate(frozen))
    schedule = OneCycleLR(optimizer, rate(frozen), steps, cycle_momentum=False)
    order = torch.Generator().manual_seed(seed)
    rest.train()
    for norm in norms(rest) if keep_statistics else ():
        norm.eval()
    for _ in range(steps):
        index = torch.randperm(len(x), generator=order)[:64].to(x.device)
        with train.autocast(x.device):
            loss = F.cross_entropy(rest(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def accuracy(net, x, y):
    """Share of the pictures x that `net` puts into the right class y."""
    return (features(net, x).argmax(1) == y).float().mean().item()


def used(net, way, size, seed, known, held_out):
    """Accuracy on `held_out` of `net` used in this way, a mean over drawings of `size`
    pictures of each cat from `known`; both are pairs (x, y)."""
    frozen, kept, keep_statistics = WAYS[way]
    steps, drawings = SIZES[size]
    shares = []
    for drawing in range(drawings):
        few = slice(3 * size * drawing, 3 * size * (drawing + 1))
        cats_net = adapted(net, len(CATS), seed + drawing, kept)
        x, y = (part[few] for part in known)
        learn(cats_net, x, y, frozen, steps, seed + drawing, keep_statistics)
        shares.append(accuracy(cats_net, *held_out))
    return sum(shares) / drawings


PARTS = (
    *(stage, network, conv_bn, of_classes, cats, normalised, trained_on, adapted),
    *(features, rate, learn, accuracy, used, norms, remeasured),
    *(init.he, data.Batches, train.fit, train.evaluate),
)


@experiment(
    "transfer-law",
    [
        {"source": source, "seed": seed}
        for seed in range(3)
        for source in ("garments", "random")
    ],
    PARTS,
)
def law(source, seed, sizes=tuple(SIZES)):
    """Do more pictures want fewer frozen stages? {"own": accuracy on the source,
    "accuracy": {size: {way: share}}}.

    "random" is the control: the same stages, which have learnt nothing. With none of
    them frozen that is training from scratch.
    """
    net, own = trained_on(source, seed)
    known, held_out = (normalised(part, train.device()) for part in cats(seed))
    ways = list(WAYS) if source == "garments" else list(WAYS)[:5]
    shares = {
        size: {way: used(net, way, size, seed, known, held_out) for way in ways}
        for size in sizes
    }
    return {"own": own, "accuracy": shares}


@experiment(
    "transfer-source",
    [{"source": "digits", "seed": seed} for seed in range(3)],
    (*PARTS, data.digits),
)
def far(source, seed, sizes=(5, 20, 100)):
    """What are stages worth that learnt something else? {"own": accuracy on the source,
    "accuracy": {size: {way: share}}, "filters": those of the stem, a row of nine each}.

    Pictures, heads and batches are those of `law` with the same seed, and the
    statistics are the garments', so that its starts differ by their weights alone.
    """
    net, own = trained_on(source, seed)
    garments, _ = SOURCES["garments"]()
    net = remeasured(net, data.Batches(garments, 500, device=train.device()))
    known, held_out = (normalised(part, train.device()) for part in cats(seed))
    ways = "4 frozen", "3 frozen", "none frozen"
    shares = {
        size: {way: used(net, way, size, seed, known, held_out) for way in ways}
        for size in sizes
    }
    filters = net.stem[0].weight.flatten(1).tolist()
    rows = [[round(weight, 3) for weight in row] for row in filters]
    return {"own": own, "accuracy": shares, "filters": rows}


@torch.no_grad()
def between(one, other, share):
    """The network so far along the straight line from `one` to `other`: of all their
    weights, biases and running statistics, this share of the way."""
    net = copy.deepcopy(one)
    mine, theirs = net.state_dict(), other.state_dict()
    for name, value in mine.items():
        if value.is_floating_point():  # all but the counters of batches
            value.lerp_(theirs[name], share)
    return net


@torch.no_grad()
def apart(one, other):
    """Distance of two networks' convolutions, in lengths of one: their mean length."""
    a, b = (
        torch.cat([p.flatten() for p in net.parameters() if p.ndim == 4])
        for net in (one, other)
    )
    return (2 * (a - b).norm() / (a.norm() + b.norm())).item()


def along(one, other, points, pictures, held_out):
    """Accuracies on the straight line between two networks, at so many equal steps:
    {"as they are": [...], "anew": [...]}, the second with the statistics of batch
    normalisation measured anew on `pictures`; and how far the two are "apart"."""
    found = {"as they are": [], "anew": [], "apart": apart(one, other)}
    batches = data.Batches(pictures, 500, device=train.device())
    for share in torch.linspace(0, 1, points).tolist():
        net = between(one, other, share)
        found["as they are"].append(accuracy(net, *held_out))
        found["anew"].append(accuracy(remeasured(net, batches), *held_out))
    return found


@experiment(
    "transfer-line",
    [{"seed": seed} for seed in range(3)],
    (*PARTS, between, apart, along),
)
def line(seed, most=500, steps=300, points=9, tests=1000):
    """Do two networks end in one valley? {"learnt, one start": `along`, ...} for two
    trainings of all stages, each with a head and batches of its own.

    "learnt" starts from stages that learnt garments, "random" from stages that learnt
    nothing; "one start" copies the same stages twice, "two starts" those of two seeds.
    """
    pictures, held_out = cats(seed, most)
    x, y = normalised(pictures, train.device())
    numbers = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(held_out.labels), generator=numbers)[:tests]
    few = data.Images(*(part[order] for part in held_out))
    lines = {}
    for name, source in ("learnt", "garments"), ("random", "random"):
        first, second = (trained_on(source, seed + more)[0] for more in (0, 50))
        ends = [
            learn(adapted(start, len(CATS), own), x, y, 0, steps, own)
            for start, own in ((first, seed), (first, seed + 50), (second, seed + 50))
        ]
        for other, starts in zip(ends[1:], ("one start", "two starts"), strict=True):
            lines[f"{name}, {starts}"] = along(
                ends[0], other, points, pictures, normalised(few, train.device())
            )
    return lines
