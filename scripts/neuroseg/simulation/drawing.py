"""Drawing into small windows: tapered limbs, thin fibres and spheres, each one compiled loop over pixels."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import ndimage

OUTSIDE = -1e3
"""Depth of a pixel far from every limb."""


def window(lines: list[np.ndarray], reach: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return rows and columns within `reach` of lines (n, 3: x, y, radius), cut at the canvas of `shape`."""
    points = np.concatenate(lines)
    low = np.floor((points[:, :2] - points[:, 2:]).min(0) - reach).astype(int)
    high = np.ceil((points[:, :2] + points[:, 2:]).max(0) + reach).astype(int) + 1
    (x0, x1), (y0, y1) = (np.clip([low[axis], high[axis]], 0, shape[1 - axis]) for axis in (0, 1))
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def depth(limbs: list[np.ndarray], web: float, place: tuple[slice, slice]) -> np.ndarray:
    """Return how deep each pixel of a window lies in a body of tapered limbs, in pixels, negative outside.

    Limbs (n, 3: x, y, radius) are united smoothly: `web` pixels of membrane span the angle between two of
    them.
    """
    shape = (place[0].stop - place[0].start, place[1].stop - place[1].start)
    whole = np.full(shape, OUTSIDE)
    for limb in limbs:
        part = np.full(shape, OUTSIDE)
        _limb(part, limb, place[1].start, place[0].start, web + 3.0)
        gap = np.maximum(web - np.abs(whole - part), 0.0)
        whole = np.maximum(whole, part) + gap * gap / (4 * max(web, 1e-6))
    return whole


def lay_fibre(phase: np.ndarray, fibre: np.ndarray, height: float) -> None:
    """Add a thin process (n, 3: x, y, radius) to the phase map, `height` radians where its radius is 1."""
    place = window([fibre], 4.0, phase.shape)
    part = np.zeros((place[0].stop - place[0].start, place[1].stop - place[1].start))
    _fibre(part, fibre, place[1].start, place[0].start, height)
    phase[place] += part


def lay_spheres(phase: np.ndarray, spheres: np.ndarray) -> None:
    """Add spheres (n, 4: x, y, radius, radians at the centre) to the phase map."""
    _spheres(phase, spheres)


def solid(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected piece of a mask with its holes filled."""
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(mask)


def opened(inside: np.ndarray, radius: float) -> np.ndarray:
    """Return a mask without the parts thinner than twice `radius` (morphological opening by a disc)."""
    if radius <= 0:
        return inside
    reach = int(radius) + 1
    padded = np.pad(inside, reach)
    core = ndimage.distance_transform_edt(padded) > radius
    if not core.any():
        return np.zeros_like(inside)
    grown = ndimage.distance_transform_edt(~core) < radius + 0.5
    return (grown & padded)[reach:-reach, reach:-reach]


@njit(cache=True, nogil=True)
def _limb(out, limb, left, top, reach):
    """Depth inside a chain of round cones; the deepest counts. A Python loop would cost a second a cell."""
    height, width = out.shape
    for k in range(limb.shape[0] - 1):
        ax, ay, ar = limb[k, 0] - left, limb[k, 1] - top, limb[k, 2]
        dx, dy, dr = limb[k + 1, 0] - left - ax, limb[k + 1, 1] - top - ay, limb[k + 1, 2] - ar
        square = dx * dx + dy * dy + 1e-9
        far = max(ar, ar + dr) + reach
        for y in range(max(0, int(min(ay, ay + dy) - far)), min(height, int(max(ay, ay + dy) + far) + 2)):
            for x in range(max(0, int(min(ax, ax + dx) - far)), min(width, int(max(ax, ax + dx) + far) + 2)):
                t = min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / square))
                value = ar + t * dr - np.sqrt((x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2)
                if value > out[y, x]:
                    out[y, x] = value


@njit(cache=True, nogil=True)
def _fibre(out, fibre, left, top, height):
    """A tube's thickness, blurred to the pixel; where two segments meet, the thicker counts, not the sum."""
    rows, columns = out.shape
    for k in range(fibre.shape[0] - 1):
        ax, ay, ar = fibre[k, 0] - left, fibre[k, 1] - top, fibre[k, 2]
        dx, dy, dr = fibre[k + 1, 0] - left - ax, fibre[k + 1, 1] - top - ay, fibre[k + 1, 2] - ar
        square = dx * dx + dy * dy + 1e-9
        far = 3 * max(ar, ar + dr) + 1
        for y in range(max(0, int(min(ay, ay + dy) - far)), min(rows, int(max(ay, ay + dy) + far) + 2)):
            for x in range(
                max(0, int(min(ax, ax + dx) - far)), min(columns, int(max(ax, ax + dx) + far) + 2)
            ):
                t = min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / square))
                r = ar + t * dr
                away = (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2
                value = height * r * np.exp(-away / (r * r + 0.15))
                if value > out[y, x]:
                    out[y, x] = value


@njit(cache=True, nogil=True)
def _spheres(out, spheres):
    """Half-pixel-soft spheres, one after another, each within its own box."""
    rows, columns = out.shape
    for k in range(spheres.shape[0]):
        cx, cy, r, peak = spheres[k]
        far = r + 1.5
        for y in range(max(0, int(cy - far)), min(rows, int(cy + far) + 2)):
            for x in range(max(0, int(cx - far)), min(columns, int(cx + far) + 2)):
                q = ((x - cx) ** 2 + (y - cy) ** 2) / ((r + 0.4) ** 2)
                if q < 1.0:
                    out[y, x] += peak * np.sqrt(1.0 - q)
