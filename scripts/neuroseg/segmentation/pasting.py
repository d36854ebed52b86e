"""Probability patches become masks, as MMDetection pastes them, but as runs and within their reach."""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroseg.rle import check_frame
from neuroseg.tables import PATCH

_PROBABILITY = np.arange(256, dtype=np.float32) / np.float32(255)


def paste(
    patches: np.ndarray, boxes: np.ndarray, rows: np.ndarray, height: int, width: int, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Paste patches into the frame and return the pixels whose probability is at least `threshold`.

    A pixel's probability is the patch's field at the pixel's centre: samples lie at (i + 0.5) / 28 of the
    box's sides, the field between them is bilinear, and beyond the outermost it falls to 0 within one sample.
    This is MMDetection's `_do_paste_mask` (grid_sample, zero padding, align_corners=False) over the whole
    frame, as it runs on a GPU; on a CPU it stops one pixel beyond the box, which shows in wide masks at
    thresholds below 0.5 only.

    Args:
        patches: (n, 28, 28) uint8, 255 meaning 1.
        boxes: (n, 4) float32.
        rows: (m,) int64, which of them to paste.
        height: of the frame.
        width: of the frame.
        threshold: above 0, compared in single precision.

    Returns:
        Canonical runs of the m masks (`rle.Runs`: ptr, start, length), and the mean probability over each
        mask's pixels, float64 (m,), 0 where it has none.

    Raises:
        ValueError: patches or boxes of another shape or type, a box that is empty or not finite, a row that
            there is not, or a threshold that is not above 0.
    """
    check_frame(height, width)
    boxes, rows = np.ascontiguousarray(boxes, np.float32), np.ascontiguousarray(rows)
    if (
        patches.dtype != np.uint8
        or patches.shape != (len(boxes), PATCH, PATCH)
        or boxes.shape != (len(boxes), 4)
    ):
        raise ValueError(f"each box (x1, y1, x2, y2) needs a patch of {PATCH} x {PATCH} bytes")
    if not rows.size:
        rows = rows.astype(np.int64)
    if rows.dtype != np.int64 or (rows.size and not 0 <= rows.min() <= rows.max() < len(boxes)):
        raise ValueError(f"the rows to paste are whole numbers below {len(boxes)}")
    chosen = boxes[rows]
    sound = np.isfinite(chosen).all(axis=1) & (chosen[:, 0] < chosen[:, 2]) & (chosen[:, 1] < chosen[:, 3])
    if not sound.all():
        raise ValueError(f"box {rows[np.argmin(sound)]} is empty, or its corners are no finite numbers")
    if not threshold > 0:
        raise ValueError(f"a pixel's least probability must be above 0, not {threshold}")
    return _paste(np.ascontiguousarray(patches), boxes, rows, int(height), int(width), float(threshold))


@njit(cache=True, nogil=True)
def _paste(patches, boxes, rows, height, width, threshold):
    ptr, mean = np.zeros(rows.size + 1, np.int64), np.zeros(rows.size)
    start, length = np.empty(1024, np.int32), np.empty(1024, np.int32)
    line = np.zeros(PATCH + 3, np.float32)  # a blended row of samples, a zero before it and two behind
    none = np.zeros(PATCH, np.uint8)
    column, along = np.empty(width, np.int64), np.empty(width, np.float32)
    least = np.float32(threshold)
    runs = 0
    for m in range(rows.size):
        x1, y1, x2, y2 = boxes[rows[m]]
        left, right = _reach(x1, x2, width)
        top, bottom = _reach(y1, y2, height)
        for x in range(left, right):
            place = _place(x, x1, x2)
            column[x] = int(place)
            along[x] = place - column[x]
        area, total = 0, 0.0
        for y in range(top, bottom):
            place = _place(y, y1, y2)
            sample = int(place)
            down = np.float32(place - sample)
            above = patches[rows[m], sample - 1] if 0 < sample <= PATCH else none
            below = patches[rows[m], sample] if sample < PATCH else none
            highest = np.float32(0)
            for x in range(PATCH):
                upper, lower = _PROBABILITY[above[x]], _PROBABILITY[below[x]]
                line[x + 1] = upper + (lower - upper) * down
                highest = max(highest, line[x + 1])
            if highest < least:
                continue
            if runs + (right - left + 1) // 2 > start.size:
                more = np.empty(start.size + right - left, np.int32)
                start, length = np.concatenate((start, more)), np.concatenate((length, more))
            inside = False
            for x in range(left, right):
                here = line[column[x]]
                probability = here + (line[column[x] + 1] - here) * along[x]
                if probability >= least:
                    if not inside:
                        start[runs], length[runs], inside = y * width + x, 0, True
                        runs += 1
                    length[runs - 1] += 1
                    area += 1
                    total += np.float64(probability)
                else:
                    inside = False
        ptr[m + 1] = runs
        if area:
            mean[m] = total / area
    return ptr, start[:runs].copy(), length[:runs].copy(), mean


@njit(cache=True, nogil=True)
def _reach(low, high, size):
    """Return the pixels of the frame, first and last exclusive, at which a side's field may be above 0."""
    margin = (high - low) / (2 * PATCH) + 1
    return int(min(max(low - margin, 0.0), size)), int(min(max(high + margin, 0.0), size))


@njit(cache=True, nogil=True)
def _place(pixel, low, high):
    """Return where a pixel's centre lies among a side's samples, 0 being the padding before the first."""
    place = (pixel + 0.5 - np.float64(low)) * PATCH / (np.float64(high) - np.float64(low)) + 0.5
    return min(max(place, 0.0), PATCH + 1.0)
