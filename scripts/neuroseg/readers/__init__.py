"""From files as people keep them to raw rows, one reader per format; image decoding has its door here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neuroseg.readers import folder
from neuroseg.readers.dataset import Dataset, read_dataset
from neuroseg.readers.images.pixels import ImageError, pixel_digest, read_image, read_uint8, survey
from neuroseg.readers.images.stacks import INVERTED, located
from neuroseg.readers.intensity.levels import to_uint8
from neuroseg.readers.source import Source, relative_files
from neuroseg.readers.truth import coco, contours, kaggle, labels

__all__ = [
    "READERS",
    "Dataset",
    "ImageError",
    "Source",
    "located",
    "pixel_digest",
    "read",
    "read_dataset",
    "read_image",
    "read_uint8",
    "relative_files",
    "survey",
    "to_uint8",
]

READERS: dict[str, Callable[[Any], Source]] = {  # each takes its own kind of Dataset
    "kaggle": kaggle.read,
    "coco": coco.read,
    "folder": folder.read,
    "labels": labels.read,
    "rois": contours.read_rois,
    "geojson": contours.read_geojson,
}
"""A dataset file's `format` and the function that reads it; a new format is a new entry."""


def read(dataset: Dataset) -> Source:
    """Read the raw images and annotations that a dataset file names.

    Raises:
        DataError: a file or folder that cannot be read at all; everything less is a row of the source's
            `notes`.
    """
    source = READERS[dataset.format](dataset)
    if not dataset.invert:
        return source
    white = "" if dataset.invert is True else str(dataset.invert)
    return source._replace(images=source.images.assign(path=source.images["path"] + INVERTED + white))
