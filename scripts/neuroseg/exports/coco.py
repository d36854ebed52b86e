"""COCO: one JSON of all images, its masks as run lengths, since COCO's polygons know no holes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import pandas as pd

from neuroseg import files, rle
from neuroseg.exports.scenes import Scene, Scenes, labels_of

UNKNOWN = "cell"
"""The category of cells whose type nobody knows."""


def write(scenes: Scenes, folder: Path) -> None:
    """Write `annotations.json`, cell by cell; its images are named by their paths below the folder of all."""
    types = sorted({_type(kind) for scene in scenes for kind in scene.cells["cell_type"]})
    categories = {name: at for at, name in enumerate(types, 1)}
    images = [
        {
            "id": at,
            "file_name": scene.file,
            "height": scene.height,
            "width": scene.width,
            "image_id": scene.image_id,
        }
        for at, scene in enumerate(scenes, 1)
    ]
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    with files.replacing(folder / "annotations.json") as path, path.open("w", encoding="utf-8") as file:
        file.write(f'{{"images": {_text(images)},\n"categories": {_text(listed)},\n"annotations": [')
        written = 0
        for at, scene in enumerate(scenes, 1):
            written = _annotations(file, scene, at, categories, written)
        file.write("\n]}\n")


def _annotations(file: TextIO, scene: Scene, image: int, categories: dict[str, int], written: int) -> int:
    """Write the cells of an image, and return how many have been written with them."""
    boxes, areas = rle.boxes(scene.masks, scene.width).tolist(), rle.areas(scene.masks).tolist()
    rows = zip(scene.cells.itertuples(), labels_of(scene.cells), boxes, areas, strict=True)
    for row, number, (left, top, right, bottom), area in rows:
        annotation = {
            "id": written + 1,
            "image_id": image,
            "category_id": categories[_type(row.cell_type)],
            "segmentation": {"size": [scene.height, scene.width], "counts": row.rle.decode("ascii")},
            "bbox": [left, top, right - left, bottom - top],
            "area": area,
            "iscrowd": 0,
            "label": number,
        }
        if pd.notna(row.score):
            annotation["score"] = round(float(row.score), 6)
        file.write((",\n" if written else "\n") + _text(annotation))
        written += 1
    return written


def _type(kind: object) -> str:
    return UNKNOWN if pd.isna(kind) else str(kind)


def _text(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)
