"""Masks become disjoint: first come, first served, and what is left of a mask must be worth keeping."""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroseg.rle import Runs, checked


def claim(
    ptr: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    order: np.ndarray,
    height: int,
    width: int,
    min_area: int,
    lost: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Let masks in turn claim the pixels that no mask before them has claimed.

    A mask of which others hold more than the share `lost` claims nothing. Of what is free it takes the
    largest fragment (of equal ones the first from the top; pixels that meet at a corner belong together, as
    thin neurites need) and lets the others go. If that has fewer than `min_area` pixels, it claims nothing
    either. What a mask claims thus depends on the masks before it alone.

    Args:
        ptr: canonical runs of the masks (`rle.Runs`).
        start: of the runs.
        length: of the runs.
        order: (m,) int64, the masks that take their turn.
        height: of the frame.
        width: of the frame.
        min_area: pixels; an empty mask is never kept.
        lost: from 0 to 1.

    Returns:
        Which masks claimed something, int64, in the order of their turns, and the canonical runs of what they
        claimed.

    Raises:
        ValueError: runs that are not canonical within the frame, or a turn of a mask that there is not.
    """
    runs = checked(Runs(ptr, start, length), height, width)
    order = np.ascontiguousarray(order, np.int64)
    if order.size and not 0 <= order.min() <= order.max() < len(runs):
        raise ValueError(f"turns are of masks 0 to {len(runs) - 1}")
    return _claim(*runs, order, int(height), int(width), int(min_area), float(lost))


@njit(cache=True, nogil=True)
def _claim(ptr, start, length, order, height, width, min_area, lost):
    taken = np.zeros(height * width, np.bool_)
    kept, new_ptr = np.empty(order.size, np.int64), np.zeros(order.size + 1, np.int64)
    new_start, new_length = np.empty(1024, np.int32), np.empty(1024, np.int32)
    begin, end, root, size = (
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.int64),
    )
    masks, runs = 0, 0
    for mask in order:
        area = 0
        for r in range(ptr[mask], ptr[mask + 1]):
            area += length[r]
        if begin.size < area:
            begin, end = np.empty(2 * area, np.int64), np.empty(2 * area, np.int64)
            root, size = np.empty(2 * area, np.int64), np.empty(2 * area, np.int64)

        pieces, free = 0, 0
        for r in range(ptr[mask], ptr[mask + 1]):
            x, stop = np.int64(start[r]), np.int64(start[r]) + length[r]
            while x < stop:
                while x < stop and taken[x]:
                    x += 1
                first = x
                while x < stop and not taken[x]:
                    x += 1
                if x > first:
                    begin[pieces], end[pieces] = first, x
                    free += x - first
                    pieces += 1
        if free == 0 or area - free > lost * area:
            continue

        largest = _largest(begin, end, root, size, pieces, width)
        if size[largest] < min_area:
            continue
        if new_start.size < runs + pieces:
            more = np.empty(new_start.size + pieces, np.int32)
            new_start, new_length = np.concatenate((new_start, more)), np.concatenate((new_length, more))
        for p in range(pieces):
            if root[p] == largest:
                taken[begin[p] : end[p]] = True
                new_start[runs], new_length[runs] = begin[p], end[p] - begin[p]
                runs += 1
        kept[masks] = mask
        masks += 1
        new_ptr[masks] = runs
    return kept[:masks].copy(), new_ptr[: masks + 1].copy(), new_start[:runs].copy(), new_length[:runs].copy()


@njit(cache=True, nogil=True)
def _largest(begin, end, root, size, pieces, width):
    """Join rows' pieces into fragments; root[p] is the first piece of p's fragment. Return the largest's."""
    above = 0
    for p in range(pieces):
        root[p], size[p] = p, 0
        row = begin[p] // width
        while begin[above] // width < row - 1 or (
            begin[above] // width == row - 1 and end[above] + width < begin[p]
        ):
            above += 1
        q = above
        while begin[q] // width == row - 1 and begin[q] + width <= end[p]:
            one, other = _root(root, p), _root(root, q)
            root[max(one, other)] = min(one, other)
            q += 1
    largest = 0
    for p in range(pieces):
        root[p] = root[root[p]]  # a root comes before its branches, and is settled by now
        size[root[p]] += end[p] - begin[p]
    for p in range(pieces):
        if size[p] > size[largest]:
            largest = p
    return largest


@njit(cache=True, nogil=True)
def _root(root, p):
    while root[p] != p:
        p = root[p]
    return p
