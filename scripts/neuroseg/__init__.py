"""Neuronal-cell instance segmentation: pure functions on tables and arrays, one idea a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


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
    from neuroseg.exports import label_images  # here: who asks a script for its flags need not wait for it

    return label_images.labels(path, image_id, images)
