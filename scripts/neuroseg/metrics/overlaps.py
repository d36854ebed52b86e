"""Which predicted and true masks overlap by half or more: all that a threshold from 0.50 on can ask for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroseg import rle, tables
from neuroseg.errors import DataError


def pairs(predicted: pd.DataFrame, truth: pd.DataFrame, images: pd.DataFrame) -> rle.Pairs:
    """Return the pairs of a predicted and a true mask of one image with IoU >= 1/2, by their rows' positions.

    Either side may overlap itself or hold one mask twice. `images` gives the frames (image_id, height,
    width), one row each; it may lie in any order and hold images without masks.

    Raises:
        DataError: instances of an image that `images` does not list, or masks that do not fit their image's
            frame.
    """
    return pairs_of(predicted, _listed(predicted, images), truth, _listed(truth, images), images)


def pairs_of(
    predicted: pd.DataFrame,
    predicted_image: np.ndarray,
    truth: pd.DataFrame,
    truth_image: np.ndarray,
    images: pd.DataFrame,
) -> rle.Pairs:
    """Return what `pairs` does, of instances and the position in `images` that each belongs to."""
    sizes = np.stack([images["height"].to_numpy(np.int64), images["width"].to_numpy(np.int64)], axis=1)
    try:
        return rle.overlaps(predicted["rle"], predicted_image, truth["rle"], truth_image, sizes)
    except rle.MaskError as error:
        raise rle.named(error, (predicted, truth)[error.side]) from error


def of_images(instances: pd.DataFrame, images: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the instances of the images given, and of each the position of its image there."""
    image = tables.positions(instances["image_id"], images["image_id"])
    known = image >= 0
    return (instances, image) if known.all() else (instances[known], image[known])


def _listed(instances: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
    """Return the image of each instance, as a position in `images`."""
    image = tables.positions(instances["image_id"], images["image_id"])
    if (image < 0).any():
        stranger = instances["image_id"].iloc[int(np.argmax(image < 0))]
        raise DataError(
            f"Image {stranger} has instances but is not in the images table; make both from one data set."
        )
    return image
