"""How wide and how dense the cells are that a detector has learnt, as its file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import cell_widths
from neuroseg.readers.looks import Look

FIGURES = ("width_px", "per_megapixel", "of_structure")


def learnt(
    images: pd.DataFrame, instances: pd.DataFrame, seen: Mapping[str, Look]
) -> dict[str, list[float]] | None:
    """Return the lowest, the median and the highest among training images of three figures, in their pixels.

    `width_px` is the median width of an image's cells, that of a disc of the same area, told by images of at
    least ten; `per_megapixel` is the number of cells per million pixels; `of_structure` is the area of all
    cells as a share of the area that shows structure.

    Args:
        images: Rows of the images table.
        instances: The instances learnt from.
        seen: What some of the images look like, by image_id.

    Returns:
        None where no image has so many cells.
    """
    areas = instances.groupby("image_id")["area"]
    counts = areas.size().reindex(images["image_id"], fill_value=0).to_numpy()
    densities = counts / (images["height"].to_numpy() * images["width"].to_numpy() / 1e6)
    widths = cell_widths.of_disc(areas.median()[areas.size() >= cell_widths.FEW].to_numpy())
    if not len(widths):
        return None
    few = images[images["image_id"].isin(seen)]
    shown = np.array([seen[name].structure for name in few["image_id"]])
    covered = areas.sum().reindex(few["image_id"], fill_value=0).to_numpy() / (few["height"] * few["width"])
    shares = covered.to_numpy()[shown > 0] / shown[shown > 0]
    shares = shares if len(shares) else np.zeros(1)
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
