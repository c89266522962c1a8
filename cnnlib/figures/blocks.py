"""Pull the block: what is left of a network without some of its nine blocks."""

import base64
import struct
import zlib

import numpy as np

from cnnlib.data import CLASSES
from cnnlib.figures.figure import Figure

BLOCKS = 9
SUBSETS = 2**BLOCKS
ALONE = [SUBSETS - 1 - (1 << place) for place in range(BLOCKS)]  # one block is gone
ASK = "plain", "residual"


def blocks(statistics, pictures, shown, ask=ASK):
    """A `Figure` in which a reader takes blocks out of trained networks.

    Before that it asks what share of their right answers the networks that `ask` names
    keep without one and without three blocks, with the first of the statistics; those
    that were not measured are left out, and without any nothing is asked.

    `statistics` maps what batch normalisation goes by, in words, to the networks
    measured so: the name of each to two things, for every subset of its nine blocks:
    its right answers, 512 counts out of `pictures`; and its answers to the few pictures
    `shown` (a `data.Images`), 512 times a digit for each. Written in binary, the index
    of a subset has a 1 for a block in place, the first block in front. Raises
    ValueError when the number of counts or digits is another.
    """
    still = ""
    for words, networks in statistics.items():
        _check(networks, len(shown.labels))
        still += (
            f"<p>Right answers in percent with {words}, by the number of blocks taken "
            f"out of {BLOCKS}: the mean over all choices, and the lowest and highest."
            f"</p>{_table(('taken out', *networks), _by_number(networks, pictures))}"
        )
    words, networks = next(iter(statistics.items()))
    still += (
        f"<p>What the whole network says to {len(shown.labels)} test pictures, and how "
        f"many of the {BLOCKS} networks without one block are right, with {words}.</p>"
        f"{_table(('picture', *networks), _by_picture(networks, shown))}"
    )
    count_width, answer_width = (
        len(_base36(pictures)),
        len(_base36("9" * len(shown.labels))),
    )
    data = {
        "statistics": {
            words: {
                name: [
                    "".join(_base36(count, count_width) for count in counts),
                    "".join(_base36(part, answer_width) for part in _subsets(digits)),
                ]
                for name, (counts, digits) in networks.items()
            }
            for words, networks in statistics.items()
        },
        "pictures": pictures,
        "labels": shown.labels.tolist(),
        "classes": CLASSES,
        "ask": [name for name in ask if name in networks],
    }
    line = f"Blocks to take out of {', '.join(networks)}, on the page."
    return Figure("blocks", still, data, line, ["share"])


def _check(networks, shown):
    for name, (counts, digits) in networks.items():
        if len(counts) != SUBSETS or len(digits) != SUBSETS * shown:
            raise ValueError(
                f"{name!r} has {len(counts)} counts and {len(digits)} digits: give one "
                f"count and {shown} digits for each of the {SUBSETS} subsets of nine "
                "blocks."
            )


def _subsets(digits):
    """The answers of one subset after the other, a string of digits each."""
    count = len(digits) // SUBSETS
    return [digits[start : start + count] for start in range(0, len(digits), count)]


def _base36(number, width=0):
    """As JavaScript's parseInt(text, 36) reads it, with zeros in front."""
    return np.base_repr(int(number), 36).lower().zfill(width)


def _table(head, rows):
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f'<td align="right">{cell}</td>' for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<table class="stages"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _by_number(networks, pictures):
    """For 0 to 9 blocks less: mean, lowest and highest share of right answers."""
    for removed in range(BLOCKS + 1):
        row = [removed]
        for counts, _ in networks.values():
            shares = [
                100 * right / pictures
                for subset, right in enumerate(counts)
                if BLOCKS - subset.bit_count() == removed
            ]
            mean = sum(shares) / len(shares)
            row.append(f"{mean:.1f} ({min(shares):.1f}-{max(shares):.1f})")
        yield row


def _by_picture(networks, shown):
    """For each picture: what the whole network says, and how often it is right
    without one block."""
    answers = [_subsets(digits) for _, digits in networks.values()]
    for place, (image, label) in enumerate(zip(*shown, strict=True)):
        picture = base64.b64encode(png(image[0].numpy())).decode()
        name = f'<img alt="" src="data:image/png;base64,{picture}"> {CLASSES[label]}'
        yield [name] + [
            f"{CLASSES[int(parts[-1][place])]}, "
            f"{sum(int(parts[subset][place]) == label for subset in ALONE)}"
            for parts in answers
        ]


def png(image):
    """A PNG file of 16 greys from uint8 (H, W), W even. It is not compressed, so its
    bytes are the same with every version of zlib."""
    height, width = image.shape
    greys = (image.astype(int) * 15 + 127) // 255
    rows = np.zeros((height, 1 + width // 2), np.uint8)  # each begins with filter 0
    rows[:, 1:] = 16 * greys[:, ::2] + greys[:, 1::2]
    raw = rows.tobytes()
    stored = struct.pack("<BHH", 1, len(raw), len(raw) ^ 0xFFFF) + raw
    stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(raw))
    head = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", stream), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
