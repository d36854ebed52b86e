"""Blank areas of an image (flat margins, black surrounds), and what blocks outside of them show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

_BLOCK = 16
_ROWS = 1024
_FEWEST = 16
"""Blocks that an image must have for its contrast to be told."""

_BLANK = 0.005
"""Share of an image from which flat blocks of one value may be a margin."""

_COMMON = 0.2
"""A value that more than this share of the other blocks' pixels have is background, not a margin."""

_UNLIT = 0.25
"""Blocks darker than this share of the bright ones had no light, if these hold few pixels that dark."""

_DARK = 0.1
"""That few: where the background was subtracted, about half of the pixels are that dark, among the cells
too."""

_ALIKE = 0.25
"""Share of the way from a blank area's value to the background's up to which pixels beside it are its own."""

_SOFT = 0.2
"""An edge of which more than this share is such pixels is not sharp."""


class Blocks(NamedTuple):
    """Of each block its lowest and highest value, mean, standard deviation and difference of neighbours."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    step: np.ndarray


class Seen(NamedTuple):
    """Blocks of 16 x 16 pixels without blanks, None if too few, and which pixels are blank, None if none."""

    blocks: Blocks | None
    blank: np.ndarray | None


def seen(image: np.ndarray) -> Seen:
    """Look for blank areas in a grey plane, uint8 or uint16, and measure the blocks outside of them."""
    if image.size < _FEWEST * _BLOCK**2:
        return Seen(None, None)
    window = _within_frame(image)
    inner = image[window]
    if min(inner.shape) < _BLOCK or inner.size < _FEWEST * _BLOCK**2:
        return Seen(None, None)
    blocks = _measured(inner)
    empty, blank = _blank(inner, blocks)
    if inner.shape != image.shape:
        framed = np.ones(image.shape, bool)
        framed[window] = False if blank is None else blank
        blank = framed
    rim = None if blank is None else _rim(image, blank)
    if rim is not None:
        touched = empty | _touched(rim[window], empty.shape)
        if not touched.all():
            empty, blank = touched, blank | rim
    return Seen(Blocks(*(values[~empty] for values in blocks)), blank)


def content(shape: tuple[int, ...], blank: np.ndarray | None) -> tuple[slice, slice]:
    """Return the rows and columns of an image outside of which all pixels are blank."""
    if blank is None or blank.all():
        return slice(0, shape[0]), slice(0, shape[1])
    filled = [np.flatnonzero(~blank.all(axis)) for axis in (1, 0)]
    rows, columns = (slice(int(places[0]), int(places[-1]) + 1) for places in filled)
    return rows, columns


def counted(image: np.ndarray, blank: np.ndarray | None = None) -> np.ndarray:
    """Return how many pixels that are not blank have each grey value: an image may have 400 million."""
    counts = np.zeros(np.iinfo(image.dtype).max + 1, np.int64)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        values = image[rows].ravel() if blank is None else image[rows][~blank[rows]]
        counts += np.bincount(values, minlength=len(counts))
    return counts


def median(counts: np.ndarray) -> float:
    """Return the median of grey values from how many pixels have each."""
    total = counts.cumsum()
    below, above = np.searchsorted(total, ((total[-1] - 1) // 2 + 1, total[-1] // 2 + 1))
    return (int(below) + int(above)) / 2


def _within_frame(image: np.ndarray) -> tuple[slice, slice]:
    """Return an image's part within a frame of one value; all of it where that is the background's too."""
    sides = []
    for axis in (1, 0):
        ends = [int(np.take(image, end, 1 - axis).flat[0]) for end in (0, -1)]
        filled = [np.flatnonzero((image != value).any(axis)) for value in ends]
        if not (len(filled[0]) and len(filled[1])):
            return slice(None), slice(None)
        sides.append(slice(int(filled[0][0]), int(filled[1][-1]) + 1))
    inner = image[sides[0], sides[1]]
    if not inner.size or any(
        (inner == image[row, column]).mean() > _COMMON for row in (0, -1) for column in (0, -1)
    ):
        return slice(None), slice(None)
    return sides[0], sides[1]


def _measured(image: np.ndarray) -> Blocks:
    rows = [_measured_row(strip) for strip in _strips(image)]
    return Blocks(*(np.stack(parts) for parts in zip(*rows, strict=True)))


def _strips(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield one row of whole blocks after the other, each of shape (blocks, 16, 16)."""
    height, width = (side // _BLOCK for side in image.shape)
    for row in range(height):
        strip = image[row * _BLOCK : (row + 1) * _BLOCK, : width * _BLOCK]
        yield np.ascontiguousarray(strip.reshape(_BLOCK, width, _BLOCK).swapaxes(0, 1))


def _measured_row(strip: np.ndarray) -> tuple[np.ndarray, ...]:
    flat = strip.reshape(len(strip), -1)
    real = strip.astype(np.float32)
    across, down = np.diff(real, axis=2), np.diff(real, axis=1)
    step = np.sqrt(((across**2).mean((1, 2)) + (down**2).mean((1, 2))) / 2)
    return flat.min(1), flat.max(1), real.mean((1, 2)), real.std((1, 2)), step


def _pixels(image: np.ndarray, used: np.ndarray) -> np.ndarray:
    return np.concatenate([strip[row].ravel() for strip, row in zip(_strips(image), used, strict=True)])


def _blank(image: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which blocks hold blank pixels, and which pixels are blank, None where none are."""
    flat = blocks.low == blocks.high
    margins = _margins(image, blocks, flat)
    near = np.zeros_like(flat)
    blank = None
    for value in margins:
        around = _wider(flat & (blocks.low == value))
        near |= around
        here = (image == value) & _spread(around, image.shape)
        blank = here if blank is None else blank | here
    dark, limit = _unlit(image, blocks, near)
    if dark.any():
        around = _wider(dark)
        near |= around
        here = _spread(around, image.shape) & ((image < limit) | _spread(dark, image.shape))
        blank = here if blank is None else blank | here
    if near.all():
        return np.zeros_like(flat), None
    return near, blank


def _margins(image: np.ndarray, blocks: Blocks, flat: np.ndarray) -> list[int]:
    """Return the values of which blank margins consist."""
    if not flat.any() or flat.all():
        return []
    values, counts = np.unique(blocks.low[flat], return_counts=True)
    values = values[counts >= max(2, _BLANK * flat.size)]
    others = _pixels(image, ~flat)
    return [int(value) for value in values if (others == value).mean() <= _COMMON]


def _unlit(image: np.ndarray, blocks: Blocks, near: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which blocks lie in a dark surround, as around an eyepiece's field, and what is darker there.

    Bright blocks must be together, and hold few pixels as dark.
    """
    none = np.zeros_like(near)
    bright = float(np.percentile(blocks.mean[~near], 95)) if (~near).any() else 0.0
    dark, lit = ~near & (blocks.mean < _UNLIT * bright), ~near & (blocks.mean > bright / 2)
    if dark.mean() < _BLANK or not lit.any():
        return none, 0.0
    side = max(3, min(lit.shape) // 8) | 1
    together = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)) > 0
    if together.mean() < 10 * _BLANK or (_pixels(image, together) < _UNLIT * bright).mean() > _DARK:
        return none, 0.0
    return cv2.morphologyEx(
        dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    ) > 0, _UNLIT * bright


def _rim(image: np.ndarray, blank: np.ndarray) -> np.ndarray | None:
    """Return the pixels between a blank area and what shines, where the one does not end sharply, else None.

    JPEG's compression leaves values beside the blank area's own at its edge, and turning an image mixes both
    sides.
    """
    edge = _wider(blank) & ~blank
    last = _wider(edge) & blank
    if not edge.any():
        return None
    level, beside, rim = median(counted(image, blank)), image[edge], np.zeros_like(blank)
    for value, count in zip(*np.unique(image[last], return_counts=True), strict=True):
        reach = _ALIKE * abs(level - float(value))
        low, high = int(value - reach), int(value + reach)
        soft = ((beside >= low) & (beside <= high)).mean() >= _SOFT
        if not soft or count < _COMMON * last.sum():
            continue
        alike, grown = (image >= low) & (image <= high), blank
        for _ in range(_BLOCK):
            grown = blank | (_wider(grown) & alike)
        rim |= _wider(grown & ~blank) & ~blank
    return rim if rim.any() else None


def _wider(there: np.ndarray) -> np.ndarray:
    """Return what is there and its eight neighbours."""
    return cv2.dilate(there.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _touched(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the blocks, of so many rows and columns, that hold any of the pixels."""
    whole = pixels[: shape[0] * _BLOCK, : shape[1] * _BLOCK]
    return np.asarray(whole.reshape(shape[0], _BLOCK, shape[1], _BLOCK).any((1, 3)))


def _spread(blocks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return each pixel's block; those beyond the last whole block go with it."""
    rows, columns = (
        np.minimum(np.arange(side) // _BLOCK, n - 1) for side, n in zip(shape, blocks.shape, strict=True)
    )
    return blocks[rows[:, None], columns]
