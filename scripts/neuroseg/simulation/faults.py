"""Faults of real annotations, planted: `validate` must find each by name, and mend it to the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from neuroseg import rle

OUTLINE = 2
"""Width of what is left of a hollow mask, pixels."""


class Fault(NamedTuple):
    """What was planted, by the name of the check that must find it."""

    check: str
    image_id: str
    description: str


BROKEN_IMAGES = {
    "image_unreadable": "the picture breaks off in the middle, as after a full disk",
    "image_missing": "train.csv lists the image, but its picture is not there",
}


def plant(rows: pd.DataFrame, height: int, width: int) -> tuple[pd.DataFrame, list[Fault]]:
    """Spoil three masks, each in an image of another cell type.

    Args:
        rows: of train.csv, one per cell; every cell type must be there.
        height: of the frame, pixels.
        width: of the frame, pixels.

    Returns:
        The spoilt rows, and what was done to them.
    """
    rows, long = _past_the_frame(rows, height * width)
    rows, hollow = _hollow(rows, height, width)
    rows, double = _double(rows)
    return rows, [double, hollow, long]


def _double(rows: pd.DataFrame) -> tuple[pd.DataFrame, Fault]:
    at = np.flatnonzero(rows["cell_type"] == "shsy5y")[0]
    image = rows["id"].iloc[at]
    last = np.flatnonzero(rows["id"] == image)[-1]
    rows = rows.iloc[np.insert(np.arange(len(rows)), last + 1, at)].reset_index(drop=True)
    return rows, Fault("duplicate_mask", image, "the image's last mask is its first once more; drop it")


def _past_the_frame(rows: pd.DataFrame, pixels: int) -> tuple[pd.DataFrame, Fault]:
    image = rows.loc[rows["cell_type"] == "cort", "id"].iloc[0]
    at = np.flatnonzero(rows["id"] == image)[-1]
    rows = _with(rows, at, f"{rows['annotation'].iloc[at]} {pixels + 5} 7")
    return rows, Fault(
        "rle_range", image, "the image's last mask has a run behind the frame's last pixel; clip it"
    )


def _hollow(rows: pd.DataFrame, height: int, width: int) -> tuple[pd.DataFrame, Fault]:
    """Leave the outline of the astro with the largest inside."""
    astros = np.flatnonzero(rows["cell_type"] == "astro")
    masks, _ = rle.from_kaggle(rows["annotation"].iloc[astros].tolist(), height, width)
    solids = [rle.crop(masks, index, width) for index in range(len(masks))]
    insides = [ndimage.binary_erosion(mask, np.ones((3, 3)), OUTLINE) for mask, _, _ in solids]
    index = int(np.argmax([inside.sum() for inside in insides]))
    mask, left, top = solids[index]
    whole = np.zeros((1, height, width), bool)
    whole[0, top : top + mask.shape[0], left : left + mask.shape[1]] = mask & ~insides[index]
    at = astros[index]
    rows = _with(rows, at, rle.to_kaggle(rle.from_masks(whole))[0])
    return rows, Fault(
        "hollow_mask", rows["id"].iloc[at], "the mask of a large astro is only its outline; fill it"
    )


def _with(rows: pd.DataFrame, at: int, annotation: str) -> pd.DataFrame:
    return rows.assign(
        annotation=[*rows["annotation"].iloc[:at], annotation, *rows["annotation"].iloc[at + 1 :]]
    )
