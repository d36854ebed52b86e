"""What a treatment did: the arms of an experiment, well by well, beside what the truth says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from neuroseg import rle
from neuroseg.figures.drawing import INK, colours, panel, spread
from neuroseg.figures.sheets import sheet
from neuroseg.figures.view import View

CONTROLS = ("control", "untreated", "vehicle", "dmso", "mock")
"""Names of an arm, in lower case, that others are compared with; without any of them it is the first by name."""

MEASURES = {"count": "cells per image", "confluence": "confluence", "median_area": "median area (pixels)"}
"""What arms are compared by: columns of quantify's summary, and their names."""


def section(view: View) -> dict[str, object] | None:
    """Return charts and a table that compare the arms, or None where no treatment or no measurement is known."""
    summary = view.evidence.quantities.get(view.leader)
    wells = None if summary is None else arms(view.images, view.evidence.truth, summary)
    if wells is None or wells.empty:
        return None
    table = effects(wells)
    caption = "What treatment did, as the mean over wells; where images are annotated, what the truth says beside it."
    return {
        "charts": arms_charts(wells),
        "table": sheet(table, caption, {"ratio": 2, "ratio in truth": 2}) if len(table) else None,
    }


def arms(images: pd.DataFrame, truth: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each of MEASURES over the images of every well and arm.

    Wells, not images, are what was treated, so they are the unit; an image without a well stands for itself. Beside a
    predicted measure stands, where the image is annotated, what the truth says, as `true_<measure>`.
    """
    known = images[images["treatment"].notna()]
    table = known.merge(summary[["image_id", *MEASURES]], on="image_id")
    areas = truth.groupby("image_id")["area"]
    table["true_count"] = table["image_id"].map(areas.size()).fillna(0).where(table["annotated"])
    table["true_confluence"] = _true_confluence(known, truth).reindex(table["image_id"]).to_numpy()
    table["true_median_area"] = table["image_id"].map(areas.median())
    table["well"] = table["well"].fillna(table["image_id"])
    values = [*MEASURES, *(f"true_{measure}" for measure in MEASURES)]
    wells = table.astype(dict.fromkeys(values, float)).groupby(
        ["cell_type", "treatment", "plate", "well"], dropna=False
    )
    return wells[values].mean().reset_index()


def in_order(treatments: Sequence[str]) -> list[str]:
    """Return the arms by name, a control first."""
    return sorted(set(treatments), key=lambda name: (name.lower() not in CONTROLS, name))


def arms_charts(wells: pd.DataFrame) -> list[Markup]:
    """A panel for each measure: a dot for each well, grouped by cell type and arm, the bar the arm's mean."""
    order = in_order(wells["treatment"])
    palette = colours(order)
    shown = sorted(wells["cell_type"].unique())
    width = 290 if len(shown) * len(order) <= 8 else 440
    return [panel(lambda ax, m=measure: _arm_dots(ax, wells, shown, palette, m),
                  f"{name} of every well by cell type and treatment; bars are means.", width, 260)
            for measure, name in MEASURES.items()]  # fmt: skip


def effects(wells: pd.DataFrame) -> pd.DataFrame:
    """Return for each cell type, arm and measure the ratio to the control, as predicted and in truth."""
    control, *others = in_order(wells["treatment"])
    rows = []
    for kind in sorted(wells["cell_type"].unique()):
        for arm in others:
            of = {name: wells[(wells["cell_type"] == kind) & (wells["treatment"] == name)] for name in (control, arm)}
            if not all(len(part) for part in of.values()):
                continue
            for measure, name in MEASURES.items():
                row = {"cell type": kind, "comparison": f"{arm} / {control}", "measure": name}
                row |= {"wells": f"{len(of[arm])} / {len(of[control])}"}
                row |= {f"mean, {control}": of[control][measure].mean(), "mean, treated": of[arm][measure].mean()}
                row["ratio"] = _ratio(of[arm], of[control], measure)
                row["ratio in truth"] = _ratio(of[arm], of[control], f"true_{measure}")
                rows.append(row)
    return pd.DataFrame(rows)


def _arm_dots(ax: Axes, wells: pd.DataFrame, types: Sequence[str], palette: Mapping[str, str], measure: str) -> None:
    width = 0.8 / len(palette)
    for at, kind in enumerate(types):
        for place, (arm, colour) in enumerate(palette.items()):
            mine = (wells["cell_type"] == kind) & (wells["treatment"] == arm)
            values = wells.loc[mine, measure].dropna().sort_values()
            x = at - 0.4 + width * (place + 0.5)
            label = arm if at == 0 else None
            ax.scatter(x + spread(len(values)) * width, values, s=22, color=colour, alpha=0.7, linewidth=0, label=label)
            if len(values):
                ax.hlines(values.mean(), x - width * 0.4, x + width * 0.4, color=INK, linewidth=1.4)
    ax.set_title(MEASURES[measure])
    ax.set_xticks(range(len(types)), types)
    ax.tick_params(axis="x", labelcolor=INK)
    ax.set_xlim(-0.5, len(types) - 0.5)
    ax.set_ylim(bottom=0)
    ax.grid(axis="x", visible=False)
    if measure == next(iter(MEASURES)):
        ax.legend()


def _true_confluence(images: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    rows = truth.groupby("image_id").indices
    shares = {}
    for image in images[images["annotated"]].itertuples():
        counts = truth["rle"].iloc[rows.get(image.image_id, [])].tolist()
        covered = rle.union_area(rle.from_coco(counts, image.height, image.width))
        shares[image.image_id] = covered / (image.height * image.width)
    return pd.Series(shares, dtype=float)


def _ratio(treated: pd.DataFrame, control: pd.DataFrame, column: str) -> float:
    base = control[column].mean()
    return treated[column].mean() / base if base > 0 else np.nan
