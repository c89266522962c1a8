"""Figures that answer, as far as no browser is needed: their form and their stills."""

import re

import pytest

from cnnlib import costs, figures, models
from cnnlib.figures.bill import NETWORKS


def test_a_bill_shows_the_table_of_the_network_where_no_script_runs():
    html = figures.bill("vgg16")._repr_html_()
    still = html[html.index('<div class="still">') : html.index("<script")]
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
    assert len(html.encode()) < 20_000


def test_data_cannot_end_the_script_it_stands_in(tmp_path):
    figure = figures.figure.Figure("bill", "", {"a": "</script>"}, "")
    assert figure.html.count("</script>") == 2
