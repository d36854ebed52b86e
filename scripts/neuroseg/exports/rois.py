"""ImageJ and Fiji: a ROI set for each image, to drop onto the window or the ROI manager."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from roifile import ROI_TYPE, ImagejRoi

from neuroseg import files, rle
from neuroseg.errors import DataError
from neuroseg.exports.outlines import Polygon, polygons
from neuroseg.exports.scenes import Scene, labels_of

LONGEST = 32_767
"""Pixels of a side; a ROI keeps its place in 16 bits with a sign."""

_MOVE, _LINE, _CLOSE = 0, 1, 4
"""ImageJ's words in the path of a shape of several rings."""


def write(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `<name>_rois.zip` for every image: a ROI for each cell, named by its number in the label image.

    Raises:
        DataError: an image has a side longer than ROIs can be placed on.
    """
    for scene in scenes:
        if max(scene.height, scene.width) > LONGEST:
            raise DataError(
                f"Image {scene.image_id}: {scene.height} x {scene.width} pixels are more than "
                f"ImageJ's ROIs reach ({LONGEST} a side); leave rois out of the export's formats."
            )
        with (
            files.replacing(folder / f"{scene.name}_rois.zip") as path,
            zipfile.ZipFile(path, "w") as archive,
        ):
            for cell, number in enumerate(labels_of(scene.cells)):
                outline = polygons(*rle.crop(scene.masks, cell, scene.width))
                entry = zipfile.ZipInfo(f"{number:05d}.roi")  # its date is fixed: same cells, same bytes
                archive.writestr(entry, _roi(outline, f"{number:05d}").tobytes(), zipfile.ZIP_DEFLATED)


def _roi(outline: list[Polygon], name: str) -> ImagejRoi:
    """Return a cell as a traced outline or, with holes or several pieces, as a shape of several rings."""
    rings = [ring for polygon in outline for ring in polygon]
    if len(rings) == 1:
        roi = ImagejRoi.frompoints(rings[0], name=name)
        roi.roitype = ROI_TYPE.TRACED
    else:
        roi = ImagejRoi(name=name, roitype=ROI_TYPE.RECT)
        roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        roi.shape_roi_size = len(roi.multi_coordinates)
    corners = np.concatenate(rings)
    roi.left, roi.top = (int(side) for side in corners.min(axis=0))
    roi.right, roi.bottom = (int(side) for side in corners.max(axis=0))
    return roi


def _path(ring: np.ndarray) -> np.ndarray:
    """Return a ring in the words of ImageJ: move there, lines to the others, close."""
    words = np.full((len(ring), 1), _LINE)
    words[0] = _MOVE
    return np.append(np.hstack([words, ring]).ravel(), _CLOSE).astype(np.float32)
