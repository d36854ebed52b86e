"""Which images a fold's detector learns from, which it predicts, and which are scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from neuroseg.errors import DataError
from neuroseg.tables import NEVER_TRAINED

Fold = int | Literal["all"]
"""The fold that a detector holds out; "all" holds out none: it learns from every fold."""


def training(
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
        raise DataError(
            f"fold {fold}: the {len(chosen)} images to train on show no cell; check the instances table."
        )
    return chosen, cells


def held_out(images: pd.DataFrame, folds: pd.DataFrame | None, fold: Fold | None) -> pd.DataFrame:
    """Return the images of `fold`, none if it is "all" or None, and those that no fold trains on.

    Where there are no folds, return all images.
    """
    if folds is None:
        return images
    at = _fold_of(images, folds)
    return images[(at == fold) | (at == NEVER_TRAINED)].reset_index(drop=True)


def scored(images: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """Return the images to score, with a column `fold`: annotated and held out by a detector (fold >= 0).

    Where a data set brings its own split, these are its images of subset val: its train images no detector
    holds out.

    Raises:
        DataError: there is none.
    """
    held = images.merge(folds[["image_id", "fold"]], on="image_id", validate="one_to_one")
    held = held[held["annotated"].astype(bool) & (held["fold"] >= 0)].reset_index(drop=True)
    own = held["subset"] == "val"
    held = held[own].reset_index(drop=True) if own.any() else held
    if held.empty:
        raise DataError(
            "No annotated image is held out by a fold, so nothing can be scored; give a data set with truth."
        )
    return held


KINDS = ("unlabelled", "test")
"""Images without annotation: those of the test subset, and all others."""


def unannotated(
    images: pd.DataFrame, folds: pd.DataFrame, fold: Fold, kinds: Sequence[str] = KINDS
) -> pd.DataFrame:
    """Return the images without annotation that a fold's detectors may learn from once pseudo-labelled.

    Left out are those of a group that the fold holds out: an image of the same well, hours apart, would give
    away what the held-out images are to test.

    Raises:
        DataError: a kind is unknown, or there is no image of these kinds, whatever the fold.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise DataError(f"{kind}: there are no such images; choose among {', '.join(KINDS)}.")
    test = images["subset"] == "test"
    chosen = images[
        ~images["annotated"].astype(bool) & ((test & ("test" in kinds)) | (~test & ("unlabelled" in kinds)))
    ]
    if chosen.empty:
        raise DataError(
            f"there is no image of {' or '.join(kinds)} to pseudo-label; choose another kind, or add images."
        )
    kept_apart = images.loc[_fold_of(images, folds) == fold, "group"]
    return chosen[~chosen["group"].isin(kept_apart)].reset_index(drop=True)


def pseudo_labelled(
    images: pd.DataFrame, folds: pd.DataFrame, fold: Fold, labels: pd.DataFrame
) -> pd.DataFrame:
    """Return the images that pseudo-labels are of.

    Raises:
        DataError: one of them is unknown or annotated, or of a group that the fold holds out.
    """
    if labels.empty:
        return images.iloc[:0]
    allowed = unannotated(images, folds, fold)
    unknown = set(labels["image_id"]) - set(allowed["image_id"])
    if unknown:
        raise DataError(
            f"fold {fold}: image {min(unknown)} is pseudo-labelled, but it is annotated, "
            "of a group that the fold holds out, or unknown; write the pseudo-labels anew for this fold."
        )
    return allowed[allowed["image_id"].isin(labels["image_id"])].reset_index(drop=True)


def _fold_of(images: pd.DataFrame, folds: pd.DataFrame) -> pd.Series:
    return images["image_id"].map(folds.set_index("image_id")["fold"]).fillna(NEVER_TRAINED)
