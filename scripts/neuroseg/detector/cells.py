"""How wide and how dense the cells are that a detector has learnt, as its file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import cell_widths
from neuroseg.readers.intensity.looks import Look

FIGURES = ("width_px", "per_megapixel", "of_structure")


def learnt(
    images: pd.DataFrame, instances: pd.DataFrame, seen: Mapping[str, Look], magnified: np.ndarray
) -> dict[str, list[float]] | None:
    """Return the lowest, the median and the highest among training images of three figures, in their pixels.

    `width_px` is the median width of an image's cells, that of a disc of the same area, told by images of at
    least ten; `per_megapixel` is the number of cells per million pixels; `of_structure` is the area of all
    cells as a share of the area that shows structure.

    Args:
        images: Rows of the images table.
        instances: The instances learnt from.
        seen: What some of the images look like, by image_id.
        magnified: By how much each image was magnified for the detector.

    Returns:
        None where no image has so many cells.
    """
    names, areas = images["image_id"], instances.groupby("image_id")["area"]
    frames = pd.Series((images["height"] * images["width"].astype(float)).to_numpy(), names)
    factors = pd.Series(magnified, names)
    densities = areas.size().reindex(names, fill_value=0) / (frames * factors**2 / 1e6)
    middles = areas.median()[areas.size() >= cell_widths.FEW]
    widths = (cell_widths.of_disc(middles) * factors).dropna()
    if widths.empty:
        return None
    shown = pd.Series({name: look.structure for name, look in seen.items()}, dtype=float)
    shown = shown[shown > 0]
    shares = areas.sum().reindex(shown.index, fill_value=0) / frames[shown.index] / shown
    shares = np.zeros(1) if shares.empty else shares
    three = ([float(v) for v in np.quantile(each, (0, 0.5, 1))] for each in (widths, densities, shares))
    return {name: [round(v, 4) for v in each] for name, each in zip(FIGURES, three, strict=True)}


def of_detector(content: Mapping[str, Any]) -> dict[str, list[float]] | None:
    """Return what a detector's file tells of the cells learnt; None where it does not.

    Raises:
        ValueError: the file tells something else.
    """
    told = content.get("cells")
    if told is None:
        return None
    sound = isinstance(told, dict) and set(told) == set(FIGURES)
    if not sound or not all(_ascend(told[name]) for name in FIGURES):
        raise ValueError(
            f"{', '.join(FIGURES)} must be three numbers each, lowest, median, highest, from 0 to 1e6"
        )
    return {name: [float(v) for v in told[name]] for name in FIGURES}


def _ascend(told: Any) -> bool:
    return (
        isinstance(told, list)
        and len(told) == 3
        and all(isinstance(value, float | int) and not isinstance(value, bool) for value in told)
        and 0 <= told[0] <= told[1] <= told[2] <= 1e6
    )
