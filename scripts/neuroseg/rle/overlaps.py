"""Which masks of two sides overlap by half or more: all that matching from an IoU of 0.50 on can ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.rle import columns
from neuroseg.rle.coco import end_to_end
from neuroseg.rle.runs import Runs


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
        ValueError: counts that are no run lengths of their frame; its second argument is the image's number.
    """
    sides, rows_of = [], []
    for counts, image in ((one, one_image), (other, other_image)):
        rows = np.argsort(image, kind="stable")
        ptr = np.searchsorted(image[rows], np.arange(len(sizes) + 1))
        sides += [*end_to_end(counts), rows, ptr]
        rows_of.append(image)
    found, *broken = columns.overlaps(*sides, sizes)
    for row, image in zip(broken, rows_of, strict=True):
        if row >= 0:
            height, width = sizes[image[row]]
            raise ValueError(
                f"mask {row} holds no run lengths of a frame of {height} x {width} pixels", int(image[row])
            )
    return _sorted(found)


def overlaps_of_runs(one: Runs, other: Runs, width: int) -> Pairs:
    """Return the pairs among the canonical runs of one image's masks."""
    return _sorted(columns.overlaps_of_runs(*one, *other, width))


def _sorted(found: np.ndarray) -> Pairs:
    """Order pairs by `one`, of which they come together, and mostly in order."""
    if (found[1:, 0] < found[:-1, 0]).any():
        found = found[np.argsort(found[:, 0], kind="stable")]
    return Pairs(*found.T)
