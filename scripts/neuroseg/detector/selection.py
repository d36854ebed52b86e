"""Which images a fold's detector learns from, and which it may be tried on."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from neuroseg.tables import NEVER_TRAINED, DataError

Fold = int | Literal["all"]
"""The fold that a detector holds out; "all" holds out none: it learns from every fold."""


def held_in(
    images: pd.DataFrame, instances: pd.DataFrame, folds: pd.DataFrame, fold: Fold
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the annotated images of all other folds, of fold "all" those of every one, and their instances.

    Raises:
        DataError: there is none, or they show no cell.
    """
    at = _fold_of(images, folds)
    chosen = images[(at != NEVER_TRAINED) & (at != fold) & images["annotated"]].reset_index(drop=True)
    if chosen.empty:
        raise DataError(f"fold {fold}: no annotated image is left to train on; check the folds table.")
    cells = instances[instances["image_id"].isin(chosen["image_id"])].reset_index(drop=True)
    if cells.empty:
        raise DataError(f"fold {fold}: the {len(chosen)} images to train on show no cell; check the instances table.")
    return chosen, cells


def held_out(images: pd.DataFrame, folds: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Return the images of `fold`, none if it is "all", and those that no fold trains on."""
    at = _fold_of(images, folds)
    return images[(at == fold) | (at == NEVER_TRAINED)].reset_index(drop=True)


def _fold_of(images: pd.DataFrame, folds: pd.DataFrame) -> pd.Series:
    return images["image_id"].map(folds.set_index("image_id")["fold"]).fillna(NEVER_TRAINED)
