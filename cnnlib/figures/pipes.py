"""An Inception module as pipes, each as thick as its multiplications."""

from cnnlib.figures.figure import Figure
from cnnlib.models.googlenet import TABLE_1


def pipes(widths=TABLE_1["3a"], in_channels=192, side=28):
    """A `Figure` of an Inception module whose 1x1 convolutions a reader can narrow,
    widen and take out, and that shows what every branch then multiplies.

    `widths` are the `Widths` of a row of Table 1; the module reads maps of side x side
    with `in_channels` channels. Its still form is the bill of the module with and
    without the 1x1 convolutions, in MACs for one image.
    """
    one, reduce3, three, reduce5, five, projection = widths
    places = side * side
    rows = [
        ("1x1", places * in_channels * one, 0, places * in_channels * one),
        (
            "3x3",
            places * 9 * in_channels * three,
            *_pair(places, in_channels, widths[1:3], 9),
        ),
        (
            "5x5",
            places * 25 * in_channels * five,
            *_pair(places, in_channels, widths[3:5], 25),
        ),
        ("pooling", 0, 0, places * in_channels * projection),
    ]
    body = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{macs:,}</td>" for macs in (naive, first, second))
        + "</tr>"
        for name, naive, first, second in (*rows, ("all", *_sums(rows)))
    )
    heads = ("branch", "alone", "1x1 in front", "then")
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    still = (
        "<p>Multiplications of each branch, alone and with a 1x1 convolution (behind "
        f'the pooling).</p><table class="stages"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    data = {
        "channels": in_channels,
        "side": side,
        "one": one,
        "branches": [[3, reduce3, three], [5, reduce5, five]],
        "projection": projection,
    }
    line = "An Inception module as pipes, as thick as their multiplications."
    return Figure("pipes", still, data, line, ["drawing"])


def _pair(places, in_channels, widths, window):
    """MACs of a 1x1 convolution and of the one that follows it."""
    reduce, out = widths
    return places * in_channels * reduce, places * window * reduce * out


def _sums(rows):
    return [sum(row[index] for row in rows) for index in (1, 2, 3)]
