"""What is measured of a cell, in which unit, and what it means: the words of tables and docs/measures.md.

Names and definitions that scikit-image's `regionprops` has are its own.
"""

from __future__ import annotations

from typing import NamedTuple

HALO = 3
"""Pixels around a cell in which its halo is looked for."""

DECIMALS = 6
"""Decimal places of measures: processors differ in the last bits of a double, and a recorded run is to be the
same on all of them."""

UNITS = {
    "area": {"px": "pixels", "um2": "µm²"},
    "length": {"px": "pixels", "um": "µm"},
    "place": {"px": "pixels"},
    "angle": {"rad": "radians"},
    "number": {"": ""},
    "ratio": {"": ""},
    "grey": {"": "grey levels of the file"},
}
"""For each kind of measure the endings of its columns, and the unit that each means."""


class Measure(NamedTuple):
    """One measure of a cell: its name without a unit, its kind (a key of UNITS), and what it is.

    `summed` says that images and wells have its mean, median and quartiles; `whole` that it is a whole
    number.
    """

    name: str
    kind: str
    meaning: str
    summed: bool = True
    whole: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns, that in pixels first."""
        return tuple(f"{self.name}_{ending}" if ending else self.name for ending in UNITS[self.kind])


MEASURES = (
    Measure("area", "area", "the cell's pixels, holes left out", whole=True),
    Measure(
        "perimeter",
        "length",
        "length of the outline, as scikit-image estimates it (holes' outlines included)",
    ),
    Measure("axis_major_length", "length", "long axis of the ellipse that has the cell's second moments"),
    Measure("axis_minor_length", "length", "short axis of that ellipse"),
    Measure(
        "orientation",
        "angle",
        "angle between the image's columns and the long axis, from -π/2 to π/2",
        summed=False,
    ),
    Measure("eccentricity", "ratio", "of that ellipse: 0 is a circle, near 1 a line"),
    Measure("solidity", "ratio", "area / area of the convex hull; branches and bays lower it"),
    Measure(
        "convexity",
        "ratio",
        "perimeter of the convex hull / perimeter; a winding outline lowers it, pieces raise it",
    ),
    Measure(
        "circularity",
        "ratio",
        "4π area / perimeter², at most 1, as ImageJ has it: 1 is a disc, near 0 a thread",
    ),
    Measure("skeleton_length", "length", "length of the cell's middle line with all its branches"),
    Measure("branch_points", "number", "places where the middle line divides", whole=True),
    Measure("end_points", "number", "tips of the middle line: of a round cell 0, of a spindle 2", whole=True),
    Measure("thickness", "length", "the cell's width, the mean along its middle line"),
    Measure(
        "thinness",
        "ratio",
        "skeleton length / thickness: near 0 is round, 20 is a neurite 20 times as long as thick",
    ),
    Measure("intensity_mean", "grey", "mean grey of the cell's pixels"),
    Measure(
        "halo_contrast",
        "ratio",
        f"(halo − background) / background; the halo is the mean grey within {HALO} pixels of the cell, "
        "the background the median grey of the image, both without pixels of cells and without black",
    ),
    Measure(
        "nearest_neighbour_distance",
        "length",
        "from its centre to the nearest centre of another cell of the image",
    ),
    Measure(
        "touching_neighbours",
        "number",
        "cells of the image that share an edge, a corner or a pixel with it",
        whole=True,
    ),
    Measure("centroid_row", "place", "the centre's row, 0 at the top of the image", summed=False),
    Measure("centroid_col", "place", "the centre's column, 0 at the left", summed=False),
)
"""In the order of the tables' columns."""

STATISTICS = {"median": "median", "q25": "lower quartile", "q75": "upper quartile", "mean": "mean"}
"""What images and wells hold of each measure that is summed up, as `<statistic>_<column>`."""

SUMMED = tuple(column for measure in MEASURES if measure.summed for column in measure.columns)
"""Columns of the cells of which images and wells have the STATISTICS."""


class Column(NamedTuple):
    """A column of a table: its name, its unit (empty where it has none), and what it means."""

    name: str
    unit: str
    meaning: str


_CELL_TYPE = Column(
    "cell_type",
    "",
    "as the source says; else of a cell what detectors take it for, of an image that of most cells",
)
_WELL = (
    Column("plate", "", "as file names or plate map tell"),
    Column("well", "", "letter and number without zeros: A1"),
)
_EXPERIMENT = (
    Column("time_h", "hours", "since plating, or since the plate's first image"),
    Column(
        "treatment",
        "",
        "as the plate map or file names tell; None is a treatment, an empty field is an unknown one",
    ),
    Column("dose", "", "as the plate map or file names tell, numbers in one form: 0.5 for 0,5"),
    Column("dose_unit", "", "as the dose, its head or a column unit tells, in one spelling: µM for uM"),
)
_IMAGE = (
    Column("file", "", "the image's file, below the folder of all images of the data set"),
    Column("image_id", "", "the image, as all tables and exported files call it"),
)
_FIELD = Column("field", "", "which part of the well the image shows")
_PIXEL = Column(
    "pixel_size_um", "µm", "side of a pixel; where it is empty, so is every column in µm, µm² and mm²"
)
_COUNT = Column("count", "", "cells found")
_CONFLUENCE = Column(
    "confluence", "", "share of the frame under cells, from 0 to 1; shared pixels count once"
)
_DENSITY = Column("density_per_mm2", "1/mm²", "cells for each mm² of frame")

_MEASURED = tuple(
    Column(column, unit, measure.meaning)
    for measure in MEASURES
    for column, unit in zip(measure.columns, UNITS[measure.kind].values(), strict=True)
)

_STATISTICS = tuple(
    Column(f"{statistic}_{column.name}", column.unit, f"{words} over the cells: {column.meaning}")
    for column in _MEASURED
    if column.name in SUMMED
    for statistic, words in STATISTICS.items()
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "cells": (
        *_IMAGE,
        Column("instance_id", "", "the cell's number in its image, from 0; as in the tables of other stages"),
        Column("label", "", "instance_id + 1: the cell's number in label images, ROI sets, GeoJSON and COCO"),
        *_WELL,
        _FIELD,
        *_EXPERIMENT,
        _CELL_TYPE,
        _PIXEL,
        Column("score", "", "how sure the detectors are, from 0 to 1; empty for annotated cells"),
        *_MEASURED,
    ),
    "images": (
        *_IMAGE,
        *_WELL,
        _FIELD,
        *_EXPERIMENT,
        _CELL_TYPE,
        Column("group", "", "images of one group are never divided between training and test"),
        _PIXEL,
        Column("height_px", "pixels", "of the image"),
        Column("width_px", "pixels", "of the image"),
        _COUNT,
        _CONFLUENCE,
        _DENSITY,
        Column(
            "unlike_training",
            "",
            "what of the image is unlike those that the detectors learnt from, with the figures: grey levels "
            "and what was done to them, sharpness, dark halos, pixel size, size or number of cells; "
            "empty if nothing",
        ),
        *_STATISTICS,
    ),
    "wells": (
        *_WELL,
        *_EXPERIMENT,
        _CELL_TYPE,
        _PIXEL,
        Column("images", "", "images of this well, time, treatment and dose"),
        _COUNT,
        Column("count_per_image", "", "cells for each image"),
        _CONFLUENCE,
        _DENSITY,
        *_STATISTICS,
    ),
}
"""Every column of the tables that `quantify` writes, in order."""
