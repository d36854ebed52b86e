"""Outlines to masks: polygons with holes drawn on their frame, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuroseg import rle
from neuroseg.readers.truth.corners import beyond, normalised
from neuroseg.readers.truth.pairs import Annotation, Fault

_NO_CELL = rle.Runs(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
"""The mask of what could not be drawn."""


class Outline(NamedTuple):
    """A cell's name, type, polygons (of each the rings, the outer one and holes in any order), and its kind.

    The shape is what the file calls one that has no polygons, the kind what it calls the object, the plane
    where in a stack it lies: its depth and time, None where it does not say or lies in all.
    """

    name: str
    cell_type: str | None
    polygons: list[list[np.ndarray]]
    shape: str
    kind: str = "annotation"
    plane: tuple[object, ...] | None = None


def drawn(cells: Sequence[Outline], height: int, width: int) -> Annotation:
    """Return cells given as polygons as masks, without a pixel where there is a fault that prevents it.

    Outlines on several planes of a stack are none of one image, and refused together.
    """
    planes = {cell.plane for cell in cells if cell.plane is not None}
    if len(planes) > 1:
        words = (
            f"the outlines lie on {len(planes)} planes of a stack (depths or times), the image is one: save "
            "those of its plane alone, or remove their positions if all are of this image"
        )
        return Annotation([], rle.concatenate([]), [Fault("rle_syntax", words)])
    named, masks, faults = [], [], []
    for at, cell in enumerate(cells):
        named.append((cell.name, cell.cell_type))
        masks.append(_NO_CELL)
        fault = _fault(cell, height, width)
        faults += [Fault(*fault, at)] if fault else []
        if fault and fault[0] != "rle_range":
            continue
        try:
            masks[-1] = _filled(cell.polygons, height, width)
        except ValueError as error:
            faults.append(Fault("rle_syntax", f"the outline cannot be drawn: {error}", at))
    return Annotation(named, rle.concatenate(masks), faults)


def _fault(cell: Outline, height: int, width: int) -> tuple[str, str] | None:
    """Return the check that a cell's outline fails and why, the mask being there if it is `rle_range`."""
    rings = [ring for polygon in cell.polygons for ring in polygon]
    if not rings and cell.shape == "a GeometryCollection":
        cure = "make each of its polygons a feature, or all of them one MultiPolygon"
        return "no_outline", f"the outline is {cell.shape}, which is not read: {cure}"
    if not rings or any(len(ring) < 3 for ring in rings):
        return "no_outline", f"the outline is {cell.shape}, and no area of three or more corners"
    corners = np.concatenate(rings)
    if not (np.abs(corners) < 10 * np.array([width, height])).all():
        words = f"corners that are no numbers, or lie far outside the frame of {height} x {width} pixels"
        return "rle_syntax", f"the outline has {words}"
    shares, past = normalised(corners, height, width), beyond(corners, height, width)
    return ("rle_syntax", shares) if shares else ("rle_range", past) if past else None


def _filled(polygons: list[list[np.ndarray]], height: int, width: int) -> rle.Runs:
    """Return polygons' pixels: of each those within an odd number of rings, as Fiji and QuPath fill them."""
    parts = [[_ring(ring, height, width) for ring in polygon] for polygon in polygons]
    if all(len(rings) == 1 for rings in parts) and len(parts) == 1:
        return parts[0][0]
    every = rle.concatenate([ring for rings in parts for ring in rings])
    left, top, right, bottom = _frame(every, width)
    mask = np.zeros((bottom - top, right - left), bool)
    for rings in parts:
        odd = np.zeros_like(mask)
        for ring in rings:
            if len(ring.start):
                inside, x, y = rle.crop(ring, 0, width)
                odd[y - top : y - top + inside.shape[0], x - left : x - left + inside.shape[1]] ^= inside
        mask |= odd
    ptr, start, length = rle.from_masks(mask[None])
    rows, columns = np.divmod(start, max(mask.shape[1], 1))
    return rle.Runs(ptr, ((rows + top) * width + columns + left).astype(np.int32), length)


def _ring(ring: np.ndarray, height: int, width: int) -> rle.Runs:
    return rle.from_coco([rle.from_polygons([ring.ravel().tolist()], height, width)], height, width)


def _frame(masks: rle.Runs, width: int) -> list[int]:
    """Return the box around masks of which some have pixels: left, top, right, bottom; zeros if none has."""
    boxes = rle.boxes(masks, width)[np.diff(masks.ptr) > 0]
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()] if len(boxes) else [0] * 4
