"""Whether cells are as wide as cells are: the one check on a pixel size that what is seen itself allows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroseg.tables import CELL_WIDTHS

FEWEST = 10
"""Cells without which nothing is said."""


def doubts(instances: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """Doubt each pixel size by which the median cell would be implausibly wide or narrow, a sentence each.

    A cell is as wide as a disc of its area.

    Args:
        instances: An instances table.
        images: The images table that names its images.
    """
    told = []
    for size, listed in images.dropna(subset=["pixel_size_um"]).groupby("pixel_size_um"):
        area = instances.loc[instances["image_id"].isin(listed["image_id"]), "area"]
        if len(area) < FEWEST:
            continue
        width = float(size) * float(np.sqrt(4 / np.pi * area.median()))
        if not CELL_WIDTHS[0] <= width <= CELL_WIDTHS[1]:
            told.append(
                f"cells in images of {size:.4g} µm a pixel ({len(listed)}) "
                f"would be {width:.3g} µm wide, the median of {len(area):,}: is the pixel size right?"
            )
    return told
