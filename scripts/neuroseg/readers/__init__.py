"""From files as people keep them to raw rows, one reader per format; image decoding has its door here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from neuroseg.readers import folder
from neuroseg.readers.dataset import Dataset, read_dataset
from neuroseg.readers.experiment import describe
from neuroseg.readers.images.pixels import ImageError, pixel_digest, read_image, read_uint8, survey
from neuroseg.readers.images.stacks import INVERTED, located
from neuroseg.readers.intensity.levels import to_uint8
from neuroseg.readers.source import Listed, Source, notes_frame, relative_files
from neuroseg.readers.truth import coco, contours, kaggle, labels

__all__ = [
    "READERS",
    "Dataset",
    "ImageError",
    "Listed",
    "Source",
    "listed",
    "located",
    "pixel_digest",
    "read",
    "read_dataset",
    "read_image",
    "read_uint8",
    "relative_files",
    "survey",
    "to_uint8",
    "told",
]

READERS: dict[str, Callable[[Any], Listed]] = {  # each takes its own kind of Dataset
    "kaggle": kaggle.read,
    "coco": coco.read,
    "folder": folder.read,
    "labels": labels.read,
    "rois": contours.read_rois,
    "geojson": contours.read_geojson,
}
"""A dataset file's `format` and the function that reads it; a new format is a new entry."""


def listed(dataset: Dataset) -> Listed:
    """Read the raw images and annotations that a dataset file names, and what their names are asked for.

    Raises:
        DataError: a file or folder that cannot be read at all; everything less is a row of the source's
            `notes`.
    """
    found = READERS[dataset.format](dataset)
    if not dataset.invert:
        return found
    white = "" if dataset.invert is True else str(dataset.invert)
    images = found.source.images
    images = images.assign(path=images["path"] + INVERTED + white)
    return found._replace(source=found.source._replace(images=images))


def told(
    found: Listed, dataset: Dataset, left_out: Collection[int] = (), labels: Collection[int] = ()
) -> Source:
    """Return raw data with what names and the plate map tell of each image (`experiment.describe`).

    Args:
        found: what `listed` returned.
        dataset: the same dataset file.
        left_out: positions of images that are left out, such as label images and broken files, known by their
            pixels: whatever they are called, the others' names are read as if they were not there.
        labels: positions of those of them that are label images, and no scans of a plate.

    Raises:
        DataError: names or the plate map fit too few images, or do not tell what the dataset file needs.
    """
    source = found.source
    if found.texts is None:
        return source
    images, notes = describe(source.images, found.texts, dataset, found.frames, left_out, labels)
    own, cells = images["cell_type"].to_numpy(object), source.annotations
    kinds = [
        own[at] if kind is None else kind for at, kind in zip(cells["image"], cells["cell_type"], strict=True)
    ]
    cells = cells.assign(cell_type=pd.Series(kinds, index=cells.index, dtype=object))
    notes = pd.concat([source.notes, notes_frame(notes)], ignore_index=True)
    return source._replace(images=images, annotations=cells, notes=notes)


def read(dataset: Dataset) -> Source:
    """Read a dataset file's raw images and annotations with what names tell, as if none will be left out."""
    return told(listed(dataset), dataset)
