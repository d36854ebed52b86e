"""Cells as outlines in a file beside the image: Fiji's ROI sets and QuPath's GeoJSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from neuroseg import rle
from neuroseg.readers.dataset import GeoJson, Rois
from neuroseg.readers.pairs import Annotation, read_pairs
from neuroseg.readers.source import Source, type_name

if TYPE_CHECKING:
    from roifile import ImagejRoi

_LARGEST = 100_000_000
"""Bytes of one outline, unpacked."""

Cell = tuple[str, str | None, list[list[np.ndarray]]]
"""A cell's name, type, and polygons: of each the rings, the outer one and holes in any order."""


def read_rois(dataset: Rois) -> Source:
    """Read images and the ROI set of each: x.zip, x_rois.zip, x_RoiSet.zip or x.roi for the image x."""
    return read_pairs(dataset, (".zip", "_rois.zip", "_RoiSet.zip", "_roi.zip", ".roi"), decode_rois)


def read_geojson(dataset: GeoJson) -> Source:
    """Read images and the GeoJSON of each: x.geojson for the image x; a cell's type is its classification."""
    return read_pairs(dataset, (".geojson", "_annotations.geojson", "_cells.geojson"), decode_geojson)


def _of_zip(path: Path) -> list[ImagejRoi]:
    """Return a set's ROIs; a Mac's leavings and notes that were packed with them are none."""
    from roifile import ImagejRoi

    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
        kept = [entry for entry in entries if not PurePosixPath(entry.filename).name.startswith("._")]
        if any(entry.file_size > _LARGEST for entry in kept):
            raise ValueError(f"an outline is larger than {_LARGEST:,} bytes")
        return [ImagejRoi.frombytes(archive.read(entry)) for entry in kept]


def decode_rois(path: Path, height: int, width: int) -> Annotation:
    """Return the areas of a ROI set, in pixels; lines, points and angles are no cells, and named."""
    from roifile import ROI_TYPE, ImagejRoi  # here: few data sets keep ROIs

    areas = {ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED}
    try:
        rois = _of_zip(path) if path.suffix.lower() == ".zip" else [ImagejRoi.frombytes(path.read_bytes())]
    except Exception as error:  # zip and struct errors, and roifile's own
        return _unread(error)
    cells: list[Cell] = []
    for at, roi in enumerate(rois):
        rings = []
        if roi.composite:
            rings = [np.asarray(ring) for ring in roi.coordinates(multi=True)]
        elif roi.roitype in areas:
            rings = [np.asarray(roi.coordinates())]
        rings = [ring for ring in rings if len(ring) >= 3]
        cells.append((f"ROI {roi.name or at}", None, [rings] if rings else []))
    return _drawn(cells, height, width)


def decode_geojson(path: Path, height: int, width: int) -> Annotation:
    """Return the polygons of GeoJSON: a collection of features, a list of them, or one, holes left out."""
    try:
        content = json.loads(path.read_bytes())
        features = content if isinstance(content, list) else content.get("features", [content])
        cells = [_feature(at, feature) for at, feature in enumerate(features)]
    except (
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        return _unread(error)
    return _drawn(cells, height, width)


def _feature(at: int, feature: dict) -> Cell:
    geometry = feature.get("geometry") or {}
    corners = geometry.get("coordinates") or []
    polygons = {"Polygon": [corners], "MultiPolygon": corners}.get(str(geometry.get("type")), [])
    kind = ((feature.get("properties") or {}).get("classification") or {}).get("name")
    parts = [[np.asarray(ring, np.float64)[:, :2] for ring in rings] for rings in polygons]
    return f"feature {at}", type_name(kind), [rings for rings in parts if rings]


def _drawn(cells: Iterable[Cell], height: int, width: int) -> Annotation:
    """Return cells given as polygons as masks; what has no area is a fault."""
    named, masks, faults = [], [], []
    for name, kind, polygons in cells:
        rings = [ring for polygon in polygons for ring in polygon]
        sound = all(
            len(ring) >= 3 and (np.abs(ring) < 10 * np.array([width, height])).all() for ring in rings
        )
        if not rings or not sound:
            faults.append(
                ("no_outline", f"{name} is no area: a line or point, or corners far outside the frame")
            )
            continue
        try:
            masks.append(_filled(polygons, height, width))
        except ValueError as error:
            faults.append(("rle_syntax", f"{name} cannot be drawn: {error}"))
            continue
        named.append((name, kind))
    return Annotation(named, rle.concatenate(masks), faults)


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


def _unread(error: Exception) -> Annotation:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return Annotation([], rle.concatenate([]), [("rle_syntax", f"the outlines cannot be read ({reason})")])
