"""Label images: 0 is background, n the cell with instance_id n - 1. TIFF with the pixel size twice over."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from neuroseg import files, tables
from neuroseg.errors import DataError
from neuroseg.exports.scenes import Scene, labels_of, scene

_NAMESPACE = uuid.UUID("7d3f0a3e-5d0f-4d47-9c8b-2f3a1c6e9b10")
"""Of the ids in files, which are made from names, so that the same cells give the same bytes."""


def write(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `<name>_masks.tif` for every image, those without cells too.

    Raises:
        DataError: two cells of an image share a pixel, which a label image cannot hold.
    """
    for one in scenes:
        with files.replacing(folder / f"{one.name}_masks.tif") as path:
            _write_tiff(path, numbered(one), one.pixel_size_um, one.name)


def numbered(one: Scene) -> np.ndarray:
    """Return a scene's label image, shape (height, width): uint16, or uint32 where a number is above 65,535.

    Raises:
        DataError: two cells share a pixel.
    """
    numbers = labels_of(one.cells)
    labels = np.zeros(one.height * one.width, np.uint16 if max(numbers, default=0) <= 0xFFFF else np.uint32)
    ptr, start, length = one.masks
    for cell, number in enumerate(numbers):
        for run in range(ptr[cell], ptr[cell + 1]):
            pixels = labels[start[run] : start[run] + length[run]]
            if pixels.any():
                other = pixels[np.flatnonzero(pixels)[0]] - 1
                raise DataError(
                    f"Image {one.image_id}: the cells {other} and {number - 1} share pixels, which no label "
                    "image can hold; export them as rois, geojson or coco, or take the cells of segment."
                )
            pixels[:] = number
    return labels.reshape(one.height, one.width)


def labels(path: str | Path, image_id: str, images: str | Path | None = None) -> np.ndarray:
    """Return the cells of one image as a label image.

    Args:
        path: an instances table, such as results/{dataset}/segment/{ensemble}.parquet.
        image_id: the image, as the tables call it.
        images: the images table; by default validate/images.parquet beside the folder of `path`.

    Returns:
        Shape (height, width): 0 is background, n is the cell whose instance_id is n - 1; uint16, or uint32
        where a number is above 65,535.

    Raises:
        DataError: a table cannot be read, there is no such image, or two cells share a pixel.
    """
    listed = images or Path(path).resolve().parents[1] / "validate" / "images.parquet"
    table = tables.read("images", listed)
    rows = list(table[table["image_id"] == image_id].itertuples())
    if not rows:
        some = ", ".join(table["image_id"].head(3))
        raise DataError(f"{listed}: there is no image {image_id}; there are {len(table)}: {some}, ...")
    return numbered(
        scene(rows[0], image_id, Path(rows[0].path).name, tables.read("instances", path, [image_id]))
    )


def _write_tiff(path: Path, labels: np.ndarray, pixel_size_um: float | None, name: str) -> None:
    """Write a TIFF whose bytes follow from the arguments: no date, and no random id."""
    metadata: dict[str, Any] = {
        "axes": "YX",
        "Name": name,
        "UUID": f"urn:uuid:{uuid.uuid5(_NAMESPACE, name)}",
    }
    options: dict[str, Any] = {
        "ome": True,
        "photometric": "minisblack",
        "compression": "zlib",
        "rowsperstrip": 64,
    }
    if pixel_size_um is not None:
        for axis in "XY":
            metadata |= {f"PhysicalSize{axis}": pixel_size_um, f"PhysicalSize{axis}Unit": "µm"}
        options |= {"resolution": (1e4 / pixel_size_um, 1e4 / pixel_size_um), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, labels, metadata=metadata, **options)
