"""Early exit: a classifier that answers at the first of its heads that is sure."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import costs, data, init, train
from cnnlib.experiments import experiment
from cnnlib.experiments.googlenet import exits
from cnnlib.experiments.transfer import conv_bn, normalised, stage
from cnnlib.models.googlenet import GoogLeNet

CHANNELS = (16, 32, 64, 96)
SHARES = (0.5, 0.7, 1)  # of these channels, in networks of one exit
THRESHOLDS = (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999, 1.01)
STEPS, RATE = 200, 5e-3
NOISE = 0.25  # deviation, black to white being 1, of what the threshold never saw


def pooled(channels):
    """The head of an exit: (N, channels, H, W) -> (N, 10)"""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def classifier(heads=True, share=1):
    """Four convolutions for (N, 1, 28, 28), with exits after the second and the third
    and at the end, or with that at the end alone; `share` scales the channels."""
    c0, c1, c2, c3 = (round(share * channels) for channels in CHANNELS)
    stages = OrderedDict(
        stage0=stage(1, c0, nn.MaxPool2d(2)),  # (N, c0, 14, 14)
        stage1=stage(c0, c1, nn.MaxPool2d(2)),  # (N, c1, 7, 7)
        stage2=stage(c1, c2, nn.MaxPool2d(2)),  # (N, c2, 3, 3)
        stage3=stage(c2, c3),
        head=pooled(c3),
    )
    early = {"stage1": pooled(c1), "stage2": pooled(c2)} if heads else {}
    return GoogLeNet(stages, early).apply(init.he)


def bills(net):
    """MACs of a picture that leaves at each exit, with the heads that it passed."""
    found, heads = [], 0
    for chain in exits(net).values():
        found.append(heads + costs.table(chain, (1, 28, 28)).macs)
        heads += costs.table(chain, (1, 28, 28))[-1].macs
    return found


def learn(net, pictures, seed, steps=STEPS):
    """AdamW, one cycle, batches of 64; the loss is the sum over the exits."""
    device = train.device()
    net.to(device)
    batches = data.Batches(pictures, 64, shuffle=True, seed=seed, device=device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, steps, cycle_momentum=False
    )
    done = 0
    while done < steps:
        for x, y in batches:
            net.train()
            with train.autocast(device):
                outputs = net(x)
            loss = sum(F.cross_entropy(logits.float(), y) for logits in outputs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    return net


@torch.no_grad()
def said(net, x):
    """(confidence, class), each (exits, N): what each exit finds most probable."""
    net.eval()
    with train.autocast(x.device):
        outputs = [chain(x).float() for chain in exits(net).values()]
    confidence, label = torch.stack(outputs).softmax(2).max(2)
    return confidence, label


def leaving(confidence, threshold):
    """For each picture the first exit whose confidence is at least the threshold, or
    the last: (exits, N) -> (N,)"""
    sure = confidence >= threshold
    sure[-1] = True
    return sure.int().argmax(0)


def curve(confidence, right, macs):
    """For each of THRESHOLDS: [threshold, share of pictures that leave at each exit,
    share of right answers of those that do (None if none does), accuracy of all, MACs
    of the mean picture, accuracy if as many were drawn by lot]"""
    accuracy, rows = right.float().mean(1), []
    for threshold in THRESHOLDS:
        exit = leaving(confidence, threshold)
        at = [exit == place for place in range(len(right))]
        shares = torch.stack([mask.float().mean() for mask in at])
        among = [
            right[place][mask].float().mean().item() if mask.any() else None
            for place, mask in enumerate(at)
        ]
        chosen = right.gather(0, exit[None])[0].float().mean().item()
        lot = (shares * accuracy).sum().item()
        bill = sum(
            share * count for share, count in zip(shares.tolist(), macs, strict=True)
        )
        rows.append([threshold, shares.tolist(), among, chosen, bill, lot])
    return rows


def noisy(x, seed):
    """Normalised pictures with noise, their grey values kept between black and
    white."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    grey = (x * data.STD + data.MEAN + NOISE * noise).clamp(0, 1)
    return (grey - data.MEAN) / data.STD


PARTS = (
    *(pooled, classifier, bills, learn, said, leaving, curve, noisy),
    *(stage, conv_bn, normalised, exits, GoogLeNet, init.he),
)


@experiment(
    "exits-early",
    [
        *({"share": 1, "heads": True, "seed": seed} for seed in range(3)),
        *(
            {"share": share, "heads": False, "seed": seed}
            for share in SHARES
            for seed in range(3)
        ),
    ],
    PARTS,
)
def early(share, heads, seed):
    """What thresholds on confidence do to accuracy and MACs. "accuracy" of each exit
    on the 1,000 test pictures and its "macs"; with heads also the `curve` of 1,000
    pictures for "validation", of the "test", and of the test with "noise", and of
    handwritten digits the share that leaves at each exit at each of THRESHOLDS."""
    torch.manual_seed(seed)
    known, unseen = data.fashion_mnist()
    net = learn(classifier(heads, share), known, seed)
    device = train.device()
    x, y = normalised(unseen, device)
    macs = bills(net)
    confidence, label = said(net, x)
    right = label == y
    found = {
        "macs": macs,
        "parameters": sum(p.numel() for p in net.parameters()),
        "accuracy": right[:, 1000:].float().mean(1).tolist(),
    }
    if not heads:
        return found
    parts = {"validation": slice(0, 1000), "test": slice(1000, 2000)}
    for name, part in parts.items():
        found[name] = curve(confidence[:, part], right[:, part], macs)
    worse, label = said(net, noisy(x[1000:], seed))
    found["noise"] = curve(worse, label == y[1000:], macs)
    digits, _ = normalised(data.digits()[1], device)
    strange, _ = said(net, digits[:1000])
    found["digits"] = [
        [(leaving(strange, t) == place).float().mean().item() for place in range(3)]
        for t in THRESHOLDS
    ]
    return found
