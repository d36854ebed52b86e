"""Soft detections become hard, disjoint instances: paste, threshold, rescore, resolve overlaps, drop mere remains.

`settings` reads the thresholds of each cell type, `pasting` turns patches into masks, `claiming` makes masks disjoint,
`cutting` does all of it to tables, image by image, and `labelling` prepares what becomes pseudo-labels.
"""

from neuroseg.segmentation.claiming import claim
from neuroseg.segmentation.cutting import disjoint, instances, rasterise, stream, sweep, vote
from neuroseg.segmentation.labelling import of_known_type, untuned
from neuroseg.segmentation.pasting import paste
from neuroseg.segmentation.settings import Thresholds, read_thresholds

__all__ = [
    "Thresholds",
    "claim",
    "disjoint",
    "instances",
    "of_known_type",
    "paste",
    "rasterise",
    "read_thresholds",
    "stream",
    "sweep",
    "untuned",
    "vote",
]
