"""From files as people keep them to raw rows, one reader per format; image decoding has its door here."""

from __future__ import annotations

from neuroseg.readers import coco, folder, kaggle
from neuroseg.readers.dataset import Dataset, read_dataset
from neuroseg.readers.pixels import ImageError, read_image, read_uint8, survey, to_uint8
from neuroseg.readers.source import Source

__all__ = [
    "READERS",
    "Dataset",
    "ImageError",
    "Source",
    "read",
    "read_dataset",
    "read_image",
    "read_uint8",
    "survey",
    "to_uint8",
]

READERS = {"kaggle": kaggle.read, "coco": coco.read, "folder": folder.read}
"""A dataset file's `format` and the function that reads it; a new format is a new entry."""


def read(dataset: Dataset) -> Source:
    """Read the raw images and annotations that a dataset file names.

    Raises:
        DataError: a file or folder that cannot be read at all; everything less is a row of the source's `notes`.
    """
    return READERS[dataset.format](dataset)
