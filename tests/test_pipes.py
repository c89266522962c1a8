"""The pipes of an Inception module, as far as no browser is needed."""

import re

from cnnlib import costs
from cnnlib.figures import pipes
from cnnlib.models.googlenet import TABLE_1, Inception


def test_the_still_form_has_the_bill_that_cnnlib_counts():
    form = pipes(TABLE_1["3b"], 256)._repr_html_()
    still = form[form.index('<div class="still"') : form.index("<script")]
    numbers = [
        int(cell.replace(",", "")) for cell in re.findall("<td>(.*?)</td>", still)
    ]
    table = costs.table(Inception(256, *TABLE_1["3b"]), (256, 28, 28))
    assert sum(numbers[-2:]) == table.macs
    branches = [sum(numbers[at + 1 : at + 3]) for at in (0, 3, 6, 9)]
    assert branches == [row.macs for row in table]
    alone = 28 * 28 * 256
    assert numbers[:10:3] == [alone * 128, alone * 9 * 192, alone * 25 * 96, 0]


def test_pipes_are_small_and_need_no_other_host():
    form = pipes().form
    assert form == pipes().form and len(form.encode()) < 12_000
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)|src=|href=|url\(", form)
