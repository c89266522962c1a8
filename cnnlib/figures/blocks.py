"""Pull the block: what is left of a network without some of its nine blocks."""

from cnnlib.figures.figure import Figure

BLOCKS = 9


def blocks(networks, pictures):
    """A `Figure` in which a reader takes blocks out of trained networks.

    `networks` maps the name of a network to its right answers for every subset of its
    nine blocks, 512 counts out of `pictures`. Written in binary, the index of a subset
    has a 1 for a block in place, the first block in front. Raises ValueError when there
    are not 512 counts.
    """
    for name, counts in networks.items():
        if len(counts) != 2**BLOCKS:
            raise ValueError(
                f"{name!r} has {len(counts)} counts: give one for each of the "
                f"{2**BLOCKS} subsets of nine blocks."
            )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("taken out", *networks))
    rows = (
        f'<tr><th scope="row">{k}</th>'
        + "".join(_cell(counts, k, pictures) for counts in networks.values())
        + "</tr>"
        for k in range(BLOCKS + 1)
    )
    still = (
        f"<p>Right answers in percent, by the number of blocks taken out of {BLOCKS}: "
        "the mean over all choices, and the lowest and highest.</p>"
        f'<table class="stages"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    line = f"Blocks to take out of {', '.join(networks)}, on the page."
    data = {"networks": networks, "pictures": pictures}
    return Figure("blocks", still, data, line)


def _cell(counts, removed, pictures):
    """Mean, lowest and highest share of the subsets without `removed` blocks."""
    shares = [
        100 * right / pictures
        for subset, right in enumerate(counts)
        if BLOCKS - subset.bit_count() == removed
    ]
    mean = sum(shares) / len(shares)
    return f'<td align="right">{mean:.1f} ({min(shares):.1f}-{max(shares):.1f})</td>'
