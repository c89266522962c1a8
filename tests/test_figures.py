"""Figures that answer, as far as no browser is needed: their form and their stills."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnlib import costs, data, figures, init, models
from cnnlib.figures import weights
from cnnlib.figures.bill import NETWORKS
from cnnlib.figures.figure import FOLDER, Figure
from cnnlib.figures.microscope import describe
from cnnlib.figures.quiz import QUESTIONS
from cnnlib.models.lenet import lenet, lenet5, lenet_notes
from tools import form


def test_a_bill_shows_the_table_of_the_network_where_no_script_runs():
    html = figures.bill("vgg16")._repr_html_()
    still = html[html.index('<div class="still"') : html.index("<script")]
    table = costs.table(models.build("vgg16"), (3, 224, 224))
    for row in table.cells():
        assert all(re.search(f">{re.escape(cell)}</t[dh]>", still) for cell in row)


def test_the_bill_offers_networks_of_the_book_with_their_own_input():
    for name, text in NETWORKS.items():
        first = text.splitlines()[0]
        shape = "x".join(map(str, models.find(name).input_shape))
        assert first == f"input {shape}"


def test_another_network_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no bill of 'vgg61'.*'vgg16'"):
        figures.bill("vgg61")


def test_a_figure_is_the_same_in_every_run_and_needs_no_other_host():
    html = figures.bill("lenet")._repr_html_()
    assert html == figures.bill("lenet")._repr_html_()
    assert not re.search(r"https?://|src=|href=|@import|url\(", html)
    assert len(html.encode()) < 28_000


def test_data_cannot_end_the_script_it_stands_in(tmp_path):
    figure = Figure("bill", "", {"a": "</script>"}, "")
    assert figure._repr_html_().count("</script>") == 2


def test_every_chapter_has_three_questions_or_more():
    for chapter in form.stems():
        assert len(QUESTIONS[chapter]) >= 3, chapter


@pytest.mark.parametrize("chapter", form.stems())
def test_every_question_names_one_section_of_its_chapter(chapter):
    cells = form.read_text(form.ROOT, chapter)
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    headings = re.findall(r"^###? (.+)$", text, re.MULTILINE)
    for question in QUESTIONS[chapter]:
        assert headings.count(question["see"]) == 1, question["see"]


def test_parts_that_figures_share_are_named_by_them_alone():
    guess = (FOLDER / "guess.css").read_text("utf-8").partition("{")[0].split("*/")[1]
    assert guess.strip() == ".live-figure[data-parts~=guess]"
    form = Figure("pipes", "", {}, "", ["drawing", "guess"]).form
    assert form.startswith(
        '<div class="live-figure" data-figure="pipes" data-parts="drawing guess">'
    )
    assert ".missing {" in form
    assert form.count("function drawn(") == form.count("function asked(") == 1
    assert "data-parts" not in Figure("quiz", "", {}, "").form.partition("<style>")[0]


QUESTIONS_OF_ALL = [(c, q) for c, questions in QUESTIONS.items() for q in questions]


@pytest.mark.parametrize(("chapter", "question"), QUESTIONS_OF_ALL)
def test_a_question_has_one_right_answer_and_a_reason_for_each(chapter, question):
    if "answer" in question:
        assert question.keys() == {"ask", "see", "answer", "how", "why"}
        assert eval(question["how"], {}) == question["answer"]
    else:
        kinds = [kind for kind, text, reason in question["options"] if text and reason]
        assert kinds.count("right") == 1
        assert kinds.count("wrong") == len(question["options"]) - 1 >= 2


def test_questions_can_be_read_where_no_script_runs():
    html = figures.quiz("lenet")._repr_html_()
    still = html[html.index('<div class="still"') : html.index("<script")]
    assert still.count("<details><summary>Answer</summary>") == len(QUESTIONS["lenet"])
    assert "</summary>144. Each of the six filters" in still
    assert "biases stay. See “C1: six filters”.</details>" in still


def test_a_chapter_without_questions_is_refused_with_those_that_have_some():
    with pytest.raises(ValueError, match=r"no questions on 'lennet'.*'lenet'"):
        figures.quiz("lennet")


TWO = data.Images(data.fashion_mnist(1, 2)[1].images, torch.tensor([9, 2]))


@pytest.mark.parametrize(
    ("counts", "digits", "message"),
    [
        (511, 1024, "'plain' has 511 counts and 1024 digits"),
        (512, 1023, "'plain' has 512 counts and 1023 digits"),
    ],
)
def test_blocks_are_refused_when_a_subset_is_missing(counts, digits, message):
    with pytest.raises(ValueError, match=message):
        figures.blocks({"x": {"plain": ([0] * counts, "0" * digits)}}, 1_000, TWO)


def test_the_still_form_of_blocks_has_mean_lowest_and_highest():
    counts = [0] * 512
    counts[0b111111111] = 900
    counts[0b011111111] = 300  # without the first block
    found = {"old means": {"plain": (counts, "00" * 512)}}
    found["new means"] = {"plain": ([500] * 512, "00" * 512)}
    html = figures.blocks(found, 1_000, TWO)._repr_html_()
    old, new = html.split("Right answers in percent with new means")
    assert "Right answers in percent with old means" in old
    assert '<th scope="row">1</th><td align="right">50.0 (50.0-50.0)</td>' in new
    html = old
    assert '<th scope="row">0</th><td align="right">90.0 (90.0-90.0)</td>' in html
    assert '<th scope="row">1</th><td align="right">3.3 (0.0-30.0)</td>' in html


def test_the_still_form_of_blocks_has_the_pictures_and_what_is_said_to_them():
    digits = ["00"] * 512
    digits[0b111111111] = "94"
    digits[0b011111111] = digits[0b111111110] = "02"
    digits[0b001111111] = "92"  # two blocks are gone: not counted
    one = figures.blocks({"x": {"plain": ([0] * 512, "".join(digits))}}, 1_000, TWO)
    rows = re.findall(r'png;base64,(.*?)"> (.*?)</th><td.*?>(.*?)</td>', one.form)
    assert [row[1:] for row in rows] == [
        ("Ankle boot", "Ankle boot, 0"),
        ("Pullover", "Coat, 2"),
    ]
    for (text, *_), image in zip(rows, TWO.images, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            read = np.asarray(picture.convert("L")).astype(int)
        assert abs(read - image[0].numpy()).max() <= 9


def test_the_blocks_of_four_networks_are_smaller_than_90_kilobytes():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(2_001, (512,), generator=generator).tolist()
    digits = torch.randint(10, (512 * 12,), generator=generator).tolist()
    network = counts, "".join(map(str, digits))
    names = ("residual", "plain", "stochastic depth", "VGG")
    shown = data.fashion_mnist(1, 12)[1]
    found = dict.fromkeys(("kept", "anew"), dict.fromkeys(names, network))
    figure = figures.blocks(found, 2_000, shown)
    assert len(figure.form.encode()) < 90_000
    assert not re.search(r"https?://|src=.(?!data:)|href=|@import|url\(", figure.form)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ["plain", "residual"]),
        ({"ask": ("VGG", "stem")}, ["VGG"]),
        ({"ask": ()}, []),
    ],
)
def test_blocks_ask_about_networks_that_were_measured(options, asked):
    network = ([0] * 512, "00" * 512)
    found = {"x": dict.fromkeys(("residual", "plain", "VGG"), network)}
    html = figures.blocks(found, 1_000, TWO, **options).form
    data = json.loads(re.search(r'application/json">(.*?)</script>', html)[1])
    assert data["ask"] == asked


def garments(count):
    images, labels = data.fashion_mnist(1, 200)[1]
    return data.Images(images[:count], labels[:count])


def random_lenet(seed):
    torch.manual_seed(seed)
    return lenet(nn.ReLU, nn.MaxPool2d).apply(init.glorot)


def test_rounding_moves_no_weight_by_more_than_half_a_step():
    net = random_lenet(0)
    for layer, exact in zip(figures.rounded(net).modules(), net.modules(), strict=True):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            weight = exact.weight.detach().flatten(1)
            step = weight.abs().amax(1, keepdim=True) / 127
            moved = (layer.weight.detach().flatten(1) - weight).abs()
            assert (moved <= 0.5001 * step).all() and moved.max() > 0.3 * step.min()
            torch.testing.assert_close(layer.bias, exact.bias)


def test_a_microscope_with_twenty_pictures_stays_below_170_kilobytes():
    html = figures.microscope(random_lenet(0), garments(20))._repr_html_()
    assert len(html.encode()) < 170_000
    assert not re.search(r"https?://|href=|@import|url\(", html)


def test_a_microscope_shows_a_picture_where_no_script_runs():
    html = figures.microscope(random_lenet(0), garments(2))._repr_html_()
    still = html[html.index('<div class="still"') : html.index("<script")]
    found = re.search('<img src="data:image/png;base64,[^"]+" alt="([^"]+)"', still)
    answer = figures.rounded(random_lenet(0))(normal(garments(1).images)).argmax()
    assert f"the network says {data.CLASSES[answer]}" in found[1]


def normal(images):
    return (images / 255 - data.MEAN) / data.STD


def test_all_that_is_trained_stands_between_the_brackets_that_mask_it():
    """nbval then compares the code of a stored figure, but not the weights."""

    def masked(net, pictures):
        html = figures.microscope(net, pictures)._repr_html_()
        return re.sub("⟨[^⟩]*⟩", "⟨measured⟩", html)

    one = masked(random_lenet(0), garments(2))
    assert one == masked(random_lenet(1), garments(2))
    assert one != masked(lenet().apply(init.glorot), garments(2))
    assert one != masked(random_lenet(0), garments(3))
    assert len(one) > 30_000  # style, code and pictures are still compared


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lenet5(), r"cannot show layer 'c1.1', ScaledTanh\(\)"),
        (nn.Sequential(nn.Conv2d(1, 6, 5, stride=2)), "layer '0', Conv2d.*stride 1"),
        (nn.Sequential(nn.MaxPool2d(3, stride=2)), "layer '0', MaxPool2d.*overlap"),
        (nn.Sequential(nn.ReLU()), "layer '0', ReLU"),
    ],
)
def test_a_layer_that_the_microscope_cannot_show_is_named(net, message):
    with pytest.raises(ValueError, match=message):
        figures.microscope(net, garments(1))


def test_the_microscope_describes_the_networks_of_its_chapter():
    rows = describe(lenet_notes())
    names = [row["name"] for row in rows]
    assert names == ["C1", "S2", "C3", "S4", "C5", "F6", "Output"]
    assert rows[0]["padding"] == 0 and rows[1]["pooling"] == "max"
    assert [row.get("activation") for row in rows[:3]] == ["sigmoid", None, "sigmoid"]
    assert [row.get("inputs") for row in rows] == [25, None, 150, None, 256, 120, 84]


def test_a_microscope_of_other_classes_names_and_scales_them():
    pictures, letters = garments(1), tuple("abcdefghij")
    figure = figures.microscope(random_lenet(0), pictures, letters, mean=0, std=0.5)
    html = figure._repr_html_()
    x = pictures.images / 255 / 0.5
    answer = figures.rounded(random_lenet(0))(x).argmax()
    assert f"the network says {letters[answer]}, " in html
    assert '"mean": 0, "std": 0.5' in html and "Sneaker" not in html


@pytest.mark.parametrize(("name", "least"), [("digits", 0.95), ("garments", 0.8)])
def test_the_stored_networks_read_the_test_pictures(name, least):
    pictures, _, scale = weights.SETS[name]
    test, net = pictures()[1], weights.load(name)
    x = (test.images / 255 - scale["mean"]) / scale["std"]
    with torch.no_grad():
        right = (net(x).argmax(1) == test.labels).float().mean().item()
    assert right >= least


def test_stored_weights_are_packed_as_they_are_loaded():
    net = weights.load("digits")
    assert weights.packed(net) == weights.path("digits").read_bytes()
    rounded = figures.rounded(net).state_dict()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, rounded[name])


def test_a_microscope_needs_pictures_for_a_network():
    with pytest.raises(ValueError, match=r"give some data\.Images"):
        figures.microscope(random_lenet(0))


def test_a_microscope_alone_stays_below_330_kilobytes():
    html = figures.microscope()._repr_html_()
    assert html == figures.microscope()._repr_html_()
    assert len(html.encode()) < 330_000
    assert not re.search(r"https?://|href=|@import|url\(", html)
