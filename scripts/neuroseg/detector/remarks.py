"""What a person should know of a prediction: in sentences on all images, and image by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import files, tables
from neuroseg.detector import appearance, caps, scaling
from neuroseg.tables import Coverage


class Prediction(NamedTuple):
    """What a detector found."""

    detections: pd.DataFrame
    coverage: Coverage  # the images and sources
    remarks: tuple[str, ...]  # what a person should know of it, a clause each
    unlike: dict[str, dict[str, str]]  # what of an image is unlike those learnt from, by what it is
    cells: dict[str, list[float]] | None  # how wide and dense the cells are that were learnt
    magnified: dict[str, float]  # by how much an image was magnified for the detector, where it was
    structure: dict[str, float]  # share of an image that shows structure

    def told(self) -> dict:
        """Return all but detections and coverage, as JSON holds it."""
        return {"remarks": list(self.remarks)} | {name: getattr(self, name) for name in self._fields[3:]}

    def write(self, detections: Path, remarks: Path) -> None:
        """Write the detections with their coverage as a table, and all else as JSON."""
        tables.write("detections", self.detections, detections, self.coverage)
        files.write_json(self.told(), remarks)


class Seen(NamedTuple):
    """How images were looked at.

    Attributes:
        images: rows of the images table.
        magnified: by how much each is before the detector sees it.
        adapted: what they were read by.
        pixel_size_um: that the detector learnt at, None if unknown.
        doubted: what `scaling.doubts` returned.
        left_out: of images with more detections than are kept, the most that one left out scores.
    """

    images: pd.DataFrame
    magnified: np.ndarray
    adapted: appearance.Adapted
    pixel_size_um: float | None
    doubted: dict[float, float]
    left_out: Mapping[str, float]


def sentences(seen: Seen) -> tuple[str, ...]:
    """Return what to know of pixel sizes, of looks and of caps, a clause each."""
    images = seen.images
    doubts = [
        f"images of {size:.4g} µm a pixel show as many cells if looked at as they are, which would be "
        f"{width:.3g} µm wide: is the pixel size right?"
        for size, width in seen.doubted.items()
    ]
    return (
        *scaling.sentences(images, seen.pixel_size_um),
        *doubts,
        *appearance.sentences(seen.adapted, images["path"], seen.magnified),
        *caps.of_detections(seen.left_out, len(images)),
    )


def unlike(seen: Seen) -> dict[str, dict[str, str]]:
    """Return what of each image is unlike those that the detector learnt from.

    Returns:
        By image and by what it is (levels, noise, overexposed, blurred, grainy, inverted, pixel_size,
        cell_width, crowd) a clause with the figures; images of which there is nothing to say are not in it.
    """
    images = seen.images
    sizes = images["pixel_size_um"] if "pixel_size_um" in images else pd.Series(np.nan, images.index)
    beyond = scaling.beyond(images, seen.pixel_size_um)
    found = {}
    for at, (image_id, path, size) in enumerate(zip(images["image_id"], images["path"], sizes, strict=True)):
        told = appearance.unlike(seen.adapted, path, seen.magnified[at])
        if beyond[at]:
            told["pixel_size"] = (
                f"{size:.4g} µm a pixel: learnt at {seen.pixel_size_um:g}, looked at as it is"
            )
        elif seen.magnified[at] > scaling.FAR:
            larger = f"{seen.magnified[at]:.2g} times what was learnt from"
            told["pixel_size"] = f"{size:.4g} µm a pixel, {larger}: cells may be missed"
        if size in seen.doubted:
            told["cell_width"] = f"cells would be {seen.doubted[size]:.3g} µm wide: is the pixel size right?"
        if image_id in seen.left_out:
            most = tables.at_most(seen.left_out[image_id])
            told["crowd"] = f"more detections than are kept of each field of view; {most}"
        if told:
            found[image_id] = told
    return found
