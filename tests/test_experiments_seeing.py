"""Pictures made by ascent, their judges, and the maps that are checked."""

import base64
import copy
import json

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from cnnlib import costs, data, train
from cnnlib.experiments import seeing

SIZE = dict(images=200, tests=100, epochs=1)


@pytest.fixture
def net():
    """A network of random weights whose normalisations are random, too."""
    torch.manual_seed(0)
    made = seeing.network()
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.3, 0.3)
            norm.running_var.uniform_(0.5, 2)
    made.head.bias.data.uniform_(-1, 1)
    return seeing.still(made).to(train.device())


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(6, 1, 28, 28, generator=generator).to(train.device())


def classes(count=6):
    return torch.arange(count, device=train.device())


def test_the_network_sees_what_the_chapter_says():
    rows = {row.name: row for row in costs.table(seeing.network(), (1, 28, 28))}
    assert rows["stage3"].receptive_field == (28, 28)
    assert rows["stage2"].receptive_field == (20, 20)
    assert rows["stage3"].output_shape == (96, 7, 7)


def test_maps_lead_to_the_same_answer_as_the_network(net, pictures):
    found = seeing.maps(net, pictures)
    assert [tuple(m.shape[1:]) for m in found.values()] == [
        *((16, 28, 28), (32, 14, 14)),
        *((64, 7, 7), (96, 7, 7)),
    ]
    torch.testing.assert_close(
        net.head(found["stage3"].mean((2, 3))),
        net(seeing.normal(pictures)),
        rtol=1e-3,
        atol=1e-3,
    )


def test_a_square_that_is_seen_alone_decides(net):
    """The middle of each map changes with the pixels it sees and with no others."""
    squares = {"stem": (12, 16), "stage1": (10, 19), "stage2": (4, 23)}
    for name, (first, last) in squares.items():
        x = torch.full((1, 1, 28, 28), 0.5, device=train.device(), requires_grad=True)
        values = seeing.maps(net, x)[name]
        middle = values[0, :, values.shape[2] // 2, values.shape[3] // 2]
        (gradient,) = torch.autograd.grad(middle.sum(), x)
        rows = gradient[0, 0].abs().sum(1).nonzero()[:, 0]
        assert first <= rows.min() and rows.max() <= last


def test_total_variation_of_a_chequerboard_is_two():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    both = torch.stack([board.float(), torch.ones(8, 8)])[:, None]
    assert seeing.total_variation(both).tolist() == [2, 0]


def test_waves_divide_every_frequency_by_itself():
    place = torch.arange(16)
    for cycles in (1, 2, 4):
        wave = torch.cos(2 * torch.pi * cycles * place / 16).expand(1, 1, 16, 16)
        torch.testing.assert_close(seeing.waves(wave), wave / cycles, atol=1e-5, rtol=0)


def test_ascent_finds_the_best_patch_of_a_linear_filter():
    """Known in closed form: 1 where the weight is positive, else 0."""
    torch.manual_seed(0)
    filters = torch.randn(5, 1, 28, 28, device=train.device())

    def score(x):
        return (x * filters).sum((1, 2, 3))

    found = seeing.climb(score, seeing.starts(5, 0), {}, updates := 300, 0.3)
    best = filters.clamp(min=0).sum((1, 2, 3))
    assert updates == 300 and (score(found) > 0.95 * best).all()
    assert ((found > 0.5) == (filters > 0)).float().mean() > 0.95


def test_restraints_do_what_they_are_called(net):
    score, z = seeing.of_class(net, classes(4)), seeing.starts(4, 0)
    made = {way: seeing.climb(score, z, seeing.WAYS[way], 40) for way in seeing.WAYS}
    assert all(((x >= 0) & (x <= 1)).all() for x in made.values())
    ink = {way: x.square().mean() for way, x in made.items()}
    rough = {way: seeing.total_variation(x).mean() for way, x in made.items()}
    assert ink["L2"] < ink["nothing"] and ink["all three"] < ink["jitter"]
    assert rough["total variation"] < rough["nothing"]
    assert rough["waves and jitter"] < rough["jitter"]
    again = seeing.climb(score, z, seeing.WAYS["jitter"], 40)
    assert torch.equal(again, made["jitter"])


def test_jitter_moves_the_picture_by_three_pixels_at_most():
    moved = set()
    x = torch.zeros(1, 1, 28, 28, device=train.device())
    x[..., 14, 14] = 9

    def score(pictures):
        place = pictures.flatten().argmax().item()
        moved.add((place // 28 - 14, place % 28 - 14))
        return pictures.sum((1, 2, 3))

    seeing.climb(score, x, {"jitter": 3}, 200, 0.0)
    assert len(moved) > 30 and max(max(map(abs, pair)) for pair in moved) == 3


def test_the_verdict_counts_judges_neighbours_and_variation(net):
    known, _ = data.fashion_mnist(50, 1)
    x, wanted = seeing.grey(known.images), known.labels.to(train.device())

    class Oracle(nn.Module):
        def forward(self, _):
            return nn.functional.one_hot(wanted, 10).float()

    class Wrong(nn.Module):
        def forward(self, _):
            return nn.functional.one_hot((wanted + 1) % 10, 10).float()

    said = seeing.verdict({"right": Oracle(), "wrong": Wrong()}, x, wanted, known)
    assert said["judges"] == {"right": 1, "wrong": 0}
    assert said["nearest"] == 1
    assert said["variation"] == pytest.approx(seeing.total_variation(x).mean().item())


def test_edges_have_mean_zero_length_one_and_are_like_themselves():
    rows = seeing.edges()
    torch.testing.assert_close(rows.mean(1), torch.zeros(len(rows)), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    some = -3 * rows[::7].view(-1, 1, 5, 5)
    torch.testing.assert_close(seeing.likeness(some), torch.ones(len(some)))
    upright = torch.tensor([-1.0, -1, 0, 1, 1]).expand(1, 1, 5, 5)
    assert seeing.likeness(upright) > 0.95
    spot = torch.full((1, 1, 5, 5), -1.0)
    spot[0, 0, 2, 2] = 24
    assert seeing.likeness(spot) < 0.5


@pytest.mark.parametrize("kind", seeing.SHAPES)
def test_shapes_are_grey_pictures_half_of_them_dark_on_light(kind):
    drawn = seeing.shapes(kind, 200, seed=0)
    assert drawn.shape == (200, 1, 28, 28)
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert torch.equal(drawn, seeing.shapes(kind, 200, seed=0))
    # a bounded shape leaves all four corners to the background
    corners = drawn[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    if kind in ("triangle", "rectangle"):
        assert (corners == corners[:, :1]).float().mean() > 0.95
        assert 0.3 < (corners[:, 0] > 0.5).float().mean() < 0.7


def test_the_strongest_pictures_are_found(net):
    known, _ = data.fashion_mnist(60, 1)
    x = seeing.grey(known.images)
    best, purity = seeing.strongest(net, x, known.labels, top=4, size=25)
    values = seeing.maps(net, x)["stage2"]
    torch.testing.assert_close(
        best["stage2"], values.mean((2, 3)).amax(0).cpu(), rtol=1e-3, atol=1e-4
    )
    peaks = values.amax((2, 3))[:, 7].cpu()
    labels = known.labels[peaks.argsort(descending=True)[:4]].tolist()
    commonest = max(map(labels.count, labels)) / 4
    assert purity["stage2"][7] == pytest.approx(commonest)


def test_the_mean_of_an_activation_map_is_the_logit_without_its_bias(net, pictures):
    wanted = classes()
    found = seeing.activation_map(net, pictures, wanted)
    logits = net(seeing.normal(pictures)).gather(1, wanted[:, None])[:, 0]
    torch.testing.assert_close(
        found.mean((1, 2)), logits - net.head.bias[wanted], rtol=1e-3, atol=1e-3
    )


def test_occlusion_of_a_linear_score_is_what_the_square_adds(pictures):
    torch.manual_seed(0)
    weight = torch.randn(10, 784, device=train.device())
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False))
    linear = linear.to(train.device())
    linear[1].weight.data = weight
    found = seeing.occlusion(linear, pictures, classes(), side=7)
    added = pictures[:, 0] / data.STD * weight[:6].view(6, 28, 28)
    squares = added.view(6, 4, 7, 4, 7).sum((2, 4))
    torch.testing.assert_close(found, squares, rtol=1e-3, atol=1e-3)


def test_guided_relus_let_no_negative_gradient_through(net, pictures):
    before = copy.deepcopy(net.state_dict())
    guided = seeing.guided(net)
    x = torch.tensor([1.0, 2.0, -1.0], requires_grad=True)
    relu = guided.stage2[2]
    (relu(x) * torch.tensor([-1.0, 3.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [0, 3, 0]
    ways = [seeing.of_logit(n, pictures, classes())[0] for n in (net, guided)]
    assert not torch.allclose(*ways)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_likeness_is_spearmans_correlation():
    torch.manual_seed(0)
    one = torch.randint(5, (4, 6, 6)).float()  # many are equal
    other = torch.randn(4, 6, 6)
    right = [
        spearmanr(a.flatten(), b.flatten()).statistic
        for a, b in zip(one.numpy(), other.numpy(), strict=True)
    ]
    assert seeing.alike(one, other) == pytest.approx(sum(right) / 4, abs=1e-5)
    assert seeing.alike(other, other.exp()) == pytest.approx(1, abs=1e-5)
    assert seeing.alike(torch.zeros(2, 3, 3), torch.randn(2, 3, 3)) == 0


@pytest.mark.parametrize("depth", [0, 1, 3, 5])
def test_a_forgetful_network_has_lost_its_last_parts(net, depth):
    new = seeing.forgetful(net, depth, seed=3, images=200)
    same = {
        name.partition(".")[0]
        for name, weight in net.named_parameters()
        if weight.ndim > 1 and torch.equal(weight, new.get_parameter(name))
    }
    parts = ["stem", "stage1", "stage2", "stage3", "head"]
    assert same == set(parts[: 5 - depth])


def test_the_squares_that_matter_most_are_covered(pictures):
    seen = []

    class Watcher(nn.Module):
        def forward(self, x):
            seen.append(x * data.STD + data.MEAN)
            return torch.zeros(len(x), 10, device=x.device)

    important = torch.zeros(6, 28, 28, device=train.device())
    important[:, 4:8, 8:12] = 1
    net = Watcher()
    assert seeing.fall(net, pictures, classes(), important, 1 / 49) == 0
    whole, covered = seen
    gone = (covered.abs() < 1e-5) & (whole > 1e-3)
    assert gone[:, 0, 4:8, 8:12].float().mean() > 0.95
    assert gone.sum() <= 6 * 16


def test_packed_pictures_are_grey_values_in_sixteen_steps(pictures):
    values = base64.b64decode(seeing.packed(pictures[0]))
    digits = [half for byte in values for half in divmod(byte, 16)]
    expected = (15 * pictures[0].flatten()).round().int().tolist()
    assert digits == expected and len(digits) == 784


def test_what_is_said_is_the_softmax_in_thousandths(net, pictures):
    found = seeing.said(net, pictures, classes())
    shares = net(seeing.normal(pictures)).softmax(1)
    for number, share in enumerate(shares.tolist()):
        assert abs(1000 * share[number] - found["wanted"][number]) < 1
        assert abs(1000 * max(share) - found["sure"][number]) < 1
        assert share[found["class"][number]] == max(share)


def test_the_steps_begin_with_noise_and_go_where_ascent_goes():
    row = seeing.steps(seed=0, samples=1, climbed=(0, 20), **SIZE)
    for way in ("nothing", "all three"):
        shown = row[way]["shown"]
        assert list(shown) == list(seeing.SHOWN)
        for kind, parts in shown.items():
            noise = torch.sigmoid(seeing.starts(10, 0)[kind])
            assert parts["pictures"][0] == seeing.packed(noise)
            before, after = parts["own"]["wanted"]
            assert after > before or way != "nothing"
        assert all(len(shares) == 2 for shares in row[way]["shares"].values())
    assert row["nothing"] != row["all three"]
    assert not seeing.steps(seed=1, samples=1, climbed=(0,), **SIZE)["nothing"]["shown"]


def test_the_experiments_give_numbers_of_every_seed():
    row = seeing.judge(seed=1, samples=1, updates=2, **SIZE)
    assert set(row["verdicts"]) == {*seeing.WAYS, "untrained", "noise", "real"}
    accuracy = row["accuracy"]
    own = row["verdicts"]["real"]["judges"]
    assert all(abs(accuracy[who] - own[who]) < 0.03 for who in accuracy)  # bfloat16
    row = seeing.layers(net="untrained", seed=1, samples=2, updates=2, pool=20, **SIZE)
    assert all(kept == pytest.approx(1, abs=1e-4) for kept in row["kept"])
    assert len(row["stage3"]["straight"]) == 96 and len(row["stem"]["excess"]) == 2
    row = seeing.explained(seed=1, shown=10, **SIZE)
    assert {len(v) for v in row["alike"].values()} == {5}
    json.dumps(row)
