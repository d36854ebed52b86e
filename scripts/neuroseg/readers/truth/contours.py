"""Cells as outlines in a file beside the image: Fiji's ROI sets and QuPath's GeoJSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuroseg import rle
from neuroseg.readers.dataset import GeoJson, Rois
from neuroseg.readers.source import Source, type_name
from neuroseg.readers.truth.corners import beyond, normalised
from neuroseg.readers.truth.pairs import Annotation, Fault, read_pairs

if TYPE_CHECKING:
    from roifile import ImagejRoi

_LARGEST = 100_000_000
"""Bytes of one outline, unpacked."""

_NO_CELL = rle.Runs(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
"""The mask of what could not be drawn."""


class _Cell(NamedTuple):
    """A cell's name, type, polygons (of each the rings, the outer one and holes in any order), and its kind.

    The kind is what the file calls a shape that has no polygons.
    """

    name: str
    cell_type: str | None
    polygons: list[list[np.ndarray]]
    shape: str


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
    cells: list[_Cell] = []
    for at, roi in enumerate(rois):
        rings = []
        if roi.composite:
            rings = [np.asarray(ring) for ring in roi.coordinates(multi=True)]
        elif roi.roitype in areas:
            rings = [np.asarray(roi.coordinates())]
        rings = [ring for ring in rings if len(ring) >= 3]
        shape = f"of the kind {ROI_TYPE(roi.roitype).name.lower()}"
        cells.append(_Cell(f"ROI {roi.name or at}", None, [rings] if rings else [], shape))
    return _drawn(cells, height, width)


def decode_geojson(path: Path, height: int, width: int) -> Annotation:
    """Return the polygons of GeoJSON: of features, collected, listed or one, or bare; holes left out.

    Features whose class ends in an asterisk, such as `Ignore*`, are left out, as QuPath does, and named as
    passed over.
    """
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
    kept = [cell for cell in cells if not _ignored(cell)]
    found = _drawn(kept, height, width)
    if len(kept) < len(cells):
        classes = ", ".join(sorted({str(cell.cell_type) for cell in cells if _ignored(cell)}))
        words = f"left out {len(cells) - len(kept)} of {len(cells)} features: "
        words += f"QuPath ignores their class ({classes})"
        words += "" if kept else "; the image counts as not annotated, since none is left"
        found.faults.append(Fault("passed_over", words))
    return found


def _ignored(cell: _Cell) -> bool:
    return cell.cell_type is not None and cell.cell_type.endswith("*")


def _feature(at: int, feature: dict) -> _Cell:
    """Return a feature, or a shape that stands by itself."""
    alone = "coordinates" in feature or "geometries" in feature
    geometry = feature if alone else feature.get("geometry") or {}
    corners = geometry.get("coordinates") or []
    shape = str(geometry.get("type"))
    polygons = {"Polygon": [corners], "MultiPolygon": corners}.get(shape, [])
    meant = (feature.get("properties") or {}).get("classification") or {}
    kind = ": ".join(meant["names"]) if meant.get("names") else meant.get("name")  # as QuPath shows both
    parts = [[np.asarray(ring, np.float64)[:, :2] for ring in rings] for rings in polygons]
    words = f"a {shape}" if geometry else "without geometry"
    return _Cell(f"feature {at}", type_name(kind), [rings for rings in parts if rings], words)


def _drawn(cells: Iterable[_Cell], height: int, width: int) -> Annotation:
    """Return cells given as polygons as masks, without a pixel where there is a fault that prevents it."""
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


def _fault(cell: _Cell, height: int, width: int) -> tuple[str, str] | None:
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


def _unread(error: Exception) -> Annotation:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return Annotation(
        [], rle.concatenate([]), [Fault("rle_syntax", f"the outlines cannot be read ({reason})")]
    )
