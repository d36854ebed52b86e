"""The tables of images and of wells: counts, confluence, density, and how the cells' measures spread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from neuroseg import cell_types, rle
from neuroseg.morphology.cells import origin
from neuroseg.morphology.measures import COLUMNS, DECIMALS, STATISTICS, SUMMED

WELL = ["plate", "well", "time_h", "treatment", "dose", "dose_unit"]
"""What images of one row of the table of wells have in common."""

SEVERAL = "several"
"""The cell type of a well whose images are of more than one."""


def of_images(
    cells: pd.DataFrame,
    instances: pd.DataFrame,
    images: pd.DataFrame,
    unlike: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Describe every image by its cells.

    Args:
        cells: what `measure` returned.
        instances: the table it was measured on.
        images: the images table.
        unlike: what of an image is unlike those that the detectors learnt from; by default nothing.

    Returns:
        One row per image, in the order of `images`, with the COLUMNS of images. A cell_type that the source
        does not tell is the commonest among the image's cells. An image without cells counts 0, covers 0, and
        has no statistics.
    """
    table = origin(images)
    table["cell_type"] = cell_types.filled(table, cells)
    table["height_px"], table["width_px"] = images["height"].to_numpy(), images["width"].to_numpy()
    table["count"] = table["image_id"].map(cells.groupby("image_id").size()).fillna(0).astype(np.int64)
    table["confluence"] = rle.confluence(instances, images).round(DECIMALS)
    frame_mm2 = table["height_px"] * table["width_px"].astype(float) * table["pixel_size_um"] ** 2 / 1e6
    table["density_per_mm2"] = (table["count"] / frame_mm2).round(DECIMALS)
    table["unlike_training"] = table["image_id"].map(dict(unlike or {})).astype(object)
    statistics = _statistics(cells, cells["image_id"]).reindex(table["image_id"]).reset_index(drop=True)
    return pd.concat([table, statistics], axis=1)[[column.name for column in COLUMNS["images"]]]


def of_wells(cells: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Describe every well at each time by the cells of all its images together.

    Args:
        cells: what `measure` returned.
        images: what `of_images` returned.

    Returns:
        One row for each plate, well, time, treatment and dose, plates and wells in their natural order (A2
        before A10), with the COLUMNS of wells. Where no well is known, a row is what plate, time, treatment
        and dose have in common: one for all images of which nothing is known, where of others something is;
        no row at all where it is of none. The pixel size is that of all images, or null.
    """
    known = images if images[WELL].notna().any(axis=None) else images[:0]
    keys = pd.MultiIndex.from_frame(known[WELL].astype(object).where(known[WELL].notna(), None))
    number, places = pd.factorize(keys)
    order = sorted(range(len(places)), key=lambda at: [_natural(part) for part in places[at]])
    frame_px = known["height_px"] * known["width_px"].astype(float)
    sums = known.assign(
        frame_px=frame_px,
        frame_mm2=frame_px * known["pixel_size_um"] ** 2 / 1e6,
        under=frame_px * known["confluence"],
    ).groupby(number)
    table = pd.DataFrame(list(places), columns=WELL).astype({"time_h": float})
    table["cell_type"] = sums["cell_type"].agg(_one_type)
    table["pixel_size_um"] = sums["pixel_size_um"].agg(_one_size)
    table["images"], table["count"] = sums.size(), sums["count"].sum()
    table["count_per_image"] = (table["count"] / table["images"]).round(DECIMALS)
    table["confluence"] = (sums["under"].sum() / sums["frame_px"].sum()).round(DECIMALS)
    table["density_per_mm2"] = (
        table["count"] / sums["frame_mm2"].agg(lambda sizes: sizes.sum(skipna=False))
    ).round(DECIMALS)
    well_of = cells["image_id"].map(pd.Series(number, known["image_id"]))
    table = pd.concat([table, _statistics(cells, well_of).reindex(table.index)], axis=1)
    return table.iloc[order].reset_index(drop=True)[[column.name for column in COLUMNS["wells"]]]


def _statistics(cells: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """Return the STATISTICS of each group's measures, rounded; a cell without a measure is left out."""
    groups = cells[list(SUMMED)].astype(float).groupby(by)
    found = {
        "median": groups.median(),
        "q25": groups.quantile(0.25),
        "q75": groups.quantile(0.75),
        "mean": groups.mean(),
    }
    columns = {
        f"{name}_{column}": found[name][column].round(DECIMALS) for column in SUMMED for name in STATISTICS
    }
    return pd.DataFrame(columns)


def _one_type(kinds: pd.Series) -> str | None:
    there = kinds.dropna().unique()
    return None if not len(there) else there[0] if len(there) == 1 else SEVERAL


def _one_size(sizes: pd.Series) -> float:
    return float(sizes.iloc[0]) if sizes.nunique(dropna=False) == 1 else np.nan


def _natural(part: object) -> Sequence[tuple[int, float, str]]:
    """Return what sorts texts with their numbers by size, numbers before texts, and what is unknown last."""
    if part is None:
        return [(2, 0.0, "")]
    if isinstance(part, float):
        return [(0, part, "")]
    pieces = re.split(r"(\d+)", str(part))
    return [(0, float(piece), piece) if piece.isdigit() else (1, 0.0, piece) for piece in pieces if piece]
