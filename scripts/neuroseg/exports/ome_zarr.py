"""OME-Zarr: image and label image in one folder, with smaller copies for viewers that zoom.

Version 0.4 of OME-NGFF on version 2 of Zarr, which is a folder of JSON files and zlib-compressed tiles: so
few lines that a library of forty megabytes is not worth installing for them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import files
from neuroseg.exports.label_images import numbered
from neuroseg.exports.scenes import Scene, labels_of, pixels_of

CELLS = "cells"
"""What the label image is called within the image."""

TILE = 512
"""Side of a tile, in pixels; copies of half the side follow until one tile holds the whole."""

_VERSION = "0.4"


def write(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `<name>.ome.zarr` for every image: its pixels, and the label image `labels/cells`.

    Raises:
        DataError: an image is gone or damaged or has another size than its table says, or two cells share a
            pixel.
    """
    for scene in scenes:
        pixels = pixels_of(scene)
        with files.replacing_folder(folder / f"{scene.name}.ome.zarr") as place:
            _write_pyramid(place, pixels, scene, {})
            _write_group(place / "labels", {"labels": [CELLS]})
            described = {"version": _VERSION, "source": {"image": "../../"}, "properties": _properties(scene)}
            _write_pyramid(place / "labels" / CELLS, numbered(scene), scene, {"image-label": described})


def _properties(scene: Scene) -> list[dict[str, object]]:
    """Return what is known of each cell beside its number."""
    rows = []
    for row, number in zip(scene.cells.itertuples(), labels_of(scene.cells), strict=True):
        known: dict[str, object] = {"label-value": number}
        if pd.notna(row.cell_type):
            known["cell_type"] = str(row.cell_type)
        if pd.notna(row.score):
            known["score"] = round(float(row.score), 6)
        rows.append(known)
    return rows


def _write_pyramid(place: Path, values: np.ndarray, scene: Scene, attributes: dict[str, object]) -> None:
    """Write an image or a label image at full size and, pixel by second pixel, at half of it and less."""
    unit = {} if scene.pixel_size_um is None else {"unit": "micrometer"}
    datasets: list[dict[str, object]] = []
    step = 1
    while True:
        _write_array(place / str(len(datasets)), values[::step, ::step])
        scale = {"type": "scale", "scale": [step * (scene.pixel_size_um or 1.0)] * 2}
        datasets.append({"path": str(len(datasets)), "coordinateTransformations": [scale]})
        if max(values.shape) <= step * TILE:
            break
        step *= 2
    axes = [{"name": name, "type": "space", **unit} for name in "yx"]
    known = {"version": _VERSION, "name": scene.name, "axes": axes, "datasets": datasets}
    _write_group(place, {"multiscales": [known], **attributes})


def _write_group(place: Path, attributes: dict[str, object]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    _write_json(place / ".zgroup", {"zarr_format": 2})
    _write_json(place / ".zattrs", attributes)


def _write_array(place: Path, values: np.ndarray) -> None:
    """Write an array of two dimensions in tiles; those at the edge are filled with zeros, as Zarr asks."""
    place.mkdir(parents=True)
    stored = values.dtype.newbyteorder("<")
    known: dict[str, Any] = {
        "zarr_format": 2,
        "shape": list(values.shape),
        "chunks": [TILE, TILE],
        "order": "C",
    }
    known |= {"dtype": stored.str, "fill_value": 0, "filters": None, "dimension_separator": "/"}
    known |= {"compressor": {"id": "zlib", "level": 6}}
    _write_json(place / ".zarray", known)
    for row in range(0, values.shape[0], TILE):
        (place / str(row // TILE)).mkdir()
        for column in range(0, values.shape[1], TILE):
            tile = np.zeros((TILE, TILE), stored)
            part = values[row : row + TILE, column : column + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            (place / str(row // TILE) / str(column // TILE)).write_bytes(zlib.compress(tile.tobytes(), 6))


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
