"""The convex hull of a mask: how long the thread is that is drawn tight around its pixels' centres."""

from __future__ import annotations

import numpy as np
from numba import njit


def hull_perimeter(mask: np.ndarray) -> float:
    """Return the perimeter of the convex hull of a mask's pixels, from centre to centre, in pixels.

    So it compares with scikit-image's `perimeter`, which runs through the centres of the border's pixels.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    return float(_chain(rows, first, 1) + _chain(rows, last, -1) + last[0] - first[0] + last[-1] - first[-1])


@njit(cache=True, nogil=True)
def _chain(rows, columns, side):
    """Return the length of a tight thread along rows' left (`side` 1) or right (-1) ends, top to bottom."""
    kept = np.empty((rows.size, 2), np.int64)
    n = 0
    for at in range(rows.size):
        row, column = rows[at], columns[at] * side
        while n > 1:
            down, along = kept[n - 1, 0] - kept[n - 2, 0], kept[n - 1, 1] - kept[n - 2, 1]
            if down * (column - kept[n - 2, 1]) - along * (row - kept[n - 2, 0]) > 0:
                break
            n -= 1
        kept[n, 0], kept[n, 1] = row, column
        n += 1
    length = 0.0
    for at in range(1, n):
        length += np.sqrt((kept[at, 0] - kept[at - 1, 0]) ** 2.0 + (kept[at, 1] - kept[at - 1, 1]) ** 2.0)
    return length
