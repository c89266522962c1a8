"""What the comparison of a chapter with its stored outputs asks besides nbval.

nbval compares the texts of each kind (stdout, text/plain, text/html ...) to the letter
and in their order. It does not see in which order outputs of different kinds came, what
a picture shows, and that a masked value was no number.
"""

import base64
import io

import numpy as np
from PIL import Image

from cnnlib import NOT_FINITE
from tools.form import MEASURED, texts

PICTURES = {"image/png", "image/jpeg"}
SIDE = 8  # pixels of the thumbnail
# Of SIDE * SIDE, that two renderings of one picture may differ in. In November 2026
# these were up to 4 in another font, 2 under matplotlib 3.10.0, 2 in float32 instead of
# bfloat16; two pictures of the book, of like size, differ in 10 or more.
BITS = 9
STRETCH = 0.05  # by which their width and height may differ


def differences(new, stored, measured=False):
    """Sentences on what differs between two lists of the outputs of one cell, or on a
    measured value of the new ones that is not finite. Of a picture that is `measured`,
    because training or the machine decides what it shows, only the size counts."""
    kinds, expected = ([_kind(output) for output in side] for side in (new, stored))
    if kinds != expected:
        yield f"the outputs are {kinds}, but those stored are {expected}"
        return
    for output, other in zip(new, stored, strict=True):
        for kind in PICTURES & output.get("data", {}).keys():
            pair = _picture(output.data[kind]), _picture(other.data[kind])
            yield from _resized(*pair)
            yield from () if measured else _unlike(*pair)
        yield from not_finite(output)


def not_finite(output):
    """A sentence on each measured value of an output that is not a finite number."""
    for text in texts(output):
        for value in filter(NOT_FINITE.search, MEASURED.findall(text)):
            yield f"a measured value is not a finite number: {value}"


def _kind(output):
    if output.output_type == "stream":
        return output.name
    return " + ".join(sorted(output.get("data", {}))) or output.output_type


def _picture(content):
    return Image.open(io.BytesIO(base64.b64decode(content)))


def _resized(new, stored):
    for name, side, wanted in zip(
        ("width", "height"), new.size, stored.size, strict=True
    ):
        if abs(side - wanted) > max(1, STRETCH * wanted):
            yield f"the {name} of a picture is {side} pixels, of that stored {wanted}"


def _unlike(new, stored):
    """What makes two pictures no renderings of the same one."""
    bits = np.count_nonzero(_fingerprint(new) != _fingerprint(stored))
    if bits > BITS:
        yield (
            f"a picture looks different: {bits} of {SIDE**2} bits of its fingerprint, "
            f"and renderings of one picture differ in at most {BITS}"
        )


def _fingerprint(picture):
    """Average hash: which pixels of a grey thumbnail are lighter than their mean."""
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, float)
    return pixels > pixels.mean()
