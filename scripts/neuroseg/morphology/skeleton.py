"""A cell's middle line: how long it is, where it divides and ends, and how thick the cell is along it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

_ALL_AROUND = np.ones((3, 3), bool)


class Skeleton(NamedTuple):
    """Of one cell, in pixels: its middle line's length, branchings and tips, and mean width along it."""

    length: float
    branch_points: int
    end_points: int
    thickness: float


def skeleton(mask: np.ndarray) -> Skeleton:
    """Return the measures of the middle line of a mask, bool, shape (height, width), with at least one pixel.

    The line is Zhang and Suen's (Commun. ACM 27, 1984): one pixel wide, its pixels 1 or √2 apart, so it ends
    about half a width before the cell does. A place where it divides counts once, however many pixels it
    takes up.
    """
    padded = np.pad(mask, 1)
    line = skeletonize(padded)
    length, degree = _walked(line)
    branching = ndimage.label(degree >= 3, _ALL_AROUND)[1]
    return Skeleton(length, branching, int((degree == 1).sum()), float(_widths(padded)[line].mean()))


def _walked(line: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the length of a line of pixels, and how many ways lead from each; across a corner none leads."""
    degree = np.zeros(line.shape, np.uint8)
    length = 0.0
    upper, lower, left, right = line[:-1], line[1:], line[:, :-1], line[:, 1:]
    steps = (
        (upper & lower, (slice(None, -1), slice(None)), (slice(1, None), slice(None)), 1.0),
        (left & right, (slice(None), slice(None, -1)), (slice(None), slice(1, None)), 1.0),
        (
            left[:-1] & right[1:] & ~(right[:-1] | left[1:]),
            (slice(None, -1), slice(None, -1)),
            (slice(1, None), slice(1, None)),
            2**0.5,
        ),
        (
            right[:-1] & left[1:] & ~(left[:-1] | right[1:]),
            (slice(None, -1), slice(1, None)),
            (slice(1, None), slice(None, -1)),
            2**0.5,
        ),
    )
    for linked, one, other, distance in steps:
        degree[one] += linked
        degree[other] += linked
        length += distance * int(linked.sum())
    return length, degree


def _widths(padded: np.ndarray) -> np.ndarray:
    """Return per pixel of a mask with a margin twice the distance to its border, exact for bars of any width.

    Distances are taken between quarters of pixels, where the middle of a bar of an even number of rows lies
    as well.
    """
    quarters = ndimage.distance_transform_edt(padded.repeat(2, axis=0).repeat(2, axis=1))
    height, width = padded.shape
    return quarters.reshape(height, 2, width, 2).max(axis=(1, 3))
