"""Masks as polygons that run along the edges of pixels, so that filling them gives the same pixels back."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Polygon = list[np.ndarray]
"""An outer ring, then its holes: corners x, y, shape (corners, 2), each once;
x = 3 lies between pixels 2 and 3."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left and up: along the edges of a pixel clockwise, the pixel on the right hand."""


def polygons(mask: np.ndarray, left: int, top: int) -> list[Polygon]:
    """Return the polygons of a mask, shape (height, width), whose corner lies at `left`, `top` of the frame.

    There is one for each piece whose pixels share edges. Rings touch themselves nowhere and each other in
    corners at most; outer rings turn clockwise as seen on the screen, holes the other way. So they are valid
    as Simple Features, and even-odd and non-zero filling agree.
    """
    pieces, count = ndimage.label(mask)
    found = []
    for number, box in enumerate(ndimage.find_objects(pieces, count), 1):
        down, right = box
        rings = _rings(pieces[box] == number)
        rings.sort(key=_doubled_area, reverse=True)  # the outer ring's is above 0, the holes' are below
        found.append([ring + np.array([left + right.start, top + down.start]) for ring in rings])
    return found


def _rings(piece: np.ndarray) -> list[np.ndarray]:
    """Return the rings around a piece and its holes, each without a corner that occurs twice."""
    edges = _edges(piece)
    rings = []
    while edges:
        at = next(iter(edges))
        towards = min(edges[at])
        path, turns, place = [at], [towards], {at: 0}
        while path:
            edges[at].discard(towards)
            if not edges[at]:
                del edges[at]
            at = (at[0] + _STEPS[towards][0], at[1] + _STEPS[towards][1])
            if at in place:  # a ring is closed: take it off the path
                begin = place[at]
                rings.append(_corners(path[begin:], turns[begin:]))
                for corner in path[begin:]:
                    del place[corner]
                del path[begin:], turns[begin:]
                if not path:
                    break
            # where two pixels touch in a corner, keep to the same pixel: turn right before going left
            towards = (towards + 1 - min((towards + 1 - step) % 4 for step in edges[at])) % 4
            place[at] = len(path)
            path.append(at)
            turns.append(towards)
    return rings


def _edges(piece: np.ndarray) -> dict[tuple[int, int], set[int]]:
    """Return the edges between a piece and what is around it: of each corner x, y the steps that leave it."""
    padded = np.pad(piece, 1)
    inside = padded[1:-1, 1:-1]
    # above, right, below, left
    beside = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    edges: dict[tuple[int, int], set[int]] = {}
    for step, (neighbour, (dx, dy)) in enumerate(zip(beside, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True)):
        rows, columns = np.nonzero(inside & ~neighbour)
        for corner in zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True):
            edges.setdefault(corner, set()).add(step)
    return edges


def _corners(path: list[tuple[int, int]], turns: list[int]) -> np.ndarray:
    """Return the points of a ring at which it turns."""
    turning = [point for at, point in enumerate(path) if turns[at] != turns[at - 1]]
    return np.array(turning, np.int64)


def _doubled_area(ring: np.ndarray) -> int:
    """Return twice the area, above 0 where the ring turns clockwise as seen on the screen (y downwards)."""
    following = np.roll(ring, -1, axis=0)
    return int((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum())
