"""How many cells there are: predicted against truth, by image and by well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from neuroseg.cell_types import UNKNOWN
from neuroseg.report.drawing import MUTED, panel
from neuroseg.report.sheets import Sheet, sheet, typed
from neuroseg.report.view import View

SEVERAL = "several"
"""Stands for the cell type of a well whose images are of more than one."""

AREA_UNITS = {"um2": "µm²", "px": "pixels"}
"""Endings of areas' columns, and what a reader calls them; the first known for every image is taken."""

LISTED = 200
"""Images that the page lists one by one; the rest stand in quantify's summary."""


def section(view: View) -> dict[str, object]:
    """Return what was counted, by type and image, and how it compares with the truth; None where unknown."""
    summary = view.evidence.quantities.get(view.leader)
    return {
        "compared": _compared(view),
        "by_type": None if summary is None else _by_type(view, summary),
        "by_image": None if summary is None else _by_image(view, summary),
        "by_well": _by_well(view.evidence.wells.get(view.leader)),
    }


def _compared(view: View) -> dict[str, object] | None:
    if view.held_out is None or view.segments is None:
        return None
    counts = count_cells(view.images, view.evidence.truth, view.segments, view.held_out["image_id"])
    wells = by_well(counts)
    caption = (
        "Predicted against true number of cells on held-out images. The median error is that of one image, "
        "as a share of its true count."
    )
    digits = {"predicted / true": 2, "median error": 2, "correlation": 2}
    named = wells.rename(columns={"cell_type": "cell type", "truth": "true cells"})
    units = ((counts, "image"), (wells, "well"))
    return {
        "charts": [counts_chart(part, view.palette, unit) for part, unit in units if len(part)],
        "table": sheet(count_errors(counts), caption, digits),
        "wells": sheet(named, "Cells per well, all its images together.") if len(wells) else None,
    }


def _by_type(view: View, summary: pd.DataFrame) -> Sheet:
    kind_of = view.images.set_index("image_id")["cell_type"]
    rows = summary.groupby(summary["image_id"].map(kind_of))
    table = pd.DataFrame(
        {
            "images": rows.size(),
            "cells": rows["count"].sum(),
            "cells per image, median": rows["count"].median(),
            "fewest": rows["count"].min(),
            "most": rows["count"].max(),
            "confluence, mean": rows["confluence"].mean(),
        }
    )
    if "density_per_mm2" in summary and summary["density_per_mm2"].notna().any():
        table["cells per mm², mean"] = rows["density_per_mm2"].mean()
    caption = (
        f"What {view.leader} counts, in all images, annotated or not. "
        "Confluence is the share of the frame under cells."
    )
    digits = {"cells per image, median": 0, "confluence, mean": 3, "cells per mm², mean": 0}
    return sheet(typed(table.rename_axis("cell type").reset_index()), caption, digits)


def _by_image(view: View, summary: pd.DataFrame) -> Sheet:
    kind_of = view.images.set_index("image_id")["cell_type"].replace(UNKNOWN, None)
    summary = summary.assign(cell_type=summary["image_id"].map(kind_of))
    names = {
        "image_id": "image",
        "cell_type": "cell type",
        "plate": "plate",
        "well": "well",
        "field": "field",
        "time_h": "hours",
    }
    names |= {
        "treatment": "treatment",
        "dose": "dose",
        "dose_unit": "unit",
        "count": "cells",
        "confluence": "confluence",
        "density_per_mm2": "cells per mm²",
        f"median_area_{_area_unit(summary)}": f"median area ({AREA_UNITS[_area_unit(summary)]})",
    }
    told = [name for name in names if name in summary and summary[name].notna().any()]
    caption = f"The first {LISTED} images; all are" if len(summary) > LISTED else "Every image, as"
    digits = {"hours": 1, "confluence": 3, "cells per mm²": 0}
    return sheet(
        summary[told].head(LISTED).rename(columns=names),
        f"{caption} in quantify's images.csv, with more columns.",
        digits,
    )


def _by_well(wells: pd.DataFrame | None) -> Sheet | None:
    """Return quantify's table of wells, its most telling columns; None where no well is known."""
    if wells is None or wells.empty:
        return None
    unit = _area_unit(wells)
    names = {"plate": "plate", "well": "well", "time_h": "hours", "treatment": "treatment", "dose": "dose"}
    names |= {"dose_unit": "unit", "images": "images", "count": "cells", "count_per_image": "cells per image"}
    names |= {"confluence": "confluence", "density_per_mm2": "cells per mm²"}
    names |= {f"median_area_{unit}": f"median area ({AREA_UNITS[unit]})"}
    told = [name for name in names if name in wells and wells[name].notna().any()]
    caption = f"The first {LISTED} rows; all are" if len(wells) > LISTED else "Every well at each time, as"
    digits = {"hours": 1, "confluence": 3, "cells per mm²": 0, "cells per image": 1}
    return sheet(
        wells[told].head(LISTED).rename(columns=names),
        f"{caption} in quantify's wells.csv, with more columns.",
        digits,
    )


def _area_unit(summary: pd.DataFrame) -> str:
    """Return the ending of the column of areas to show: µm² where every image with cells has them."""
    missing = (
        summary["median_area_px"].notna() & summary.get("median_area_um2", pd.Series(dtype=float)).isna()
    )
    return "px" if missing.any() or "median_area_um2" not in summary else "um2"


def count_cells(
    images: pd.DataFrame, truth: pd.DataFrame, segments: pd.DataFrame, held_out: pd.Series
) -> pd.DataFrame:
    """Return image_id, cell_type, plate, well, treatment, true and predicted counts of held-out images."""
    rows = images[images["annotated"] & images["image_id"].isin(held_out)]
    counts = rows[["image_id", "cell_type", "plate", "well", "treatment"]].reset_index(drop=True)
    for name, instances in (("truth", truth), ("predicted", segments)):
        counts[name] = counts["image_id"].map(instances["image_id"].value_counts()).fillna(0).astype(int)
    return counts


def counts_chart(counts: pd.DataFrame, palette: Mapping[str, str], unit: str) -> Markup:
    """Predicted against true cells, a dot for each image or well (`unit`); on the diagonal they agree."""

    def paint(ax: Axes) -> None:
        for kind, colour in {**palette, SEVERAL: MUTED}.items():
            part = counts[counts["cell_type"] == kind]
            if len(part):
                ax.scatter(
                    part["truth"], part["predicted"], s=22, color=colour, alpha=0.7, linewidth=0, label=kind
                )
        low, high = _count_axes(ax, counts[["truth", "predicted"]].to_numpy())
        ax.plot([low, high], [low, high], color=MUTED, linewidth=1, zorder=1)
        ax.set_xlabel(f"true cells per {unit}")
        ax.set_ylabel("predicted cells")
        ax.set_aspect("equal")
        if counts["cell_type"].nunique() > 1:
            ax.legend(loc="upper left")

    return panel(paint, f"Predicted against true cells per {unit}; the line is where both agree.", 440, 400)


def by_well(counts: pd.DataFrame) -> pd.DataFrame:
    """Return every known well's plate, well, treatment, cell_type, images, and cell counts: truth, predicted.

    A well whose images are of several types is one row, of the type SEVERAL.
    """
    known = counts.dropna(subset=["well"])
    wells = known.groupby(["plate", "well", "treatment"], dropna=False, as_index=False)
    return wells.agg(
        cell_type=("cell_type", lambda kinds: kinds.iloc[0] if kinds.nunique() == 1 else SEVERAL),
        images=("image_id", "size"),
        truth=("truth", "sum"),
        predicted=("predicted", "sum"),
    )


def count_errors(counts: pd.DataFrame) -> pd.DataFrame:
    """Return by cell type how far counts are off: totals, ratio, median error of an image, correlation."""
    rows = []
    for kind, part in counts.groupby("cell_type"):
        true, found = part["truth"].to_numpy(float), part["predicted"].to_numpy(float)
        varied = len(part) > 2 and true.std() > 0 and found.std() > 0
        rows.append(
            {
                "cell type": kind,
                "images": len(part),
                "true cells": int(true.sum()),
                "predicted": int(found.sum()),
                "predicted / true": found.sum() / true.sum() if true.sum() else np.nan,
                "median error": np.median(np.abs(found - true) / np.maximum(true, 1)),
                "correlation": np.corrcoef(true, found)[0, 1] if varied else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _count_axes(ax: Axes, counts: np.ndarray) -> tuple[float, float]:
    """Give both axes one range and scale, logarithmic where counts span much, and return the range."""
    low, high = (0.0, counts.max(initial=1) * 1.1)
    if high > 200:
        low = counts.min() / 1.3
        scale = {"value": "log"} if low > 0 else {"value": "symlog", "linthresh": 1}
        ticks = [
            tick for tick in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000) if low <= tick <= high
        ]
        ax.set_xscale(**scale)
        ax.set_yscale(**scale)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(ticks, [str(tick) for tick in ticks])
            axis.set_ticks([], minor=True)
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    return low, high
