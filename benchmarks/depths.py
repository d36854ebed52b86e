"""Loops that draw cells: their runs and boxes, and how deep the points of their boxes lie."""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroseg import tables


@njit(cache=True, nogil=True)
def _depth(x, y, radius, waves, limbs):
    """Return how many pixels a point, relative to the cell's centre, lies within its outline."""
    far = np.sqrt(x * x + y * y)
    c1, s1 = (x / far, y / far) if far > 0 else (1.0, 0.0)
    c, s, edge = c1, s1, 1.0
    for wave in range(waves.shape[0]):
        edge += waves[wave, 0] * c + waves[wave, 1] * s
        c, s = c * c1 - s * s1, s * c1 + c * s1
    deepest = radius * max(edge, 0.2) - far
    for limb in range(limbs.shape[0]):
        u, v, half = limbs[limb]
        if half > 0:
            along = min(max((x * u + y * v) / (u * u + v * v), 0.0), 1.0)
            deepest = max(deepest, half - np.hypot(x - along * u, y - along * v))
    return deepest


@njit(cache=True, nogil=True)
def raster(centre, radius, waves, limbs, height, width):
    """Return the runs (ptr, start, length) and the boxes, int32 (n, 4), of cells drawn into the frame."""
    ptr, boxes = np.zeros(radius.size + 1, np.int64), np.zeros((radius.size, 4), np.int32)
    start, length = np.empty(4096, np.int32), np.empty(4096, np.int32)
    runs = 0
    for i in range(radius.size):
        reach = radius[i] * (1 + np.abs(waves[i]).sum()) + 1
        for limb in range(limbs.shape[1]):
            reach = max(reach, np.hypot(limbs[i, limb, 0], limbs[i, limb, 1]) + limbs[i, limb, 2] + 1)
        x0, x1 = max(int(centre[i, 0] - reach), 0), min(int(centre[i, 0] + reach) + 1, width)
        y0, y1 = max(int(centre[i, 1] - reach), 0), min(int(centre[i, 1] + reach) + 1, height)
        left, right, top, bottom = x1, x0 + 1, y1, y0 + 1
        for y in range(y0, y1):
            if runs + x1 - x0 > start.size:
                start, length = np.concatenate((start, start)), np.concatenate((length, length))
            inside = False
            for x in range(x0, x1):
                if _depth(x + 0.5 - centre[i, 0], y + 0.5 - centre[i, 1], radius[i], waves[i], limbs[i]) > 0:
                    if not inside:
                        start[runs], length[runs], inside = y * width + x, 0, True
                        runs += 1
                    length[runs - 1] += 1
                    left, right = min(left, x), max(right, x + 1)
                    top, bottom = min(top, y), max(bottom, y + 1)
                else:
                    inside = False
        ptr[i + 1] = runs
        boxes[i, 0], boxes[i, 1] = min(left, right - 1), min(top, bottom - 1)
        boxes[i, 2], boxes[i, 3] = right, bottom
    return (ptr, start[:runs].copy(), length[:runs].copy()), boxes


@njit(cache=True, nogil=True)
def sample(centre, radius, waves, limbs, boxes):
    """Return each cell's depth at 28 x 28 points of its box, float32."""
    side = tables.PATCH
    out = np.empty((radius.size, side, side), np.float32)
    for i in range(radius.size):
        for row in range(side):
            y = boxes[i, 1] + (row + 0.5) / side * (boxes[i, 3] - boxes[i, 1]) - centre[i, 1]
            for column in range(side):
                x = boxes[i, 0] + (column + 0.5) / side * (boxes[i, 2] - boxes[i, 0]) - centre[i, 0]
                out[i, row, column] = _depth(x, y, radius[i], waves[i], limbs[i])
    return out


@njit(cache=True, nogil=True)
def patches(depth, rows, bumps):
    """Return probabilities, uint8 (m, 28, 28): logistic in depth, disturbed by bumps on a 5 x 5 grid."""
    side = tables.PATCH
    out = np.empty((rows.size, side, side), np.uint8)
    for m in range(rows.size):
        for row in range(side):
            v = row * 4.0 / side
            r, down = int(v), np.float32(v - int(v))
            for column in range(side):
                u = column * 4.0 / side
                c, along = int(u), np.float32(u - int(u))
                above = bumps[m, r, c] + (bumps[m, r, c + 1] - bumps[m, r, c]) * along
                below = bumps[m, r + 1, c] + (bumps[m, r + 1, c + 1] - bumps[m, r + 1, c]) * along
                logit = 1.5 * depth[rows[m], row, column] + above + (below - above) * down
                out[m, row, column] = np.uint8(255 / (1 + np.exp(-logit)) + 0.5)
    return out
