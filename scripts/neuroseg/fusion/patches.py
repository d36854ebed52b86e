"""Masks that follow their boxes: a cluster's probability patches, averaged on the fused box's grid."""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroseg.tables import PATCH

LANES = 32
"""A patch's side, filled up to whole vectors: what is left of a loop beyond them takes longer than they."""


_THINNEST, _HEAVIEST = 1e-300, 1e30
"""What single precision, and a division by a box's side, can still tell."""


def average(
    patches: np.ndarray, boxes: np.ndarray, weights: np.ndarray, owner: np.ndarray, fused: np.ndarray
) -> np.ndarray:
    """Average the members' patches over each fused box.

    A patch is a field of probability over its own box: its samples lie at (i + 0.5) / 28 of the box's sides,
    the field between them is bilinear, and beyond the outermost it falls to 0 within one sample
    (`grid_sample` with zero padding, align_corners=False: what MMDetection pastes). Each member adds what its
    field is at the fused box's own sample centres, 0 where it does not reach.

    Args:
        patches: (n, 28, 28) uint8.
        boxes: (n, 4), the patches' own boxes.
        weights: (n,), a member's share: list weight x score, as in its box.
        owner: (n,), the fused box that each belongs to, or -1.
        fused: (k, 4).

    Returns:
        (k, 28, 28) uint8, rounded to the nearest; a box without members is 0.

    Raises:
        ValueError: arrays whose shapes disagree, patches that are no bytes, boxes that are empty or not
            finite, weights that are none, or an owner that there is not.
    """
    n = len(patches)
    if patches.shape != (n, PATCH, PATCH) or patches.dtype != np.uint8:
        raise ValueError(
            f"patches are bytes of shape (n, {PATCH}, {PATCH}), not {patches.dtype} of {patches.shape}"
        )
    if boxes.shape != (n, 4) or fused.ndim != 2 or fused.shape[1] != 4 or not len(weights) == len(owner) == n:
        raise ValueError("each patch needs a box, a weight and an owner, and boxes are x1, y1, x2, y2")
    if n and not (owner.min() >= -1 and owner.max() < len(fused)):
        raise ValueError(f"owners are -1 or fused boxes 0 to {len(fused) - 1}")
    for name, these in (("box", boxes), ("fused box", fused)):
        finite = np.where(np.abs(these) < _HEAVIEST, these, 0)  # an empty box, where a corner is not
        sound = (finite == these).all(axis=1) & (finite[:, 2:] - finite[:, :2] > _THINNEST).all(axis=1)
        if not sound.all():
            raise ValueError(f"{name} {np.argmin(sound)} is empty, or its corners are no finite numbers")
    if not (np.abs(weights) < _HEAVIEST).all():
        raise ValueError(f"the weights of patches are numbers below {_HEAVIEST:g}")
    members = np.argsort(owner, kind="stable")
    ptr = np.searchsorted(owner[members], np.arange(len(fused) + 1))
    share = np.maximum(weights, 1e-12)  # so that members that all score 0 count alike
    patches = np.ascontiguousarray(patches)
    return _average(
        patches, boxes.astype(np.float64), share.astype(np.float64), ptr, members, fused.astype(np.float64)
    )


@njit(cache=True, nogil=True)
def _average(patches, boxes, weights, ptr, members, fused):
    """Blend a patch's rows, turn it on its side, blend its columns as rows: both steps run along memory."""
    one, none = np.float32(1), np.zeros(PATCH, np.uint8)
    out = np.zeros((fused.shape[0], PATCH, PATCH), np.uint8)
    centre_x, centre_y = np.empty(PATCH), np.empty(PATCH)
    field = np.empty((PATCH, LANES), np.float32)  # column by column
    turned = np.zeros((PATCH + 3, LANES), np.float32)  # a patch's columns, one of zeros before, two behind
    row, down = np.empty(PATCH, np.int64), np.empty(PATCH, np.float32)
    column, along = np.empty(PATCH, np.int64), np.empty(PATCH, np.float32)
    for k in range(fused.shape[0]):
        field[:] = 0
        whole = 0.0
        _centres(fused[k, 0], fused[k, 2], centre_x)
        _centres(fused[k, 1], fused[k, 3], centre_y)
        for m in range(ptr[k], ptr[k + 1]):
            i = members[m]
            whole += weights[i]
            weight = np.float32(weights[i])
            _places(centre_x, boxes[i, 0], boxes[i, 2], column, along)
            _places(centre_y, boxes[i, 1], boxes[i, 3], row, down)
            for y in range(PATCH):
                above = patches[i, row[y] - 1] if 0 < row[y] <= PATCH else none
                below = patches[i, row[y]] if row[y] < PATCH else none
                of_above, of_below = weight * (one - down[y]), weight * down[y]
                for x in range(PATCH):
                    turned[x + 1, y] = of_above * np.float32(above[x]) + of_below * np.float32(below[x])
            for x in range(PATCH):
                here, there, share = turned[column[x]], turned[column[x] + 1], along[x]
                for y in range(LANES):
                    field[x, y] += here[y] + (there[y] - here[y]) * share
        if whole > 0:
            for y in range(PATCH):
                for x in range(PATCH):
                    out[k, y, x] = np.uint8(min(field[x, y] / whole + 0.5, 255.0))
    return out


@njit(cache=True, nogil=True)
def _centres(low, high, centre):
    """Write where the samples of a side lie."""
    for j in range(PATCH):
        centre[j] = low + (j + 0.5) * (high - low) / PATCH


@njit(cache=True, nogil=True)
def _places(centre, low, high, sample, share):
    """Write where points lie among the samples of a side: after which, padding being 0, and how far on."""
    scale = PATCH / (high - low)
    for j in range(PATCH):
        place = min(max((centre[j] - low) * scale + 0.5, 0.0), PATCH + 1.0)
        sample[j] = int(place)
        share[j] = place - sample[j]
