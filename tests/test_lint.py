"""What the linter of notebooks finds in cells made for it."""

import pytest
from nbformat.v4 import new_code_cell

from cnnlib import claims
from tools import lint


def test_a_section_that_does_not_list_what_holds_is_found():
    statements = claims.statements()
    holds = next(entry.id for entry in statements if entry.verdict == "holds")
    used = {"cell_type": "code", "source": f'check("{holds}", 1)'}
    listed = {"cell_type": "code", "source": "held()"}
    heading = {"cell_type": "markdown", "source": "Text.\n\n## Next"}
    assert list(lint._held([used, listed, heading])) == []
    for cells in ([used, heading, listed], [used]):
        assert [holds in fault for fault in lint._held(cells)] == [True]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("plt.subplots(figsize=(6.4, 3))\nax.legend(ncols=2)", ""),
        ("plt.subplots(figsize=(6.6, 3))", "wider than 6.4 inches"),
        ("plt.subplots(2, figsize=(7, 3))", "wider than 6.4 inches"),
        ("ax.legend(fontsize=8)", "a size of letters"),
    ],
)
def test_a_figure_that_a_phone_makes_illegible_is_found(source, words):
    faults = list(lint._code(new_code_cell(source, execution_count=1), 1))
    assert [words in fault for fault in faults] == [True] * bool(words)
