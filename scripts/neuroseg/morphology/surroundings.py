"""What lies around a cell: its halo, the nearest other cell, and the cells that it touches."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import ndimage
from scipy.spatial import cKDTree

from neuroseg import rle
from neuroseg.morphology.measures import HALO

_SAMPLE = 4_000_000
"""Pixels, about, of which an image's background is the median."""


def uncovered(masks: rle.Runs, height: int, width: int) -> np.ndarray:
    """Return where no mask of an image is, bool, shape (height, width)."""
    free = np.ones(height * width, bool)
    for start, length in zip(masks.start.tolist(), masks.length.tolist(), strict=True):
        free[start : start + length] = False
    return free.reshape(height, width)


def background(pixels: np.ndarray, free: np.ndarray) -> float:
    """Return the median grey of an image's free pixels, black surrounds left out, NaN if none."""
    step = max(1, int((pixels.size / _SAMPLE) ** 0.5))
    greys = pixels[::step, ::step][free[::step, ::step]]
    greys = greys[greys > 0]
    return float(np.median(greys)) if greys.size else np.nan


def halo_contrast(
    mask: np.ndarray, left: int, top: int, pixels: np.ndarray, free: np.ndarray, background: float
) -> float:
    """Return how much brighter a cell's halo is than the background, as a share of it; NaN without a halo.

    Args:
        mask: the cell within its box, bool.
        left: the box's first column in the frame.
        top: the box's first row.
        pixels: the image, shape (height, width).
        free: where no cell of the image is, of the same shape.
        background: the image's grey without cells.
    """
    height, width = pixels.shape
    first_row, first_col = max(top - HALO, 0), max(left - HALO, 0)
    last_row, last_col = min(top + mask.shape[0] + HALO, height), min(left + mask.shape[1] + HALO, width)
    outside = np.ones((last_row - first_row, last_col - first_col), bool)
    outside[
        top - first_row : top - first_row + mask.shape[0], left - first_col : left - first_col + mask.shape[1]
    ] = ~mask
    window = slice(first_row, last_row), slice(first_col, last_col)
    greys = pixels[window][free[window] & (ndimage.distance_transform_edt(outside) <= HALO)]
    greys = greys[greys > 0]
    return float(greys.mean()) / background - 1 if greys.size else np.nan


def nearest(centres: np.ndarray) -> np.ndarray:
    """Return the distance of each centre, (cells, 2), to the nearest other one, NaN where there is none."""
    if len(centres) < 2:
        return np.full(len(centres), np.nan)
    return cKDTree(centres).query(centres, k=2)[0][:, 1]


def touching(masks: rle.Runs, width: int) -> np.ndarray:
    """Return how many others each mask of an image shares a pixel, edge or corner with, (masks,) int64."""
    rows, first = np.divmod(masks.start.astype(np.int64), width)
    owner = np.repeat(np.arange(len(masks)), np.diff(masks.ptr))
    order = np.lexsort((first, rows))
    runs = rows[order], first[order], (first + masks.length)[order], owner[order]
    longest = int(masks.length.max(initial=0))
    found = np.empty((_touches(*runs, longest, np.empty((0, 2), np.int64)), 2), np.int64)
    _touches(*runs, longest, found)
    pairs = np.unique(np.sort(found, axis=1), axis=0)
    return np.bincount(pairs.ravel(), minlength=len(masks))


@njit(cache=True, nogil=True)
def _touches(row, first, end, owner, longest, found):
    """Count the pairs of runs of two owners that touch, and write the owners into `found` where it has room.

    Runs are sorted by row and first column. Beside a run of the same row and of the next, so far as runs that
    begin up to `longest` columns before it may reach it.
    """
    n = 0
    below, low = 0, 0  # the first run of the next row, and the first that may reach this one
    for a in range(row.size):
        if a == 0 or row[a] != row[a - 1]:
            while below < row.size and row[below] <= row[a]:
                below += 1
            low = below
        while low < row.size and row[low] == row[a] + 1 and first[low] + longest < first[a]:
            low += 1
        for line in range(row[a], row[a] + 2):
            b = a + 1 if line == row[a] else low
            while b < row.size and row[b] == line and first[b] <= end[a]:
                if end[b] >= first[a] and owner[a] != owner[b]:
                    if n < len(found):
                        found[n, 0], found[n, 1] = owner[a], owner[b]
                    n += 1
                b += 1
    return n
