"""The dictionary of the tables' columns: as a table beside them, and as the page docs/measures.md."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from neuroseg.morphology.measures import COLUMNS, MEASURES, STATISTICS, SUMMED, UNITS, Column

_HEAD = """# What is measured

Stage `quantify` writes these tables into `results/{dataset}/quantify/{ensemble}/`:

| file | a row for each |
|---|---|
| `cells.csv`, `cells.parquet` | cell; both hold the same |
| `images.csv` | image, those without cells too |
| `wells.csv` | plate, well, time, treatment and dose, over all images of it |
| `measures.csv` | column of these tables: its unit and its meaning |

- **Units stand in the names**: `_px` pixels, `_um` µm, `_um2` µm², `_mm2` mm², `_h` hours, `_rad` radians.
  Columns in µm, µm² and mm² are filled where the pixel size is known: the file or the dataset file
  (`pixel_size_um`) says it.
- **An empty field is an unknown value**, never 0. Texts such as None, NA and 001 are names. Programs that
  guess take them for missing values or numbers; in Python:
  `pandas.read_csv("wells.csv", keep_default_na=False, na_values=[""])`, in Excel: *Data > From Text/CSV*, as
  Unicode (UTF-8).
- Numbers have six decimals at most. Lengths and areas are those of the masks as they are: detectors outline
  cells with errors of a pixel or two, which thin processes feel most.
- Wells, not cells, are what was treated: a test that takes cells or images for independent finds too much.

This page is written by `make measures` from `scripts/neuroseg/morphology/measures.py`.
"""


def dictionary() -> pd.DataFrame:
    """Return a row for each column of each table: table, column, unit, meaning."""
    rows = [(table, *column) for table, columns in COLUMNS.items() for column in columns]
    return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])


def page() -> str:
    """Return docs/measures.md."""
    known = {column for measure in MEASURES for column in measure.columns}
    known |= {f"{statistic}_{column}" for statistic in STATISTICS for column in SUMMED}
    parts = [_HEAD, "## Of each cell\n", _listed(_measures(), ("measure", "columns", "meaning"))]
    plain = {column: None for table in COLUMNS.values() for column in table if column.name not in known}
    parts += ["## The other columns\n", _listed(map(_plain, plain), ("column", "unit", *COLUMNS, "meaning"))]
    prefixes = [(f"`{name}_`", words) for name, words in STATISTICS.items()]
    left_out = ", ".join(measure.name for measure in MEASURES if not measure.summed)
    parts += [
        "## Statistics of images and wells\n",
        f"Of every measure but {left_out} these are in `images.csv` and `wells.csv`, such as "
        f"`median_{SUMMED[1]}`,\n"
        "over the cells of the image, or of all images of the well together.\n",
        _listed(prefixes, ("begins with", "is the cells'")),
    ]
    return "\n".join(parts)


def _measures() -> Iterable[tuple[str, ...]]:
    for measure in MEASURES:
        units = UNITS[measure.kind].values()
        names = [
            f"`{name}`" + (f" ({unit})" if unit else "")
            for name, unit in zip(measure.columns, units, strict=True)
        ]
        yield measure.name.replace("_", " "), ", ".join(names), measure.meaning


def _plain(column: Column) -> tuple[str, ...]:
    there = ("yes" if column in columns else "" for columns in COLUMNS.values())
    return f"`{column.name}`", column.unit, *there, column.meaning


def _listed(rows: Iterable[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
