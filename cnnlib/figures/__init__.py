"""Figures that answer: plain JavaScript in the output of a cell, with a still form.

Each figure is a function that returns a `Figure`. Its HTML holds all it needs (style,
data, script) and asks no other host for anything, so it is stored in the notebook and
works on the site, in Jupyter and in Colab. The script takes over when the figure comes
into view; where no script runs, on GitHub and on paper, the still form stays.
"""

from cnnlib.figures.ascent import ascent
from cnnlib.figures.bench import bench
from cnnlib.figures.bill import bill
from cnnlib.figures.blocks import blocks
from cnnlib.figures.depth import depth
from cnnlib.figures.detection import detection
from cnnlib.figures.freeze import freeze
from cnnlib.figures.microscope import microscope, rounded
from cnnlib.figures.pipes import pipes
from cnnlib.figures.quiz import quiz
from cnnlib.figures.verification import verification

__all__ = [
    "ascent",
    "bench",
    "bill",
    "blocks",
    "depth",
    "detection",
    "freeze",
    "microscope",
    "pipes",
    "quiz",
    "rounded",
    "verification",
]
