"""The ledger of statements as HTML: its counts and a few values, and the whole table.

book/_static/custom.js adds the filter; without it the page is a plain table.
"""

from collections import Counter
from html import escape

from cnnlib import claims
from tools import release
from tools.form import ROOT

# Statements whose values stand on the first page, and what the values are.
SHOWCASE = {
    "inception-bill/total": "multiplications for a 5x5 convolution behind a 1x1 one",
    "lenet/similar-parameters": "times the parameters of C1 sit in C3 of LeNet-5",
    "lenet/parameters": "trained parameters in the LeNet-5 of 1998, to the last one",
}
FACTS = """\
<div class="facts"><p class="total">Of <b>{total}</b> statements in the notes,</p>
<div class="bar" aria-hidden="true">{bar}</div>
<p class="shares">{shares}</p>
<ul class="values">{values}</ul></div>"""
PAGE = """\
<p>Of {total} statements, {sums}. {homeless} of them still wait for their chapter.</p>
<form class="filter" id="ledger-filter" hidden>
<fieldset><legend>Verdict</legend>
<label><input type="radio" name="verdict" value="" checked>
<span>all <b>{total}</b></span></label>
{choices}</fieldset>
<label>Chapter <select name="chapter"><option value="">all</option>
{options}</select></label>
<label>Words <input type="search" name="words" autocomplete="off"></label>
<p role="status"></p></form>
<table class="ledger" id="ledger" role="table" data-source="{source}">
<caption class="visually-hidden">The statements, with verdict and right value</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Verdict</th>
<th scope="col" role="columnheader">Statement</th>
<th scope="col" role="columnheader">Notes or lecture</th>
<th scope="col" role="columnheader">Right</th></tr></thead>
<tbody role="rowgroup">
{rows}
</tbody></table>"""
# The roles keep it a table for screen readers where narrow pages show it as blocks.
ROW = """\
<tr id="{id}" class="claim-{verdict}" data-verdict="{verdict}" role="row" \
data-chapter="{chapter}"><td role="cell"><strong>{verdict}</strong></td>
<td role="cell">{statement} <small>{comment}</small><p class="where">{where}</p></td>
<td role="cell" data-label="Notes or lecture">{said}</td>
<td role="cell" data-label="Right">{right}</td></tr>"""


def facts(statements):
    """How many statements hold, as a bar, and the values of SHOWCASE."""
    counts = Counter(statement.verdict for statement in statements)
    found = [verdict for verdict in claims.VERDICTS if counts[verdict]]
    bar = [
        f'<span class="claim-{verdict}" style="flex: {counts[verdict]}"></span>'
        for verdict in found
    ]
    shares = [
        f'<a class="claim-{verdict}" href="ledger.html?verdict={verdict}">'
        f"<b>{counts[verdict]}</b> {verb(verdict)}</a>"
        for verdict in found
    ]
    known = {statement.id: statement for statement in statements}
    values = [
        f'<li><span class="said claim-{known[id].verdict}">{said(known[id])}</span> '
        f"<strong>{right(known[id])}</strong> {caption}</li>"
        for id, caption in SHOWCASE.items()
    ]
    return FACTS.format(
        total=len(statements),
        bar="".join(bar),
        shares="\n".join(shares),
        values="\n".join(values),
    )


def page(statements, homes, titles):
    """The table of all statements, and the form that filters it.

    `homes` are the chapters that show a statement, {id: stems}; `titles` those of the
    existing chapters, {stem: title}.
    """
    counts = Counter(statement.verdict for statement in statements)
    choices = [
        f'<label class="claim-{verdict}"><input type="radio" name="verdict" '
        f'value="{verdict}"><span>{verdict} <b>{counts[verdict]}</b></span></label>'
        for verdict in claims.VERDICTS
    ]
    options = [
        f'<option value="{stem}">{escape(titles.get(stem, stem))}</option>'
        for stem in dict.fromkeys(statement.chapter for statement in statements)
    ]
    return PAGE.format(
        total=len(statements),
        source=escape(f"{release.config(ROOT)['title']}, {release.version(ROOT)}"),
        sums=", ".join(f"{counts[name]} {verb(name)}" for name in claims.VERDICTS),
        homeless=sum(not homes.get(statement.id) for statement in statements),
        choices="\n".join(choices),
        options="\n".join(options),
        rows="\n".join(row(statement, homes, titles) for statement in statements),
    )


def row(statement, homes, titles):
    """One statement; custom.js reads its data-verdict and data-chapter."""
    old = f'<span id="{statement.was}"></span>' if statement.was else ""
    where = [f'{old}<a href="#{statement.id}">{statement.id}</a>']
    where += [
        f'<a href="../chapters/{stem}.html#{statement.id}">{escape(titles[stem])}</a>'
        for stem in homes.get(statement.id, ())
        if stem in titles
    ] or ["no chapter yet"]
    if statement.paper:
        where.append(f'<a href="{escape(statement.paper)}">source</a>')
    return ROW.format(
        id=statement.id,
        chapter=statement.chapter,
        verdict=statement.verdict,
        statement=escape(statement.statement),
        comment=escape(statement.comment),
        where=" &middot; ".join(where),
        said=said(statement),
        right=right(statement),
    )


def verb(verdict):
    """The verdict after a number: 213 hold, 25 corrected."""
    return "hold" if verdict == "holds" else verdict


def said(statement):
    """What notes or lecture say; empty if there is nothing to compare."""
    if statement.notes or statement.says is None:
        return escape(statement.notes or "")
    return escape(claims.shown(statement.says))


def right(statement):
    """The right value or band; empty if a source settles it without one."""
    if statement.band:
        return " to ".join(map(claims.shown, statement.band))
    return "" if statement.answer is None else escape(claims.shown(statement.answer))
