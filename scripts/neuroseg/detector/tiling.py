"""Large images in windows that overlap: where they lie, and one detection for a cell that several show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from neuroseg.detector.openmmlab import ops
from neuroseg.tables import PATCH

LARGEST = 1536
"""Pixels of a side, as the network sees it, up to which an image is seen whole; windows are as large."""

MARGIN = 128
"""Pixels, as the network sees them, that a window shows beyond the part whose cells it tells: cells of up to
about twice as much are seen whole."""

_SLACK = 16
"""Pixels, as the network sees them, by which two windows may tell the centre of one cell differently."""

_STEP = 32
"""Windows begin at multiples of this from the first one's corner, as the coarsest maps of the network do:
a cell looks the same in all of them."""


class Found(NamedTuple):
    """The detections of one view of one image, or of a window of it, by descending score."""

    boxes: np.ndarray  # float32 (n, 4): x1, y1, x2, y2 in pixels of the image
    scores: np.ndarray  # float32 (n,)
    labels: np.ndarray  # int64 (n,)
    patches: np.ndarray  # uint8 (n, 28, 28): 255 times the probability
    left_out: float | None = None  # most that detections score which a cap has left out, None if of none
    unseen: bool = False  # whether a cap has left out proposals that are cells for sure


NOTHING = Found(
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.int64),
    np.empty((0, PATCH, PATCH), np.uint8),
)
"""No detections."""


class Span(NamedTuple):
    """Along one axis: what a window shows, and the part whose cells it tells. Pixels, the ends exclusive."""

    start: int
    end: int
    core_start: int
    core_end: int


class Window(NamedTuple):
    """A part of an image."""

    down: Span
    across: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and width of what the window shows."""
        return self.down.end - self.down.start, self.across.end - self.across.start

    def of(self, image: np.ndarray) -> np.ndarray:
        """Return what the window shows of an image, not copied."""
        return image[self.down.start : self.down.end, self.across.start : self.across.end]


def windows(height: int, width: int, scale: float = 1.0, corner: tuple[int, int] = (0, 0)) -> list[Window]:
    """Return the windows in which an image is looked at, row by row: one where no side is above LARGEST.

    The parts whose cells they tell cover the image without overlap. Windows of one image are equally large,
    up to a few pixels, and overlap by at least twice MARGIN.

    Args:
        height: Of the image, or of its part that is looked at, in pixels.
        width: Likewise.
        scale: How many pixels the network sees of each of them.
        corner: The row and the column of the image where its part begins.
    """
    rows, columns = _spans(height, scale, corner[0]), _spans(width, scale, corner[1])
    return [Window(down, across) for down in rows for across in columns]


def _spans(side: int, scale: float, first: int) -> list[Span]:
    if round(side * scale) <= LARGEST:
        return [Span(first, first + side, first, first + side)]
    longest, shared = int(LARGEST / scale), math.ceil(2 * MARGIN / scale) + _STEP
    count = math.ceil((side - shared) / (longest - shared))
    length = math.ceil((side + (count - 1) * shared) / count)
    starts = [int(place * (side - length) / (count - 1)) // _STEP * _STEP for place in range(count)]
    ends = [min(start + length, side) for start in starts[:-1]] + [side]
    edges = [0, *((start + end) // 2 for start, end in zip(starts[1:], ends[:-1], strict=True)), side]
    spans = zip(starts, ends, edges[:-1], edges[1:], strict=True)
    return [Span(*(first + place for place in each)) for each in spans]


def join(parts: Sequence[tuple[Window, Found]], scale: float, iou: float) -> Found:
    """Return the detections of an image from those of its windows, each in pixels of its own window.

    A window tells the cells whose centres lie in its core. Near the borders of cores, where two windows may
    both tell a cell or each leave it to the other, both may, and of boxes of one label that overlap by more
    than `iou` the best scored stays.

    Args:
        parts: All windows of the image, as `windows` returns them.
        scale: As `windows` was given it.
        iou: From 0 to 1.
    """
    parts = [(window, _moved(found, window)) for window, found in parts]
    if len(parts) == 1:
        return parts[0][1]
    slack = _SLACK / scale
    pieces, near = [], []
    for window, found in parts:
        outside = np.maximum(
            *(_beyond(found.boxes[:, axis::2].mean(1), span) for axis, span in enumerate(window[::-1]))
        )
        kept = outside <= slack
        pieces.append(Found(*(values[kept] for values in found[:4])))
        near.append(outside[kept] > -2 * slack)
    boxes, scores, labels, patches = (
        np.concatenate([piece[field] for piece in pieces]) for field in range(4)
    )
    kept = _distinct(boxes, scores, labels, np.concatenate(near), iou)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    left_out = max((found.left_out for _, found in parts if found.left_out is not None), default=None)
    unseen = any(found.unseen for _, found in parts)
    return Found(boxes[kept], scores[kept], labels[kept], patches[kept], left_out, unseen)


def _moved(found: Found, window: Window) -> Found:
    """Return what was found in pixels of the image, not of the window."""
    corner = np.array([window.across.start, window.down.start] * 2, np.float32)
    return found._replace(boxes=found.boxes + corner)


def _beyond(centre: np.ndarray, span: Span) -> np.ndarray:
    """Return how far places lie outside of a window's core, below 0 inside; none where the image ends."""
    low = span.core_start - centre if span.core_start > span.start else np.full_like(centre, -np.inf)
    high = centre - span.core_end if span.core_end < span.end else np.full_like(centre, -np.inf)
    return np.maximum(low, high)


def _distinct(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, near: np.ndarray, iou: float
) -> np.ndarray:
    """Return the places of all boxes but those near a border that a better one near a border overlaps."""
    kept = [np.flatnonzero(~near)]
    for label in np.unique(labels[near]):
        rows = np.flatnonzero(near & (labels == label))
        _, best = ops.nms(torch.from_numpy(boxes[rows]), torch.from_numpy(scores[rows]), iou)
        kept.append(rows[best.numpy()])
    return np.sort(np.concatenate(kept))
