"""QuPath: the cells of each image as annotations in GeoJSON, which any GIS program reads as well."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import files, rle
from neuroseg.exports.outlines import Polygon, polygons
from neuroseg.exports.scenes import Scene, labels_of

_NAMESPACE = uuid.UUID("c5b0f0a5-3c0e-4b53-8a51-6f0f6f0f7a21")
"""Of the ids of cells, which are made from names, so that the same cells give the same bytes."""


def write(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `<name>.geojson` for every image: a feature per cell, named by its number in the label image."""
    for scene in scenes:
        with (
            files.replacing(folder / f"{scene.name}.geojson") as path,
            path.open("w", encoding="utf-8") as file,
        ):
            file.write('{"type": "FeatureCollection", "features": [')
            for cell, (row, number) in enumerate(
                zip(scene.cells.itertuples(), labels_of(scene.cells), strict=True)
            ):
                outline = polygons(*rle.crop(scene.masks, cell, scene.width))
                file.write(",\n" if cell else "\n")
                json.dump(_feature(scene.image_id, row, number, outline), file, ensure_ascii=False)
            file.write("\n]}\n")


def _feature(image_id: str, row: Any, number: int, outline: list[Polygon]) -> dict[str, object]:
    coordinates = [[_closed(ring) for ring in polygon] for polygon in outline]
    one = len(coordinates) == 1
    properties: dict[str, object] = {"objectType": "annotation", "name": str(number)}
    if pd.notna(row.cell_type):
        properties["classification"] = {"name": row.cell_type}
    if pd.notna(row.score):
        properties["measurements"] = {"score": round(float(row.score), 6)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{image_id}/{number}")),
        "geometry": {
            "type": "Polygon" if one else "MultiPolygon",
            "coordinates": coordinates[0] if one else coordinates,
        },
        "properties": properties,
    }


def _closed(ring: np.ndarray) -> list[list[int]]:
    """Return a ring as GeoJSON has it: its first corner once more at the end."""
    return np.concatenate([ring, ring[:1]]).tolist()
