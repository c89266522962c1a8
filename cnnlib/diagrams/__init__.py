"""Drawings of networks and blocks, made from the live module, as SVG.

`draw` shows one module from top to bottom, `compare` several side by side, `nodes` a
grid of nodes; `norms` and `volumes` show numbers in space. Of a graph it takes what its
elders do well: real tensors and repeated parts once (torchview), maps as blocks in
space (visualtorch), few words in a box and all numbers behind it (Netron).
"""

from cnnlib.diagrams.layout import built, compare, draw
from cnnlib.diagrams.nodes import nodes
from cnnlib.diagrams.shapes import norms, volumes
from cnnlib.diagrams.svg import Diagram

__all__ = ["Diagram", "built", "compare", "draw", "nodes", "norms", "volumes"]
