"""Many detectors' finds of one cell become one: boxes by a method of METHODS, probability patches by their average.

`recipe` reads an ensemble file, `methods` fuses the boxes of one image, `patches` lets the masks follow, and `members`
walks the detections files image by image.
"""

from neuroseg.fusion.members import Member, fuse, gather, stream
from neuroseg.fusion.methods import METHODS, Candidates, Fused, nms, nmw, soft_nms, wbf
from neuroseg.fusion.patches import average
from neuroseg.fusion.recipe import Fusion, Recipe, read_recipe

__all__ = [
    "METHODS",
    "Candidates",
    "Fused",
    "Fusion",
    "Member",
    "Recipe",
    "average",
    "fuse",
    "gather",
    "nms",
    "nmw",
    "read_recipe",
    "soft_nms",
    "stream",
    "wbf",
]
