"""COCO's compressed counts: column-major, background and foreground in turn, most of them as differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from pycocotools import mask as coco

from neuroseg.rle import columns
from neuroseg.rle.runs import MaskError, Runs, check_frame, checked, cut

DRAWN = 2**24
"""Most pixels that a polygon may span, and fifths of a pixel along its outline: 4096 x 4096, no cell."""


def to_coco(runs: Runs, height: int, width: int) -> list[bytes]:
    """Write canonical runs of a frame as COCO's compressed counts, byte for byte as pycocotools does."""
    runs = checked(runs, height, width)
    out, ends = columns.compress(*columns.turn(*runs, height, width), height * width)
    return cut(out.tobytes(), ends)


def from_coco(counts: Sequence[bytes] | pd.Series, height: int, width: int) -> Runs:
    """Read COCO's compressed counts, such as a table's `rle` column, into canonical runs.

    Raises:
        MaskError: counts that are no run lengths of a height x width frame.
    """
    lying = from_coco_lying(counts, height, width)
    return Runs(*columns.turn(*lying, width, height))


def from_coco_lying(counts: Sequence[bytes] | pd.Series, height: int, width: int) -> Runs:
    """Read COCO's compressed counts into canonical runs of the transposed frame: masks lying on their side.

    That is COCO's own order, nothing has to be turned: five times faster, and enough for areas and overlaps.

    Raises:
        MaskError: counts that are no run lengths of a height x width frame.
    """
    check_frame(height, width)
    *runs, broken = columns.decompress(*end_to_end(counts), height, width)
    if broken >= 0:
        raise MaskError(broken, f"holds no run lengths of a frame of {height} x {width} pixels")
    return Runs(*runs)


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> bytes:
    """Return the compressed counts of COCO polygons (x, y, x, y, ...), united.

    Raises:
        ValueError: a polygon of fewer than three corners, corners that are no numbers or lie more than ten
            frames away, or an outline of more than DRAWN pixels, for which pycocotools has too little memory.
    """
    check_frame(height, width)
    spanned, frame = 0.0, np.array([width, height], np.float64)
    for number, polygon in enumerate(polygons):
        corners = np.asarray(polygon, np.float64)
        if corners.ndim != 1 or corners.size < 6 or corners.size % 2:
            raise ValueError(f"polygon {number} is no list of three or more corners x, y")
        corners = corners.reshape(-1, 2)
        if not (np.abs(corners) < 10 * frame).all():
            raise ValueError(
                f"polygon {number} has corners that are no numbers, or lie very far outside the frame"
            )
        inside = np.clip(corners, 0, frame)
        steps = 5 * np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
        spanned += max(float(np.prod(inside.max(axis=0) - inside.min(axis=0) + 1)), steps)
    if not len(polygons) or spanned > DRAWN:
        raise ValueError(
            "there is no polygon" if not len(polygons) else f"the polygons span more than {DRAWN} pixels"
        )
    return coco.merge(coco.frPyObjects([list(polygon) for polygon in polygons], height, width))["counts"]


def from_uncompressed(counts: Sequence[int], height: int, width: int) -> bytes:
    """Return the compressed counts of COCO's plain run lengths, byte for byte as pycocotools writes them.

    Raises:
        ValueError: the run lengths are no whole numbers from 0 on whose sum is the frame.
    """
    check_frame(height, width)
    try:
        plain = [int(count) for count in counts]
    except (TypeError, OverflowError, ValueError):
        plain = []
    whole = plain and all(count == given for count, given in zip(plain, counts, strict=True))
    if not whole or min(plain) < 0 or sum(plain) != int(height) * int(width):
        raise ValueError(f"the run lengths do not fill a frame of {height} x {width} pixels")
    return columns.write(np.array(plain, np.int64)).tobytes()


def end_to_end(counts: Sequence[bytes] | pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the joined bytes, and where each text begins and the last ends; a column is read in place."""
    if not isinstance(counts, pd.Series):
        offset: np.ndarray = np.zeros(len(counts) + 1, np.int64)
        np.cumsum([len(text) for text in counts], out=offset[1:])
        return np.frombuffer(b"".join(counts), np.uint8), offset
    array = pa.array(counts, pa.binary())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    if data is None:  # all texts are empty
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    offset = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8)[offset[0] : offset[-1]], offset - offset[0]
