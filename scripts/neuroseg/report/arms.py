"""What differs between treatments: the wells of an experiment, arm by arm, beside what the truth says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from neuroseg import rle
from neuroseg.report import controls
from neuroseg.report.doses import arm_name, ordered
from neuroseg.report.drawing import INK, colours, panel, spread
from neuroseg.report.ratios import compare
from neuroseg.report.sheets import sheet
from neuroseg.report.view import View

ALL = "all"
"""Stands for the cell type where no source tells one: what detectors take cells for splits no well."""

ALL_DETECTORS = -1
"""Fold of images on which no fold trains: every detector predicts them."""

MEASURES = {
    "count": "cells per image",
    "density_per_mm2": "cells per mm²",
    "confluence": "confluence",
    "median_area_px": "median area (pixels)",
    "median_area_um2": "median area (µm²)",
}
"""What arms are compared by: columns of quantify's table of images, and their names."""

SCALE = ("height", "width", "pixel_size_um")
"""What images whose counts compare have in common."""


def section(view: View) -> dict[str, object] | None:
    """Return charts, a table and what must be known to read them, or None where no treatment was measured."""
    summary = view.evidence.quantities.get(view.leader)
    wells = None
    if summary is not None:
        wells = arms(view.evidence.images, view.evidence.truth, summary, _folds(view))
    if wells is None or wells.empty:
        return None
    names, source = controls.of(wells["treatment"], view.evidence.controls)
    table = effects(wells, names)
    caption = "Treated wells beside control wells; where images are annotated, what the truth says beside it."
    return {
        "charts": arms_charts(wells, names),
        "control": controls.sentence(wells["treatment"], names, source),
        "folds": wells["fold"].nunique() > 1,
        "unknown": _unknown_sentence(view.evidence.images),
        "scale": _scale_sentence(wells),
        "arms": wells["arm"].nunique(),
        "table": sheet(table, caption, {"ratio": 2, "ratio in truth": 2}) if len(table) else None,
    }


def arms(
    images: pd.DataFrame, truth: pd.DataFrame, summary: pd.DataFrame, folds: pd.Series | None = None
) -> pd.DataFrame:
    """Return the means of MEASURES and SCALE of the images of every well and arm: a treatment with its dose.

    Wells, not images, are what was treated, so they are the unit; an image without a well stands for itself.
    Beside a predicted measure stands, where the image is annotated, what the truth says, as `true_<measure>`.

    Args:
        images: the images table; its cell types are the source's, ALL where it tells none.
        truth: the true cells.
        summary: quantify's summary of the images.
        folds: by image_id, the fold whose detectors predicted an image; ALL_DETECTORS where it is not named.
    """
    known = images[images["treatment"].notna()]
    table = known.merge(summary.reindex(columns=["image_id", *MEASURES]), on="image_id")
    areas = truth.groupby("image_id")["area"]
    table["true_count"] = table["image_id"].map(areas.size()).fillna(0).where(table["annotated"])
    size = table["pixel_size_um"].astype(float)
    frame = table["height"].astype(float) * table["width"] * size**2 / 1e6
    table["true_density_per_mm2"] = table["true_count"].astype(float) / frame
    table["true_confluence"] = _true_confluence(known, truth).reindex(table["image_id"]).to_numpy()
    table["true_median_area_px"] = table["image_id"].map(areas.median()).astype(float)
    table["true_median_area_um2"] = table["true_median_area_px"] * size**2
    table["well"] = table["well"].fillna(table["image_id"])
    table["cell_type"] = table["cell_type"].astype(object).fillna(ALL)
    table["arm"] = [
        arm_name(*said) for said in zip(table["treatment"], table["dose"], table["dose_unit"], strict=True)
    ]
    table["fold"] = (
        ALL_DETECTORS if folds is None else table["image_id"].map(folds).fillna(ALL_DETECTORS).astype(int)
    )
    values = [*MEASURES, *(f"true_{measure}" for measure in MEASURES), *SCALE]
    keys = ["cell_type", "treatment", "arm", "plate", "well", "fold"]
    return table.astype(dict.fromkeys(values, float)).groupby(keys, dropna=False)[values].mean().reset_index()


def shown_measures(wells: pd.DataFrame) -> dict[str, str]:
    """Return those of MEASURES that compare the wells that `arms` found.

    Areas are in µm² where known of every well, else in pixels. Where images are of several sizes or
    magnifications, neither pixels nor counts compare, so cells per mm² and µm² stand for them, of the wells
    whose pixel size is known.
    """
    uneven = _uneven(wells) and bool(wells["pixel_size_um"].notna().any())
    in_microns = uneven or wells["median_area_um2"].notna().equals(wells["median_area_px"].notna())
    left_out = {
        "count" if uneven else "density_per_mm2",
        "median_area_px" if in_microns else "median_area_um2",
    }
    return {measure: name for measure, name in MEASURES.items() if measure not in left_out}


def _uneven(wells: pd.DataFrame) -> bool:
    return any(wells[name].nunique(dropna=False) > 1 for name in SCALE)


def _scale_sentence(wells: pd.DataFrame) -> str:
    """Return what must be known where images are of several sizes or magnifications, or the empty text."""
    unknown = int(wells["pixel_size_um"].isna().sum())
    if not _uneven(wells) or not unknown:
        return ""
    effect = "they are left out" if unknown < len(wells) else "counts and areas do not compare"
    return (
        f"Images are of several sizes or magnifications, and of {unknown} of {len(wells)} wells the pixel "
        f"size is not known, so {effect}: state `pixel_size_um` in the dataset file."
    )


def _unknown_sentence(images: pd.DataFrame) -> str:
    """Return that images with a treatment tell no well, or the empty text."""
    treated = images[images["treatment"].notna()]
    unknown = int(treated["well"].isna().sum())
    if not unknown:
        return ""
    return (
        f"{unknown} of {len(treated)} images with a treatment tell no well, and each counts as a well of its "
        "own: where several are of one, as fields and times are, there are fewer independent wells than "
        "dots; say by `pattern` in the dataset file where names tell the well."
    )


def arms_charts(wells: pd.DataFrame, control: Sequence[str]) -> list[Markup]:
    """A panel for each measure: a dot for each well, grouped by cell type and arm, the bar the arm's mean."""
    palette = colours(ordered(wells, control))
    shown = sorted(wells["cell_type"].unique())
    width = 290 if len(shown) * len(palette) <= 8 else 440
    return [panel(partial(_arm_dots, wells=wells, types=shown, palette=palette, measure=measure),
                  f"{name} of every well by cell type and treatment; bars are means.", width, 260)
            for measure, name in shown_measures(wells).items()]  # fmt: skip


def effects(wells: pd.DataFrame, control: Sequence[str]) -> pd.DataFrame:
    """Return for each cell type, arm and measure the ratio to the control, as predicted and in truth.

    A well is compared with control wells of its own fold only, since other folds have other detectors. See
    `ratios.compare`. Without a control, no row.
    """
    rows = []
    base = wells["treatment"].isin(control)
    order = ordered(wells[~base], control) if len(control) else []
    for kind, mine in wells.groupby("cell_type"):
        for arm in order:
            untreated = mine[base.loc[mine.index]]
            treated = mine[~base.loc[mine.index] & (mine["arm"] == arm)]
            for measure, name in shown_measures(wells).items():
                found = compare(treated, untreated, measure)
                if found is None:
                    continue
                row = {"cell type": kind, "comparison": f"{arm} / {' + '.join(control)}", "measure": name}
                row |= {"wells": f"{found.wells[0]} / {found.wells[1]}"}
                row |= {"mean, control": found.means[1], "mean, treated": found.means[0]}
                row |= {"ratio": found.ratio, "95 % interval": found.interval}
                truth = compare(treated, untreated, f"true_{measure}")
                row["ratio in truth"] = truth.ratio if truth else np.nan
                rows.append(row)
    table = pd.DataFrame(rows)
    if len(table):
        known = table[["95 % interval", "ratio in truth"]].notna().any()
        table = table.drop(columns=known.index[~known])
    return table.drop(columns="cell type") if len(table) and (table["cell type"] == ALL).all() else table


def _folds(view: View) -> pd.Series | None:
    scored = view.evidence.per_image.get(view.leader)
    return None if scored is None else scored.drop_duplicates("image_id").set_index("image_id")["fold"]


def _arm_dots(
    ax: Axes, wells: pd.DataFrame, types: Sequence[str], palette: Mapping[str, str], measure: str
) -> None:
    width = 0.8 / len(palette)
    for at, kind in enumerate(types):
        for place, (arm, colour) in enumerate(palette.items()):
            mine = (wells["cell_type"] == kind) & (wells["arm"] == arm)
            values = wells.loc[mine, measure].dropna().sort_values()
            x = at - 0.4 + width * (place + 0.5)
            label = arm if at == 0 else None
            ax.scatter(
                x + spread(len(values)) * width,
                values,
                s=22,
                color=colour,
                alpha=0.7,
                linewidth=0,
                label=label,
            )
            if len(values):
                ax.hlines(values.mean(), x - width * 0.4, x + width * 0.4, color=INK, linewidth=1.4)
    ax.set_title(MEASURES[measure])
    ax.set_xticks(range(len(types)), ["" if kind == ALL and len(types) == 1 else kind for kind in types])
    ax.tick_params(axis="x", labelcolor=INK)
    ax.set_xlim(-0.5, len(types) - 0.5)
    highest = wells[measure].max()
    ax.set_ylim(0, 1.3 * highest if highest > 0 else 1)  # leaves place above the dots for the legend
    ax.grid(axis="x", visible=False)
    if measure in ("count", "density_per_mm2"):  # the first that is shown
        ax.legend()


def _true_confluence(images: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    annotated = images[images["annotated"]]
    return pd.Series(rle.confluence(truth, annotated), annotated["image_id"], dtype=float)
