"""Cells as outlines in a file beside the image: Fiji's ROI sets and QuPath's GeoJSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroseg import rle
from neuroseg.readers.dataset import GeoJson, Rois
from neuroseg.readers.source import Listed, type_name
from neuroseg.readers.truth.drawing import Outline, drawn
from neuroseg.readers.truth.pairs import Annotation, Fault, read_pairs

if TYPE_CHECKING:
    from roifile import ImagejRoi

_LARGEST = 100_000_000
"""Bytes of one outline, unpacked."""

_ELLIPSE = 73
"""Corners of an ellipse, the last one being the first."""

_CELLS = ("annotation", "detection", "cell")
"""What QuPath calls objects that may be a cell; tiles and cores of a tissue array are none."""

_IGNORED = "QuPath ignores their class ({classes})"
_NO_CELLS = "they are neither annotation, detection nor cell ({kinds})"
_REGIONS = "they are annotations around several detections or cells"
"""Why features are left out."""

_OLD_IDS = {
    **{"PathDetectionObject": "detection", "PathCellObject": "cell"},
    **{"PathTileObject": "tile", "TMACoreObject": "tmaCore", "PathRootObject": "root"},
}
"""What QuPath up to 0.2 wrote as `id` of objects that are no annotations."""


def read_rois(dataset: Rois) -> Listed:
    """Read images and the ROI set of each: x.zip, x_rois.zip, x_RoiSet.zip or x.roi for the image x."""
    return read_pairs(dataset, (".zip", "_rois.zip", "_RoiSet.zip", "_roi.zip", ".roi"), decode_rois)


def read_geojson(dataset: GeoJson) -> Listed:
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
    cells: list[Outline] = []
    for at, roi in enumerate(rois):
        rings = []
        if roi.composite:
            rings = [np.asarray(ring) for ring in roi.coordinates(multi=True)]
        elif roi.roitype in areas:
            rings = [np.asarray(roi.coordinates())]
        rings = [ring for ring in rings if len(ring) >= 3]
        shape = f"of the kind {ROI_TYPE(roi.roitype).name.lower()}"
        depth, time = roi.z_position, roi.t_position
        depth = depth or (0 if time else roi.position)  # a stack of one kind of planes has but a position
        plane = (depth or 1, time or 1) if depth or time else None
        cells.append(
            Outline(f"ROI {roi.name or at}", None, [rings] if rings else [], shape, "annotation", plane)
        )
    return drawn(cells, height, width)


def decode_geojson(path: Path, height: int, width: int) -> Annotation:
    """Return the polygons of GeoJSON: of features, collected, listed or one, or bare; holes left out.

    Features whose class ends in an asterisk, such as `Ignore*`, are left out, as QuPath does, and so are
    objects that are no annotation, detection or cell, and annotations around several detections or cells; all
    are named as passed over. A cell's nucleus, which QuPath keeps beside its outline, is no cell.
    """
    try:
        content = json.loads(path.read_bytes())
        features = content.get("features", [content]) if isinstance(content, dict) else content
        if not isinstance(features, list):
            raise ValueError("it holds no list of features")
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
    parted: dict[str, list[Outline]] = {"": [], _IGNORED: [], _NO_CELLS: [], _REGIONS: []}
    regions = _regions(cells)
    for at, cell in enumerate(cells):
        others = cell.kind.lower() not in _CELLS
        why = _NO_CELLS if others else _IGNORED if _ignored(cell) else _REGIONS if at in regions else ""
        parted[why].append(cell)
    kept = parted.pop("")
    found = drawn(kept, height, width)
    none = "" if kept else "; the image counts as not annotated, since none is left"
    for why, left in parted.items():
        if left:
            named = why.format(
                classes=_listed(cell.cell_type for cell in left), kinds=_listed(cell.kind for cell in left)
            )
            words = f"left out {len(left)} of {len(cells)} features: {named}{none}"
            found.faults.append(Fault("passed_over", words))
    return found


def _regions(cells: Sequence[Outline]) -> set[int]:
    """Return the places of annotations around two or more detections or cells, such as where to look."""
    kinds = [cell.kind.lower() for cell in cells]
    inner = [_box(cell) for cell, kind in zip(cells, kinds, strict=True) if kind in ("detection", "cell")]
    left, top, right, bottom = np.stack(inner, axis=1) if inner else np.zeros((4, 0))
    found = set()
    for at, cell in enumerate(cells):
        if kinds[at] == "annotation" and inner:
            box = _box(cell)
            within = (box[0] <= left) & (box[1] <= top) & (right <= box[2]) & (bottom <= box[3])
            found |= {at} if within.sum() > 1 else set()
    return found


def _box(cell: Outline) -> np.ndarray:
    """Return left, top, right and bottom of an outline; of one without corners no number."""
    corners = [ring for rings in cell.polygons for ring in rings if len(ring)]
    if not corners:
        return np.full(4, np.nan)
    return np.concatenate([np.concatenate(corners).min(axis=0), np.concatenate(corners).max(axis=0)])


def _ignored(cell: Outline) -> bool:
    return cell.cell_type is not None and cell.cell_type.endswith("*")


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(sorted({str(name) for name in names}))


def _feature(at: int, feature: Any) -> Outline:
    """Return a feature, or a shape that stands by itself."""
    if not isinstance(feature, dict):
        return Outline(f"feature {at}", None, [], f"'{feature}'")
    alone = "coordinates" in feature or "geometries" in feature
    geometry = feature if alone else feature.get("geometry") or {}
    corners = geometry.get("coordinates") or []
    shape = str(geometry.get("type"))
    polygons = {"Polygon": [corners], "MultiPolygon": corners}.get(shape, [])
    parts = [[_corners(ring) for ring in rings] for rings in polygons]
    if geometry.get("isEllipse") is True:
        parts = [[_ellipse(ring) for ring in rings if len(ring)] for rings in parts]
    words = f"a {shape}" if geometry else "without geometry"
    said = feature.get("properties")
    said = said if isinstance(said, dict) else {}
    kind = said.get("objectType", said.get("object_type"))  # the latter in QuPath 0.3
    kind = kind if isinstance(kind, str) else _OLD_IDS.get(str(feature.get("id")), "annotation")
    cell_type = _class(said.get("classification"))
    place = geometry.get("plane")
    plane = (str(place.get("z")), str(place.get("t"))) if isinstance(place, dict) else None
    return Outline(f"feature {at}", cell_type, [rings for rings in parts if rings], words, kind, plane)


def _corners(ring: object) -> np.ndarray:
    """Return a ring's corners, x and y; none of what is no list of pairs."""
    corners = np.asarray(ring, np.float64)
    return corners[:, :2] if corners.ndim == 2 and corners.shape[1] >= 2 else np.zeros((0, 2))


def _class(said: object) -> str | None:
    """Return a classification as QuPath shows it: its name, or names parted by colons; or it is the name."""
    if isinstance(said, dict):
        said = said.get("names") or said.get("name")
    if isinstance(said, list):
        names = [type_name(name) for name in said]
        return ": ".join(name for name in names if name is not None) or None
    return type_name(said)


def _ellipse(ring: np.ndarray) -> np.ndarray:
    """Return the ellipse within a ring's box, of which QuPath writes corners only, as a polygon."""
    low, high = ring.min(axis=0), ring.max(axis=0)
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE)
    return (low + high) / 2 + np.stack([np.cos(angles), np.sin(angles)], 1) * (high - low) / 2


def _unread(error: Exception) -> Annotation:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return Annotation(
        [], rle.concatenate([]), [Fault("rle_syntax", f"the outlines cannot be read ({reason})")]
    )
