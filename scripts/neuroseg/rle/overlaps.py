"""Which masks of two sides overlap by half or more: all that matching from an IoU of 0.50 on can ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.rle import columns
from neuroseg.rle.coco import end_to_end
from neuroseg.rle.runs import LARGEST, MaskError, Runs, check_frame, checked


class Pairs(NamedTuple):
    """Pairs of masks with IoU >= 1/2, ordered by `one`, then `other`; all fields are int64 (pairs,)."""

    one: np.ndarray
    other: np.ndarray
    intersection: np.ndarray  # pixels
    union: np.ndarray  # pixels


def overlaps(
    one: pd.Series, one_image: np.ndarray, other: pd.Series, other_image: np.ndarray, sizes: np.ndarray
) -> Pairs:
    """Return the pairs among the compressed counts of two tables; either side may overlap itself.

    Args:
        one: counts, in any order.
        one_image: (len(one),) int64, the image of each.
        other: counts of the other side.
        other_image: their images.
        sizes: (images, 2) int64, height and width of each image's frame.

    Raises:
        MaskError: counts that are no run lengths of their image's frame.
        ValueError: a frame that no mask can have, or a mask of none of the images.
    """
    sizes = np.ascontiguousarray(sizes, np.int64).reshape(-1, 2)
    sound = ((sizes >= 1) & (sizes <= LARGEST)).all(axis=1)
    for number in np.flatnonzero(~sound | (np.where(sound, sizes[:, 0] * sizes[:, 1], 0) > LARGEST))[
        :1
    ].tolist():
        raise ValueError("image {}: a frame of {} x {} pixels holds no masks".format(number, *sizes[number]))
    for counts, image in ((one, one_image), (other, other_image)):
        if len(counts) != len(image) or (len(image) and not 0 <= np.min(image) <= np.max(image) < len(sizes)):
            raise ValueError("every mask needs the number of one of the images")
    first, second = (
        _image_by_image(one, one_image, len(sizes)),
        _image_by_image(other, other_image, len(sizes)),
    )
    found, *broken = columns.overlaps(*first, *second, sizes)
    for side, (row, image) in enumerate(zip(broken, (one_image, other_image), strict=True)):
        if row >= 0:
            height, width = sizes[image[row]]
            raise MaskError(int(row), f"holds no run lengths of a frame of {height} x {width} pixels", side)
    return _sorted(found)


def _image_by_image(
    counts: pd.Series, image: np.ndarray, images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return counts end to end, where each begins, the rows image by image, and where each image's begin."""
    data, offset = end_to_end(counts)
    rows = np.argsort(image, kind="stable")
    return data, offset, rows, np.searchsorted(image[rows], np.arange(images + 1))


def overlaps_of_runs(one: Runs, other: Runs, width: int) -> Pairs:
    """Return the pairs among the canonical runs of one image's masks.

    Raises:
        ValueError: runs that are not canonical in a frame of that width.
    """
    check_frame(1, width)
    one, other = (checked(side, LARGEST // int(width), width) for side in (one, other))
    return _sorted(columns.overlaps_of_runs(*one, *other, width))


def _sorted(found: np.ndarray) -> Pairs:
    """Order pairs by `one`, of which they come together, and mostly in order."""
    if (found[1:, 0] < found[:-1, 0]).any():
        found = found[np.argsort(found[:, 0], kind="stable")]
    return Pairs(*found.T)
