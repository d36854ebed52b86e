"""The masks of an instances table, image by image; a broken one is named by its image and its instance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroseg.errors import DataError
from neuroseg.rle.coco import from_coco
from neuroseg.rle.runs import MaskError, Runs, union_area


def of_image(instances: pd.DataFrame, image_id: str, height: int, width: int) -> Runs:
    """Return the canonical runs of one image's instances, in their order.

    Raises:
        DataError: a mask that does not fit the frame, or has no pixel.
    """
    try:
        runs = from_coco(instances["rle"].tolist(), height, width)
        empty = np.flatnonzero(np.diff(runs.ptr) == 0)
        if len(empty):
            raise MaskError(int(empty[0]), "has no pixel")
    except MaskError as error:
        raise named(error, instances) from error
    except ValueError as error:
        raise DataError(f"Image {image_id}: {error}.") from error
    return runs


def named(error: MaskError, instances: pd.DataFrame) -> DataError:
    """Return the error that names the image and the instance whose mask was refused."""
    row = instances.iloc[error.mask]
    return DataError(
        f"Image {row['image_id']}, instance {row['instance_id']}: its mask {error.complaint}; "
        "it was made for another size of image, or the table was altered: make the table again."
    )


def confluence(instances: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
    """Return the share of each image's frame under masks, (images,) float64; overlaps count once.

    Raises:
        DataError: as `of_image`.
    """
    rows = instances.groupby("image_id", sort=False).indices
    shares = np.zeros(len(images))
    for at, image in enumerate(images.itertuples()):
        if image.image_id in rows:
            masks = of_image(instances.iloc[rows[image.image_id]], image.image_id, image.height, image.width)
            shares[at] = union_area(masks) / (image.height * image.width)
    return shares
