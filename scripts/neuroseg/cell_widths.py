"""How wide a cell is, and between which bounds cells are."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd

Areas = TypeVar("Areas", float, pd.Series)

PLAUSIBLE = (3.0, 90.0)
"""Micrometres between which the median cell of an image is wide; beyond, the pixel size is doubted."""

FEW = 10
"""Cells without which nothing is said of how wide they are."""


def of_disc(area: Areas) -> Areas:
    """Return the width of a disc of this area, in the unit of which the area has the square."""
    return np.sqrt(4 / np.pi * area)
