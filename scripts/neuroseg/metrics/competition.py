"""The competition's score: TP / (TP + FP + FN), averaged over thresholds, then over images."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import rle
from neuroseg.cell_types import UNKNOWN
from neuroseg.metrics.matching import THRESHOLDS, hits_of_pairs, hits_of_runs
from neuroseg.metrics.overlaps import of_images, pairs_of

AP_COLUMNS = tuple(f"ap_{100 * threshold:.0f}" for threshold in THRESHOLDS)

_STEPS = np.arange(len(THRESHOLDS))
_NO_GAINS = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0)


def per_image(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Score each image of `held` (see `folds.scored`); instances of other images are ignored.

    An image without truth and without prediction scores 1, as nothing about it is wrong (the competition,
    whose images all hold cells, leaves 0/0 open). Without truth but with predictions, or the reverse, it
    scores 0.

    Returns:
        One row an image, in the order of `held`: image_id, cell_type, group, fold; ap, the mean of ap_50 to
        ap_95; truth and predicted, the numbers of instances; matched_50, those matched at IoU > 0.50.
    """
    (predicted, image), (truth, truth_image) = of_images(predicted, held), of_images(truth, held)
    found = pairs_of(predicted, image, truth, truth_image, held)
    matched = hits_of_pairs(found, len(image), len(truth_image))
    tp = _more_than(matched, image, len(held))
    n_predicted, n_truth = (np.bincount(of, minlength=len(held)) for of in (image, truth_image))
    ap = _average_precision(tp, n_predicted, n_truth)
    return pd.DataFrame(
        {
            **{column: held[column].array for column in ("image_id", "cell_type", "group", "fold")},
            "ap": ap.mean(axis=1),
            **dict(zip(AP_COLUMNS, ap.T, strict=True)),
            "truth": n_truth,
            "predicted": n_predicted,
            "matched_50": tp[:, 0],
        },
        index=held.index,
    )


def gains(
    cuts: Iterable[tuple[str, int, np.ndarray, rle.Runs]], truth: pd.DataFrame, images: pd.DataFrame
) -> pd.DataFrame:
    """Return what accepting each instance, after its image's higher scored ones, adds to the image's ap.

    Under a score threshold an image's ap is that of no prediction (0, or 1 without truth) plus the gains of
    its instances that reach the threshold: one pass of geometry serves every threshold.

    Args:
        cuts: image_id, a number of the caller's, and that image's instances, best first and disjoint (see
            `hits` for why): their scores and canonical runs. Those of one image follow each other.
        truth: True instances.
        images: The frames of all images: image_id, height, width.

    Returns:
        A row for each instance: image_id, point (the caller's number), score and gain.
    """
    sizes = images.set_index("image_id")[["height", "width"]]
    cells = dict(list(truth.groupby("image_id")))
    empty = truth.iloc[:0]
    names, parts = [], []
    for name, of_image in groupby(cuts, key=lambda cut: cut[0]):
        height, width = sizes.loc[name]
        true = rle.of_image(cells.get(name, empty), name, height, width)
        for _, point, scores, runs in of_image:
            names.append(np.full(len(scores), sizes.index.get_loc(name)))
            parts.append(
                (np.full(len(scores), point), scores, _gains(hits_of_runs(runs, true, width), len(true)))
            )
    numbers, score, gain = (np.concatenate(column) for column in zip(_NO_GAINS, *parts, strict=True))
    image_id = images["image_id"].to_numpy()[np.concatenate([_NO_GAINS[0], *names])]
    return pd.DataFrame({"image_id": image_id, "point": numbers, "score": score, "gain": gain})


def summarise(table: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    """Return the means over the images of `per_image`'s table, with 95 % intervals, as a JSON-ready dict.

    Intervals are percentiles over resamplings of whole groups (with replacement, `bootstrap` times), since
    images of one well are no independent witnesses; each resampled score is the mean over the images drawn. A
    part of one group has an interval of no width, which then says nothing.

    Returns:
        map, map_low, map_high; ap, ap_low, ap_high by threshold; per_type and per_fold, each with map,
        map_low, map_high, images and cells; images, cells and predicted, the numbers of images, true and
        predicted instances. Floats have 6 digits.
    """
    types = table["cell_type"].fillna(UNKNOWN)
    means = zip(*(_interval(table, name, bootstrap, seed) for name in AP_COLUMNS), strict=True)
    levels = [f"{level:.2f}" for level in THRESHOLDS]
    return {
        **_mean(table, bootstrap, seed),
        **{
            name: dict(zip(levels, row, strict=True))
            for name, row in zip(("ap", "ap_low", "ap_high"), means, strict=True)
        },
        "per_type": {str(name): _part(rows, bootstrap, seed) for name, rows in table.groupby(types)},
        "per_fold": {str(name): _part(rows, bootstrap, seed) for name, rows in table.groupby("fold")},
        "images": len(table),
        "cells": int(table["truth"].sum()),
        "predicted": int(table["predicted"].sum()),
    }


def _more_than(hits: np.ndarray, image: np.ndarray, images: int) -> np.ndarray:
    """Return how many instances of each image have more than 0, 1, ... hits, shape (images, thresholds)."""
    width = len(_STEPS) + 1
    exactly = np.bincount(image * width + hits, minlength=images * width).reshape(images, width)
    return exactly[:, :0:-1].cumsum(axis=1)[:, ::-1]


def _average_precision(tp: np.ndarray, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return TP / (TP + FP + FN), (n, thresholds), from counts (n, thresholds), (n,), (n,); 1 for 0 / 0."""
    union = (predicted + truth)[:, None] - tp
    return np.where(union == 0, 1.0, tp / np.maximum(union, 1))


def _gains(matched: np.ndarray, truth: int) -> np.ndarray:
    """Return how ap grows as an image's instances enter in turn, from hits and the number of true masks."""
    tp = (matched[:, None] > _STEPS).cumsum(axis=0)
    ap = _average_precision(tp, np.arange(1, len(tp) + 1), np.full(len(tp), truth)).mean(axis=1)
    return np.diff(ap, prepend=float(truth == 0))


def _part(table: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    return {**_mean(table, bootstrap, seed), "images": len(table), "cells": int(table["truth"].sum())}


def _mean(table: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, float]:
    return dict(zip(("map", "map_low", "map_high"), _interval(table, "ap", bootstrap, seed), strict=True))


def _interval(table: pd.DataFrame, column: str, bootstrap: int, seed: int) -> tuple[float, float, float]:
    """Return a column's mean over images, and where its interval begins and ends."""
    groups = table.groupby("group")[column].agg(["sum", "size"]).to_numpy()
    drawn = np.random.default_rng(seed).multinomial(
        len(groups), np.full(len(groups), 1 / len(groups)), bootstrap
    )
    total, size = (drawn @ groups).T
    low, high = np.quantile(total / size, [0.025, 0.975]) if bootstrap else (np.nan, np.nan)
    return _round(table[column].mean()), _round(low), _round(high)


def _round(value: float) -> float:
    return round(float(value), 6)
