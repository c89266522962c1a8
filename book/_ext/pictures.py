"""Plots of the built site get a palette of 256 colours, a third of their bytes.

A plot is drawn in a few colours and their mixtures along edges; pictures with more than
`COLOURS` of them, photographs, stay as they are, and so do the notebooks.
"""

from pathlib import Path

from PIL import Image

COLOURS = 5_000


def setup(app):
    app.connect("build-finished", compress_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def compress_all(app, problem):
    if problem is None:
        for path in Path(app.outdir, "_images").glob("*.png"):
            compress(path)


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
