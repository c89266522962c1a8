"""The tools that compute parts of the site: cards, ledger, timeline."""

import subprocess
import sys
from operator import itemgetter

import nbformat
import pytest
import torch
import torchvision
from nbformat.v4 import new_markdown_cell, new_notebook

from cnnlib import claims, costs, models
from tools import ledger, pages, timeline

NETWORKS = pages.ROOT / "book" / "networks.yml"


@pytest.fixture
def chapter(tmp_path):
    """A function that writes a notebook of one text cell and gives its path."""

    def write(text, **run):
        path = tmp_path / "chapters" / "lenet.ipynb"
        path.parent.mkdir(exist_ok=True)
        notebook = new_notebook(cells=[new_markdown_cell(text)])
        notebook.metadata["cnnlib"] = run
        nbformat.write(notebook, path)
        return path

    return write


def test_a_card_has_the_question_and_the_two_times(chapter):
    text = "# LeNet-5\n\n**Question.** How many\nof $n$?\n\n" + 396 * "word "
    card = pages.cards([pages.read_chapter(chapter(text, seconds=41.3))])
    assert "[LeNet-5](../chapters/lenet.ipynb)\n\nHow many of $n$?\n" in card
    assert "3 min to read, 3 with the code, 41 s to run" in card


def test_a_chapter_without_a_question_is_refused(chapter):
    with pytest.raises(ValueError, match=r"lenet\.ipynb does not open with '# Title'"):
        pages.read_chapter(chapter("# LeNet-5\n\nText."))


def test_chapters_that_do_not_exist_yet_are_left_out(chapter):
    path = chapter("# LeNet-5\n\n**Question.** Why?")
    root = path.parents[1]
    (root / "_toc.yml").write_text(
        "parts: [{chapters: [{file: chapters/vgg}, {file: chapters/lenet}]}]"
    )
    assert pages.notebooks(root) == [path]
    path.unlink()
    assert pages.notebooks(root) == []
    assert "container" in pages.cards([])
    assert "<tbody>" in pages.run_times([])


def test_every_statement_has_a_row_and_says_whether_it_has_a_home():
    statement = claims.Statement(
        id="lenet/x",
        chapter="lenet",
        statement="1 < 2 & so on",
        verdict="corrected",
        settled="check",
        says=12040000,
        right=12443648,
        paper="https://example.org/?a&b",
    )
    homeless = ledger.page([statement], {}, {})
    assert 'id="lenet/x"' in homeless
    assert "1 &lt; 2 &amp; so on" in homeless
    assert "12,040,000" in homeless and "12,443,648" in homeless
    assert "no chapter yet" in homeless and "1 of them still wait" in homeless
    at_home = ledger.page([statement], {"lenet/x": ("lenet",)}, {"lenet": "LeNet-5"})
    assert '<a href="../chapters/lenet.html#lenet/x">LeNet-5</a>' in at_home
    assert "no chapter yet" not in at_home and "0 of them still wait" in at_home


def test_a_statement_that_moved_keeps_its_old_address_in_the_ledger():
    entry = next(s for s in claims.statements() if s.was)
    page = ledger.page([entry], {}, {})
    assert page.count(f'id="{entry.was}"') == page.count(f'id="{entry.id}"') == 1
    assert f"#{entry.was}" not in page


def test_a_band_is_shown_where_no_single_value_is_right():
    statement = claims.Statement(
        id="lenet/x",
        chapter="lenet",
        statement="It reaches 90 %.",
        verdict="holds",
        settled="check",
        band=(0.85, 0.95),
    )
    assert ledger.right(statement) == "0.85 to 0.95"


def test_the_first_page_shows_what_is_wrong_and_what_is_right():
    facts = ledger.facts(claims.statements())
    assert "12,040,000" in facts and "12,443,648" in facts
    assert f"Of <b>{len(claims.statements())}</b> statements" in facts


@pytest.mark.parametrize("entry", timeline.networks(NETWORKS), ids=itemgetter("name"))
def test_the_timeline_stores_what_cnnlib_counts(entry):
    with torch.device("meta"):
        net = models.build(entry["builder"])
    table = costs.table(net, models.NETWORKS[entry["builder"]].input_shape)
    # stages without an output at inference, GoogLeNet's auxiliary heads, do not count
    parameters = sum(row.parameters for row in table if row.output_shape)
    assert (entry["parameters"], entry["macs"]) == (parameters, table.macs)


@pytest.mark.parametrize("entry", timeline.networks(NETWORKS), ids=itemgetter("name"))
def test_the_timeline_stores_the_errors_of_torchvisions_weights(entry):
    if "torchvision" not in entry:
        assert "one_crop" not in entry
        return
    weights = torchvision.models.get_model_weights(entry["torchvision"])
    accuracy = weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@5"]
    assert entry["one_crop"] == round(100 - accuracy, 2)


def test_the_timeline_shows_its_numbers():
    figure = timeline.figure(timeline.networks(NETWORKS), {"lenet": "LeNet-5"})
    assert figure.count("138 M, 15.5 G MACs</text>") == 1  # wide pages only
    assert "138,357,544" in figure and "9.62" in figure  # the table, torchvision
    assert '<a href="../chapters/lenet.html">LeNet-5</a>' in figure
    discs = '<a href="../chapters/lenet.html" aria-label="LeNet-5, 1998, not tested'
    assert figure.count(discs) == 2 and "vgg.html" not in figure  # wide and narrow


def test_the_site_is_computed_without_torch():
    """Blocking the import shows what a reader's environment does not have."""
    blocked = "import sys; sys.modules.update(torch=None, torchvision=None, numpy=None)"
    code = f"{blocked}; from tools import site"
    subprocess.run([sys.executable, "-c", code], cwd=pages.ROOT, check=True)


def test_the_disc_of_twice_the_parameters_has_twice_the_area():
    small, large = (
        {"name": "net", "parameters": parameters, "macs": 1}
        for parameters in (30_000_000, 60_000_000)
    )
    areas = [
        float(timeline.marker(entry, 0, 0, timeline.WIDE).split('r="')[1].split('"')[0])
        ** 2
        for entry in (small, large)
    ]
    assert areas[1] / areas[0] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(
    ("number", "text"),
    [(138_357_544, "138 M"), (1_582_671_872, "1.58 G"), (60_000, "60.0 k"), (12, "12")],
)
def test_large_numbers_are_shortened_to_three_digits(number, text):
    assert timeline.short(number) == text
