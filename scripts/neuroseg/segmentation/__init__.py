"""Soft detections become hard, disjoint instances: paste, threshold, rescore, resolve overlaps, drop remains.

`settings` reads the thresholds of each cell type, `pasting` turns patches into masks, `claiming` makes masks
disjoint, `cutting` does all of it to tables, image by image, `widths` doubts pixel sizes, `likeness` says
whose cells are unlike those learnt, and `labelling` prepares what becomes pseudo-labels.
"""

from neuroseg.segmentation.claiming import claim
from neuroseg.segmentation.cutting import disjoint, instances, rasterise, stream, sweep
from neuroseg.segmentation.labelling import untuned
from neuroseg.segmentation.pasting import paste
from neuroseg.segmentation.settings import Thresholds, read_thresholds, write_thresholds
from neuroseg.segmentation.widths import doubts

__all__ = [
    "Thresholds",
    "claim",
    "disjoint",
    "doubts",
    "instances",
    "paste",
    "rasterise",
    "read_thresholds",
    "stream",
    "sweep",
    "untuned",
    "write_thresholds",
]
