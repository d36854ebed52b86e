"""Images at the pixel size that a detector learnt at: how much each is magnified, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroseg.cell_widths import PLAUSIBLE
from neuroseg.detector.dataset import Load
from neuroseg.detector.looking import Look
from neuroseg.detector.tiling import Found
from neuroseg.detector.views import View, show

NEAR = 0.05
"""Pixel sizes that differ by no more than this share are one: the image is looked at as it is."""

WIDEST = 16.0
"""Images are magnified and shrunk by at most so much: beyond, one of the two pixel sizes must be wrong."""


FAR = 2.0
"""Images that are magnified or shrunk by more than this are looked at as they are, too, to compare; what is
magnified by more lacks detail."""

_MIDDLE = 1024
"""Pixels of a side, at most, of the middle of an image that is compared."""

_FEWEST = 5
"""Cells without which nothing is doubted."""


def learnt(images: pd.DataFrame) -> float | None:
    """Return the pixel size of training images in µm: their median, None where one is unknown or they differ.

    Args:
        images: Rows of the images table.
    """
    sizes = _sizes(images)
    if np.isnan(sizes).any():
        return None
    middle = float(np.median(sizes))
    return None if (np.abs(sizes / middle - 1) > NEAR).any() else round(middle, 6)


def factors(images: pd.DataFrame, pixel_size_um: float | None) -> np.ndarray:
    """Return by how much each image is magnified for a detector that learnt at a pixel size, float64 (n,).

    It is 1 where one of the two pixel sizes is unknown, where they are next to the same, and where they are
    so unlike that one of them is wrong.
    """
    if pixel_size_um is None:
        return np.ones(len(images))
    wanted = _sizes(images) / pixel_size_um
    usable = (np.abs(wanted - 1) > NEAR) & (wanted <= WIDEST) & (wanted >= 1 / WIDEST)
    return np.where(usable, wanted, 1.0)


def sentences(images: pd.DataFrame, pixel_size_um: float | None) -> list[str]:
    """Say which images are not seen in their own pixels, and of which nobody knows whether they should be."""
    if images.empty:
        return []
    if pixel_size_um is None:
        return [
            "the detectors do not know the pixel size that they learnt at, "
            "so images are looked at as they are"
        ]
    sizes = _sizes(images)
    unknown, used = np.isnan(sizes), factors(images, pixel_size_um)
    told = []
    if unknown.any():
        told.append(
            f"images of unknown pixel size: {unknown.sum()} of {len(images)}, looked at as they are; the "
            f"detectors learnt at {pixel_size_um:g} µm a pixel, so state pixel_size_um in the dataset file"
        )
    if (used != 1).any():
        own = sizes[used != 1]
        span = f"{own.min():.4g}" if own.min() == own.max() else f"{own.min():.4g} to {own.max():.4g}"
        told.append(
            f"images of {span} µm a pixel: {len(own)} of {len(images)}, "
            f"looked at as if of {pixel_size_um:g} µm, the pixel size that the detectors learnt at"
        )
    if (used > FAR).any():
        told.append(
            f"images of pixels up to {used.max():.2g} times as large as the detectors learnt at: "
            f"{(used > FAR).sum()} of {len(images)}, in which small and pale cells may be missed, and "
            "neighbours taken for one"
        )
    far = beyond(images, pixel_size_um)
    if far.any():
        told.append(
            f"images said to be of {sizes[far][0]:.4g} µm a pixel: "
            f"{far.sum()} of {len(images)}, looked at as they are, "
            f"too far from the {pixel_size_um:g} µm that the detectors learnt at: is the pixel size right?"
        )
    return told


def beyond(images: pd.DataFrame, pixel_size_um: float | None) -> np.ndarray:
    """Return which images, bool (n,), are looked at as they are for being too far from what was learnt at."""
    if pixel_size_um is None:
        return np.zeros(len(images), bool)
    wanted = _sizes(images) / pixel_size_um
    return (factors(images, pixel_size_um) == 1) & (np.abs(wanted - 1) > NEAR)


def doubts(
    predictor: Look, images: pd.DataFrame, pixel_size_um: float | None, load: Load
) -> dict[float, float]:
    """Return pixel sizes, far from the one learnt at, that are wrong by what an image shows as it is.

    A detector finds cells of the size in pixels that it learnt. Where the middle of an image holds no fewer
    of them as it is than magnified to the detector's pixel size, and they would be implausibly wide or
    narrow, then the cells are of the size learnt, and the pixel size is wrong.

    Args:
        predictor: Finds cells.
        images: Rows of the images table.
        pixel_size_um: That the detector learnt at, None if unknown.
        load: Reads an image.

    Returns:
        How wide the median cell would be by each of these pixel sizes, in µm.
    """
    doubted = {}
    scales = factors(images, pixel_size_um)
    far = images.assign(scale=scales)[(scales > FAR) | (scales < 1 / FAR)].drop_duplicates("pixel_size_um")
    for row in far.itertuples():
        image, side = load(Path(row.path)), int(_MIDDLE / max(1.0, row.scale))
        top, left = (max(0, (whole - side) // 2) for whole in image.shape)
        part = np.ascontiguousarray(image[top : top + side, left : left + side])
        frame = (part.shape[0], part.shape[1])
        (plain,) = predictor([part], [frame])
        (scaled,) = predictor([show(part, View(False, False, row.scale), sharp=True)], [frame])
        widths, others = _widths(plain), _widths(scaled)
        width = float(np.median(widths)) * row.pixel_size_um if len(widths) else 0.0
        if len(widths) >= max(_FEWEST, len(others)) and not PLAUSIBLE[0] <= width <= PLAUSIBLE[1]:
            doubted[float(row.pixel_size_um)] = width
    return doubted


def _widths(found: Found) -> np.ndarray:
    """Return widths of cells that are likelier than not, in pixels: sides of squares as large as boxes."""
    boxes = found.boxes[found.scores >= 0.5].astype(float)
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _sizes(images: pd.DataFrame) -> np.ndarray:
    """Return the images' pixel sizes, NaN where unknown."""
    if "pixel_size_um" not in images:
        return np.full(len(images), np.nan)
    return images["pixel_size_um"].astype(float).to_numpy()
