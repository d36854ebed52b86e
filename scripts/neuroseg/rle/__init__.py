"""Run-length masks: Kaggle's text, COCO's compressed counts, and runs between them, without a dense frame.

Three conventions are in use, and mixing them up scores zero. Kaggle's text is row-major and 1-based
("start length start length ..."); COCO's counts are column-major and alternate background and foreground;
`Runs` are row-major and 0-based. Runs are *canonical* when they are sorted, do not touch, and none crosses
the end of a row.
"""

from neuroseg.rle.coco import from_coco, from_coco_lying, from_polygons, from_uncompressed, to_coco
from neuroseg.rle.kaggle import ORDER, OVERLAP, RANGE, SYNTAX, from_kaggle, to_kaggle
from neuroseg.rle.overlaps import Pairs, overlaps, overlaps_of_runs
from neuroseg.rle.reading import confluence, named, of_image
from neuroseg.rle.runs import (
    LARGEST,
    MaskError,
    Runs,
    areas,
    boxes,
    canonical,
    check_frame,
    checked,
    concatenate,
    crop,
    from_masks,
    take,
    to_masks,
    union_area,
)

__all__ = [
    "LARGEST",
    "ORDER",
    "OVERLAP",
    "RANGE",
    "SYNTAX",
    "MaskError",
    "Pairs",
    "Runs",
    "areas",
    "boxes",
    "canonical",
    "check_frame",
    "checked",
    "concatenate",
    "confluence",
    "crop",
    "from_coco",
    "from_coco_lying",
    "from_kaggle",
    "from_masks",
    "from_polygons",
    "from_uncompressed",
    "named",
    "of_image",
    "overlaps",
    "overlaps_of_runs",
    "take",
    "to_coco",
    "to_kaggle",
    "to_masks",
    "union_area",
]
