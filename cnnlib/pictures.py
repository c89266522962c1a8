"""The picture in a file, whatever its format and mode, in red, green and blue."""

import os
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlib.data import DataError

# Pillow's modes that say which number is white, and convert themselves
PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")


def open_picture(path):
    """The picture in a file, of several the first, in RGB: upright as the camera noted
    it, transparency on white, 16 bits of grey in 8, its colour profile ignored.

    Raises DataError, naming the file, where it is damaged, too large for Pillow's limit
    or has numbers of which nothing says what is white.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what stands beside the picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # by name Pillow 13 mixes up the rows of a TIFF that lies on its side
            with open(path, "rb") as file, Image.open(file) as picture:
                return _rgb(picture)
    except Exception as problem:  # decoders raise what they like
        remedy = "; delete or replace it" if _is_file_or_link(path) else ""
        raise DataError(
            f"{path} cannot be read as a picture ({_reason(problem, path)}){remedy}."
        ) from problem


def begins_as_picture(path):
    """Whether a file has the first bytes of a picture of a size within Pillow's limit;
    what follows is not looked at, which makes it fast."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.open(path).close()
    except Exception:  # as above
        return False
    return True


def _is_file_or_link(path):
    return os.path.lexists(path) and not os.path.isdir(path)


def _reason(problem, path):
    """Why a picture cannot be read, in a few words without a line's end."""
    if isinstance(problem, UnidentifiedImageError):
        with open(path, "rb") as file:
            head = file.read(8)
        if head.endswith(b"ftyp"):  # phones and messengers call it .jpg, too
            return "it is HEIC or a film, whatever its name: export it as JPEG"
        return "it has no format that Pillow knows" if head else "it is empty"
    if isinstance(
        problem, Image.DecompressionBombWarning | Image.DecompressionBombError
    ):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        return f"it has more pixels than Pillow's limit of {limit}: save it smaller"
    reason = getattr(problem, "strerror", None) or str(problem)
    return " ".join(reason.split()) or type(problem).__name__


def _rgb(picture):
    upright = ImageOps.exif_transpose(picture)
    if picture.mode in GREY_16 or (
        picture.mode == "I" and picture.format in ("PNG", "PPM")  # never have 32
    ):
        upright = _eight_bits(upright, getattr(picture, "tag_v2", {}))
    elif picture.mode not in (*PLAIN, *TRANSPARENT):
        raise ValueError(
            f"its mode {picture.mode} does not say which number is white: save it with "
            "8 bits"
        )
    if upright.has_transparency_data:
        if upright.mode == "La":
            upright = upright.convert("LA")
        colours = upright.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        upright = Image.alpha_composite(white, colours)
    return upright.convert("RGB")


def _eight_bits(picture, tags):
    """Grey of 16 bits, or of as many as TIFF's `tags` say, as grey of 8 bits."""
    numbers = np.asarray(picture, np.int32)  # NumPy 2.1 crashes on swapped bytes
    (bits,), white_is_zero = tags.get(258, (16,)), tags.get(262) == 0
    grey = np.round(numbers / (2**bits - 1) * 255)
    if white_is_zero:
        grey = 255 - grey
    grey[numbers == picture.info.get("transparency", -1)] = 255
    return Image.fromarray(grey.astype(np.uint8))
