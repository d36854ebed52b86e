"""Whether cells are as wide as cells are: the one check on a pixel size that what is seen itself allows."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from neuroseg import cell_widths


class Doubt(NamedTuple):
    """A pixel size in µm, the images of it, their cells, and how wide the median cell would be in µm."""

    pixel_size_um: float
    images: tuple[str, ...]
    cells: int
    width_um: float


def doubts(instances: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """Return a sentence on each pixel size that `doubted` returns."""
    return [
        f"cells in images of {doubt.pixel_size_um:.4g} µm a pixel ({len(doubt.images)}) would be "
        f"{doubt.width_um:.3g} µm wide, the median of {doubt.cells:,}: is the pixel size right?"
        for doubt in doubted(instances, images)
    ]


def doubted(instances: pd.DataFrame, images: pd.DataFrame) -> list[Doubt]:
    """Return the pixel sizes by which the median cell would be implausibly wide or narrow.

    A cell is as wide as a disc of its area.

    Args:
        instances: An instances table.
        images: The images table that names its images.
    """
    told = []
    for size, listed in images.dropna(subset=["pixel_size_um"]).groupby("pixel_size_um"):
        area = instances.loc[instances["image_id"].isin(listed["image_id"]), "area"]
        if len(area) < cell_widths.FEW:
            continue
        width = float(size) * cell_widths.of_disc(float(area.median()))
        if not cell_widths.PLAUSIBLE[0] <= width <= cell_widths.PLAUSIBLE[1]:
            told.append(Doubt(float(size), tuple(listed["image_id"]), len(area), width))
    return told
