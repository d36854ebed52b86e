"""Tables of text: numbers rounded for reading, right-aligned, none lost for being absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.cell_types import UNKNOWN

ABSENT = "–"

LONG = 40
"""Characters from which a column is prose, which may run over several lines."""


class Sheet(NamedTuple):
    """A table for the page: caption, header, rows of text, each column's kind: number, prose or nothing."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]


def sheet(frame: pd.DataFrame, caption: str, digits: Mapping[str, int] | None = None) -> Sheet:
    """Return a frame as a table.

    Args:
        frame: its columns are the header; the first names the row, later columns of numbers stand
            right-aligned.
        caption: one sentence that says what is seen.
        digits: decimals of a column of floats; three significant digits where none are given.
    """
    digits = digits or {}
    columns = [[text(value, digits.get(name)) for value in frame[name]] for name in frame.columns]
    kinds = [_kind(frame[name], column) for name, column in zip(frame.columns, columns, strict=True)]
    return Sheet(caption, tuple(frame.columns), tuple(zip(*columns, strict=True)), ("", *kinds[1:]))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame without its column of cell types where no type is known."""
    return frame.drop(columns="cell type") if (frame["cell type"] == UNKNOWN).all() else frame


def text(value: object, digits: int | None = None) -> str:
    """Return a value for reading: thousands set apart, a minus that is one, a dash where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return ABSENT
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return _set(f"{value:,}")
    if isinstance(value, float | np.floating):
        if digits is None:
            digits = 0 if abs(float(value)) >= 100 else None
        return _set(f"{value:.3g}" if digits is None else f"{value:,.{digits}f}")
    return str(value)


def interval(middle: float | None, low: float | None, high: float | None) -> str:
    """Return a number and its interval, such as 0.312 (0.290 to 0.333)."""
    if text(low) == ABSENT or text(high) == ABSENT:
        return text(middle, 3)
    return f"{text(middle, 3)} ({text(low, 3)} to {text(high, 3)})"


def _set(number: str) -> str:
    return number.replace(",", "\u2009").replace("-", "\u2212")


def _kind(values: pd.Series, said: list[str]) -> str:
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return "number"
    return "prose" if max(map(len, said), default=0) > LONG else ""
