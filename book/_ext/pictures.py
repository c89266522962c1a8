"""Plots of the built site get a palette of 256 colours, a third of their bytes.

A plot is drawn in a few colours and their mixtures along edges; pictures with more than
`COLOURS` of them, photographs, stay as they are, and so do the notebooks.

In the dark, reading.css turns the lightness of plots round: dark lines on white become
light ones on the page. A photograph would be a negative, and small weights of a kernel,
pale red and pale blue, would be hard to tell apart, so both get a mark. So does what is
described as "The photograph", with the pictures that were computed from it.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageChops

COLOURS = 5_000
DARK, HUES = 0.16, 9
SIGNED, TINTS = 0.04, 30
IMG = re.compile(
    r'<img (?=[^>]*src="[^"]*_images/([^"]+)")(?=[^>]*alt="([^"]*)"|)', re.DOTALL
)


def setup(app):
    app.connect("html-page-context", mark, priority=950)
    app.connect("build-finished", compress_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def compress_all(app, problem):
    if problem is None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets others work
            list(pool.map(compress, Path(app.outdir, "_images").glob("*.png")))


def compress(path):
    """Rewrite a PNG with a palette if it is a plot and becomes smaller by that."""
    with Image.open(path) as picture:
        if picture.mode == "P":
            return
        see_through = "A" in picture.mode and picture.getextrema()[-1] != (255, 255)
        plot = picture.convert("RGB")
        if see_through or plot.getcolors(COLOURS) is None:
            return
        small = plot.quantize(256, dither=Image.Dither.NONE)
    new = path.with_suffix(".new")
    small.save(new, "PNG", optimize=True)
    if new.stat().st_size < path.stat().st_size:
        new.replace(path)
    else:
        new.unlink()


def mark(app, page, template, context, tree):
    if "body" in context:
        files = {names[1]: file for file, names in app.env.images.items()}

        def marked(img):
            file = Path(app.srcdir, files.get(img[1], ""))
            if file.suffix != ".png":
                return img[0]
            if "The photograph" in (img[2] or "") or is_photograph(file):
                return f'{img[0]}data-photograph="" '
            return img[0] + 'data-signed="" ' * is_signed(file)

        context["body"] = IMG.sub(marked, context["body"])


def is_photograph(path):
    """Whether a picture would be unlike itself with its lightness turned round.

    That is where much of it is nearly black, which in plots only letters and lines are,
    or where it has patches of every hue.
    """
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    red, green, blue = picture.split()
    highest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    lowest = ImageChops.darker(ImageChops.darker(red, green), blue)
    size = picture.width * picture.height
    dark = sum(highest.histogram()[:70]) / size
    coloured = ImageChops.subtract(highest, lowest).point(lambda by: 255 * (by > 40))
    hue = picture.convert("HSV").getchannel("H").histogram(coloured.convert("1"))
    hues = sum(sum(hue[at : at + 16]) > 0.015 * size for at in range(0, 256, 16))
    return dark > DARK or (hues >= HUES and dark > DARK / 3)


def is_signed(path):
    """Whether a picture shows numbers of both signs: patches of red and blue in many
    tints, and of no other hue."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    hues, strong, _ = picture.convert("HSV").split()
    coloured = strong.point(lambda by: 255 * (by > 25))
    hue = hues.histogram(coloured)
    size = picture.width * picture.height
    red, blue = (sum(hue[:28]) + sum(hue[236:])) / size, sum(hue[131:165]) / size
    other = sum(hue) / size - red - blue
    if min(red, blue) < SIGNED or other > SIGNED / 4:
        return False
    coarse = picture.point(lambda by: by & 0xF8)
    coarse.paste(0, mask=coloured.point(lambda by: 255 - by))
    return len(coarse.getcolors(2**15)) > TINTS
