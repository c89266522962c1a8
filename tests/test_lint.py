"""What the linter of notebooks finds in cells made for it."""

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
