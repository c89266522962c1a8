"""The timeline of the networks: an SVG in the colours of the page, and a table.

All of it stands in book/networks.yml; the tests compare the counts with cnnlib's and
the errors of one protocol with torchvision's, so that the site is built without either.
"""

from html import escape
from math import sqrt
from pathlib import Path

import yaml

LOW, HIGH = 3, 20  # ends of the error axis, in percent
FIRST = 2012.4  # start of the time axis; what is older stands before a break
# Sizes in pixels; last: end of the time axis; radius: of a marker of 100 M parameters.
WIDE = {"name": "wide", "width": 740, "height": 430, "left": 44, "right": 16}
WIDE |= {"since": 150, "last": 2018.0, "radius": 34}
NARROW = {"name": "narrow", "width": 360, "height": 430, "left": 30, "right": 8}
NARROW |= {"since": 74, "last": 2019.0, "radius": 14}
TOP = BOTTOM = 34

FIGURE = """\
<figure class="timeline">
{wide}
{narrow}
<figcaption>Each disc is a network. Its area is the number of parameters, its height the
published top-5 error on ImageNet. Parameters and multiply-accumulates (MACs, for one
image) are those that <code>cnnlib</code> counts.</figcaption></figure>
<details><summary>The same as a table, with sources</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Table of the networks">
<table class="table"><thead><tr><th scope="col">Network</th><th scope="col">Year</th>
<th scope="col">Parameters</th><th scope="col">MACs</th>
<th scope="col">Error, published</th><th scope="col">Error, one crop</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p>Errors are top-5 errors of one network on ImageNet, in percent. The published ones
were measured under different protocols, named in brackets. The last column has one
protocol for all, a centre crop of 224x224: torchvision's weights, trained anew (its
AlexNet and GoogLeNet differ a little from the papers).</p></details>"""


def networks(path):
    """The entries of networks.yml."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))["networks"]


def figure(entries, titles):
    """The drawing, for wide and for narrow pages, and the table that says the same.

    `titles` are those of the existing chapters, {stem: title}.
    """
    return FIGURE.format(
        wide=drawing(entries, WIDE, titles),
        narrow=drawing(entries, NARROW, titles),
        rows="\n".join(row(entry, entry["chapter"] in titles) for entry in entries),
    )


def drawing(entries, size, titles):
    """One SVG of the given sizes; large discs first, so that small ones show. A disc
    leads to its chapter, if there is one."""
    floor, end = size["height"] - BOTTOM, size["width"] - size["right"]
    since, left = size["since"], size["left"]

    def at_year(year):
        return since + (year - FIRST) / (size["last"] - FIRST) * (end - since)

    def at_error(error):
        return floor - (error - LOW) / (HIGH - LOW) * (floor - TOP)

    parts = [text(left - 24, 14, "axis start", "ImageNet top-5 error, %")]
    for error in range(5, HIGH + 1, 5):
        y = at_error(error)
        parts.append(f'<path class="grid" d="M{left} {y:.0f}H{end}"/>')
        parts.append(text(left - 8, y + 4, "axis end", error))
    for year in range(2013, 2018):  # a year's name stands below its middle
        parts.append(f'<path class="axisline" d="M{at_year(year):.1f} {floor}v6"/>')
        parts.append(text(at_year(year + 0.5), floor + 24, "axis mid", year))
    parts.append(text(at_year(2012.7), floor + 24, "axis mid", 2012))
    parts.append(
        f'<path class="axisline" d="M{left} {floor}H{since - 14}m-3 5l6-10m3 10l6-10'
        f'M{since - 5} {floor}H{end}"/>'
    )
    for entry in sorted(entries, key=lambda entry: -entry["parameters"]):
        year, month = map(int, entry["published"].split("-"))
        x = at_year(year + (month - 0.5) / 12)
        if x < since:
            x = left + 16
            parts.append(text(x, floor + 24, "axis mid", year))
        disc = marker(entry, x, at_error(entry.get("top5", LOW)), size)
        if entry["chapter"] in titles:
            name = escape(spoken(entry))
            address = f"../chapters/{entry['chapter']}.html"
            disc = f'<a href="{address}" aria-label="{name}">{disc}</a>'
        parts.append(disc)
    return (
        f'<svg class="{size["name"]}" viewBox="0 0 {size["width"]} {size["height"]}" '
        f'role="group" aria-label="Networks by year and error on ImageNet">'
        f"{''.join(parts)}</svg>"
    )


def marker(entry, x, y, size):
    """A disc and its name; on wide pages also parameters and MACs."""
    radius = max(1.5, size["radius"] * sqrt(entry["parameters"] / 1e8))
    lines = [("name", entry["name"])]
    if size is WIDE:
        costs = f"{short(entry['parameters'])}, {short(entry['macs'])} MACs"
        lines.append(("cost", costs))
    side = entry.get(size["name"], "above")
    gap = radius + 6
    if side in ("above", "below"):
        y_text = y + gap + 11 if side == "below" else y - gap - 17 * (len(lines) - 1)
        x_text, anchor = x, "mid"
    else:
        x_text, anchor = (x + gap, "start") if side == "right" else (x - gap, "end")
        y_text = y + 4
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>' + "".join(
        text(x_text, y_text + 17 * i, f"{name} {anchor}", line)
        for i, (name, line) in enumerate(lines)
    )


def text(x, y, classes, content):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{content}</text>'


def short(number):
    """Three digits and a unit: 138357544 -> '138 M', 1582672000 -> '1.58 G'."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.{3 - len(str(int(value)))}f} {unit}"
    return str(number)


def spoken(entry):
    error = f"{entry['top5']} percent" if "top5" in entry else "not tested there"
    costs = f"{short(entry['parameters'])} parameters, {short(entry['macs'])} MACs"
    return f"{entry['name']}, {entry['published'][:4]}, {error}, {costs}"


def row(entry, has_chapter):
    """One line of the table."""
    name = escape(entry["name"])
    if has_chapter:
        name = f'<a href="../chapters/{entry["chapter"]}.html">{name}</a>'
    published = one_crop = "-"
    if "top5" in entry:
        source = f'<a href="{entry["source"]}">{escape(entry["protocol"])}</a>'
        published = f"{entry['top5']} ({source})"
        one_crop = f"{entry['one_crop']:.2f}"
    return (
        f'<tr><th scope="row">{name}</th>'
        f'<td><a href="{entry["paper"]}">{entry["published"][:4]}</a></td>'
        f"<td>{entry['parameters']:,}</td><td>{entry['macs']:,}</td>"
        f"<td>{published}</td><td>{one_crop}</td></tr>"
    )
