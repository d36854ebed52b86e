"""Images with their cells, one at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neuroseg import readers, rle, tables
from neuroseg.errors import DataError
from neuroseg.readers.images.stacks import without_white
from neuroseg.readers.source import file_names, relative_files


class Scene(NamedTuple):
    """One image: its exported files' name, where it lies, its size in pixels and micrometres, and its cells.

    `file` is `path` below the folder that holds all images of the table, so that it holds elsewhere as well.
    `masks` are those of `cells` (rows of the instances table), in that order.
    """

    image_id: str
    name: str
    path: str
    file: str
    height: int
    width: int
    pixel_size_um: float | None
    cells: pd.DataFrame
    masks: rle.Runs


@dataclass(frozen=True)
class Scenes:
    """The images of two tables. Each time they are gone through, the tables are read anew, image by image."""

    instances: Path
    images: Path

    def __iter__(self) -> Iterator[Scene]:
        """Yield the images in the order of their table.

        Raises:
            DataError: a table cannot be read, a mask does not fit its image, or an image with cells is not
                listed.
        """
        images = tables.read("images", self.images)
        with tables.reading("instances", self.instances) as rows_of:
            self._refuse_unlisted(images)
            names, placed = file_names(images["image_id"]), relative_files(images["path"])
            for row, name, file in zip(images.itertuples(), names, placed, strict=True):
                yield scene(row, name, file, rows_of([row.image_id]))

    def _refuse_unlisted(self, images: pd.DataFrame) -> None:
        unlisted = sorted(set(tables.read("instances", self.instances)["image_id"]) - set(images["image_id"]))
        if unlisted:
            raise DataError(
                f"{self.instances}: image {unlisted[0]} has cells but is not in {self.images}; "
                "give the images table that the cells were found in."
            )


def scene(image: Any, name: str, file: str, cells: pd.DataFrame) -> Scene:
    """Return the scene of a row (by `itertuples`) of the images table and its rows of the instances table."""
    size = None if pd.isna(image.pixel_size_um) else float(image.pixel_size_um)
    masks = rle.of_image(cells, image.image_id, image.height, image.width)
    file = without_white(file)
    return Scene(image.image_id, name, image.path, file, image.height, image.width, size, cells, masks)


def pixels_of(scene: Scene) -> np.ndarray:
    """Return the pixels of a scene's image, shape (height, width).

    Raises:
        DataError: the image is gone or damaged, or has another size than its table says.
    """
    pixels = readers.read_image(scene.path)
    if pixels.shape != (scene.height, scene.width):
        raise DataError(
            f"{scene.path}: the image has {pixels.shape[0]} x {pixels.shape[1]} pixels "
            f"where the images table says {scene.height} x {scene.width}; run validate again."
        )
    return pixels


def labels_of(cells: pd.DataFrame) -> list[int]:
    """Return each cell's number in exported files: its instance_id and 1, since 0 is the background."""
    return [int(number) + 1 for number in cells["instance_id"]]
