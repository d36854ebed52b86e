"""Many detections of one cell become one: boxes by a method of METHODS, probability patches by their average.

`recipe` reads an ensemble file, `options` is its section `fusion`, `methods` fuses the boxes of one image,
`patches` lets the masks follow, `members` walks the detections files image by image, and `weights` keeps what
each member weighs.
"""

from neuroseg.fusion.members import Member, fuse, gather, stream, weigh
from neuroseg.fusion.methods import METHODS, Candidates, Fused, nms, wbf
from neuroseg.fusion.options import Fusion
from neuroseg.fusion.patches import average
from neuroseg.fusion.recipe import COMBINATIONS, Recipe, combinations, read_recipe
from neuroseg.fusion.weights import Chosen, only, partition, read_weights, write_weights

__all__ = [
    "COMBINATIONS",
    "METHODS",
    "Candidates",
    "Chosen",
    "Fused",
    "Fusion",
    "Member",
    "Recipe",
    "average",
    "combinations",
    "fuse",
    "gather",
    "nms",
    "only",
    "partition",
    "read_recipe",
    "read_weights",
    "stream",
    "wbf",
    "weigh",
    "write_weights",
]
