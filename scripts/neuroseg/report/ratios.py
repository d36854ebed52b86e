"""Treated wells beside control wells: the ratio of their means, and how far chance alone would move it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from neuroseg.report.sheets import text

FEWEST = 3
"""Wells of an arm from which there is an interval. With two beside twelve, one of nominally 95 % holds the
true ratio in 89 %."""


class Comparison(NamedTuple):
    """Treated wells, and the control wells they are compared with.

    Attributes:
        wells: how many, treated and control.
        means: of both, above 0 or 0.
        ratio: treated to control, NaN where the control's mean is 0.
        low: lower end of the ratio's 95 % interval; NaN where there are too few wells, all are equal, or a
            mean is 0.
        high: its upper end.
    """

    wells: tuple[int, int]
    means: tuple[float, float]
    ratio: float
    low: float
    high: float

    @property
    def interval(self) -> str | None:
        """The interval in words, None where there is none."""
        digits = 2 if self.low >= 0.1 else None
        return f"{text(self.low, digits)} to {text(self.high, digits)}" if np.isfinite(self.low) else None


def compare(treated: pd.DataFrame, control: pd.DataFrame, column: str) -> Comparison | None:
    """Return how a measure of treated wells compares with control wells of the same folds, None without any.

    Means weigh folds as Mantel and Haenszel do (J. Natl. Cancer Inst. 22, 1959): by t c / (t + c) of t
    treated and c control wells. The interval is Welch's (Biometrika 34, 1947) for the logarithm of the ratio,
    from the spread of wells within their folds.

    Args:
        treated: a row for each well: `fold` and the measure, missing where it was not measured.
        control: the same of the control.
        column: the measure.
    """
    parts = [part.dropna(subset=[column]) for part in (treated, control)]
    shared = set(parts[0]["fold"]) & set(parts[1]["fold"])
    folds = [part[part["fold"].isin(shared)].groupby("fold")[column] for part in parts]
    if not shared:
        return None
    sizes = np.array([fold.size() for fold in folds])
    weights = sizes.prod(axis=0) / sizes.sum(axis=0)
    weights /= weights.sum()
    means = np.array([fold.mean() for fold in folds]) @ weights
    ratio = float(means[0] / means[1]) if means[1] > 0 else np.nan
    freedom = sizes.sum(axis=1) - len(weights)
    low = high = np.nan
    if (freedom >= FEWEST - 1).all() and (means > 0).all():
        squares = np.array([(fold.var(ddof=0) * fold.size()).sum() for fold in folds])
        # variance of the logarithm of either mean
        spread = squares / freedom * (weights**2 / sizes).sum(axis=1) / means**2
        if spread.any():
            half = stats.t.ppf(0.975, spread.sum() ** 2 / (spread**2 / freedom).sum()) * np.sqrt(spread.sum())
            low, high = ratio * np.exp(-half), ratio * np.exp(half)
    return Comparison((int(sizes[0].sum()), int(sizes[1].sum())), (means[0], means[1]), ratio, low, high)
