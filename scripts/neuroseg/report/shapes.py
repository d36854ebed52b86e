"""What cells look like: how their shapes spread, by cell type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from neuroseg.cell_types import UNKNOWN
from neuroseg.report.drawing import panel
from neuroseg.report.sheets import sheet, text
from neuroseg.report.view import View


class Shape(NamedTuple):
    """A property to show: column in pixels and in µm, name, units and whether its axis is logarithmic."""

    column: str
    column_um: str
    name: str
    unit: str
    unit_um: str
    log: bool


SHAPES = (
    Shape("area_px", "area_um2", "area", "pixels", "µm²", True),
    Shape("axis_major_length_px", "axis_major_length_um", "long axis", "pixels", "µm", True),
    Shape("skeleton_length_px", "skeleton_length_um", "middle line, with branches", "pixels", "µm", True),
    Shape("thickness_px", "thickness_um", "thickness", "pixels", "µm", True),
    Shape("branch_points", "branch_points", "branch points", "of each cell", "of each cell", False),
    Shape("eccentricity", "eccentricity", "eccentricity", "0 round, 1 a line", "0 round, 1 a line", False),
    Shape("solidity", "solidity", "solidity", "1 convex, less branching", "1 convex, less branching", False),
    Shape("intensity_mean", "intensity_mean", "mean grey", "grey levels", "grey levels", False),
    Shape(
        "halo_contrast",
        "halo_contrast",
        "halo contrast",
        "brighter than the background",
        "brighter than the background",
        False,
    ),
    Shape(
        "nearest_neighbour_distance_px",
        "nearest_neighbour_distance_um",
        "nearest neighbour",
        "pixels",
        "µm",
        True,
    ),
)


def section(view: View) -> dict[str, object] | None:
    """Return charts and a table of the leader's cells, or None where none were measured."""
    cells, truth = view.evidence.cells.get(view.leader), view.evidence.truth
    if cells is None or cells.empty:
        return None
    known, problems = view.images.set_index("image_id"), view.evidence.problems
    if problems is not None and (problems["check"] == "mixed_bit_depth").any():
        cells = cells.drop(columns="intensity_mean", errors="ignore")  # grey values of 8 and 16 bit
    cells = cells.assign(cell_type=cells["cell_type"].fillna(UNKNOWN))
    truth = truth.assign(cell_type=truth["image_id"].map(known["cell_type"]))
    truth = truth.rename(columns={"area": "area_px"})
    truth = truth.assign(
        area_um2=truth["area_px"] * truth["image_id"].map(known["pixel_size_um"]).astype(float) ** 2
    )
    palette = {kind: colour for kind, colour in view.palette.items() if (cells["cell_type"] == kind).any()}
    microns = "area_um2" in cells and bool(cells["area_um2"].notna().all())
    caption = "Median of all predicted cells, and their middle half in brackets."
    return {
        "charts": shapes_charts(cells, truth, palette, microns),
        "table": sheet(shapes_table(cells, palette, microns), caption),
        "microns": microns,
        "with_truth": len(truth) > 0,
    }


def shapes_charts(
    cells: pd.DataFrame, truth: pd.DataFrame, palette: Mapping[str, str], microns: bool
) -> list[Markup]:
    """A panel for each of SHAPES: how cells of each type spread; for the area the truth beside it, dashed."""
    shown = [shape for shape in SHAPES if shape.column in cells]
    draw = partial(_spread_of, cells=cells, truth=truth, palette=palette, microns=microns)
    return [
        panel(partial(draw, shape=shape), f"Distribution of {shape.name} by cell type.", 290, 230)
        for shape in shown
    ]


def shapes_table(cells: pd.DataFrame, palette: Mapping[str, str], microns: bool) -> pd.DataFrame:
    """Return median and quartiles of each of SHAPES, a column for each cell type, as text."""
    of = {kind: cells[cells["cell_type"] == kind] for kind in palette}
    rows: list[dict[str, str | None]] = []
    rows.append({"property": "cells", "unit": "", **{kind: text(len(part)) for kind, part in of.items()}})
    for shape in SHAPES:
        column, unit = (shape.column_um, shape.unit_um) if microns else (shape.column, shape.unit)
        if column in cells:
            said = {kind: _quartiles(part[column].dropna()) for kind, part in of.items()}
            rows.append({"property": shape.name, "unit": unit, **said})
    return pd.DataFrame(rows)


def _spread_of(
    ax: Axes,
    cells: pd.DataFrame,
    truth: pd.DataFrame,
    palette: Mapping[str, str],
    shape: Shape,
    microns: bool,
) -> None:
    column, unit = (shape.column_um, shape.unit_um) if microns else (shape.column, shape.unit)
    values = cells[column].dropna().to_numpy(float)
    values = values[values > 0] if shape.log else values
    if not len(values):
        return
    low, high = np.quantile(values, (0.002, 0.998))
    high = high if high > low else low + 1
    edges = np.geomspace(low, high, 36) if shape.log else np.linspace(low, high, 36)
    for kind, colour in palette.items():
        _steps(ax, cells.loc[cells["cell_type"] == kind, column], edges, color=colour, label=kind)
        if column in truth:
            _steps(
                ax,
                truth.loc[truth["cell_type"] == kind, column],
                edges,
                color=colour,
                linestyle="--",
                linewidth=1,
            )
    ax.set_title(shape.name)
    ax.set_xlabel(unit)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(bottom=0)
    if shape.log:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.locator_params(axis="x", nbins=6)  # more, and long labels run into each other
    if shape is SHAPES[0] and len(palette) > 1:
        ax.legend()


def _steps(ax: Axes, values: pd.Series, edges: np.ndarray, **style: Any) -> None:
    """Draw the share of cells in each bin; bins are equal on the axis, so shares compare across types."""
    heights = np.histogram(values.dropna().to_numpy(float), edges)[0]
    if heights.sum():
        ax.stairs(heights / heights.sum(), edges, **{"linewidth": 1.6, **style})


def _quartiles(values: pd.Series) -> str | None:
    if values.empty:
        return None
    low, middle, high = (text(float(value)) for value in values.quantile([0.25, 0.5, 0.75]))
    return f"{middle} ({low}–{high})"
