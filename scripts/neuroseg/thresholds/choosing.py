"""Choosing thresholds: tally the gains of what was cut, and take what is best on other folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from neuroseg.tables import DataError, positions, replacing
from neuroseg.threads import in_order
from neuroseg.thresholds.settings import Fixed, Settings

TOLERANCE = 0.0005
"""Mean ap that is not worth a rarer setting or an edge: changing a member of an ensemble moves the score by 0.002."""

_HEADER = """\
# What a cell must reach to be counted, by cell type, as chosen on held-out images by the competition's metric.
# folds: k were chosen on the images of the other folds; all: on every held-out image, for images no fold trains on.
"""


class Point(NamedTuple):
    """One setting of all but the score threshold, as `segmentation` takes them."""

    mask: float
    min_area: int
    rescore: bool


def grid(settings: Settings) -> list[Point]:
    """Return the points to try, the plainest first: not rescored, masks cut near one half, small cells kept."""
    if settings.fixed is not None:
        return []
    areas = {area for some in settings.min_area.values() for area in some}
    points = {Point(*point) for point in product(settings.mask, areas, settings.rescore)}
    return sorted(points, key=lambda point: (point.rescore, abs(point.mask - 0.5), point.min_area, point.mask))


def collect(
    settings: Settings,
    images: pd.DataFrame,
    truth: pd.DataFrame,
    rooms: tuple[Callable, Callable, Callable],
    threads: int,
    batches: Iterable[pd.DataFrame],
) -> tuple[pd.DataFrame, list[pd.DataFrame], list[str]]:
    """Cut the detections of held-out images at every point and tally what that is worth, a few images at a time.

    Args:
        settings: What is tried.
        images: The held-out images, as `metrics.held_out` returns them.
        truth: The true instances.
        rooms: `segmentation.vote`, `segmentation.sweep` and `metrics.gains`, which only a script may bring together.
        threads: How many batches are in work side by side.
        batches: Detections of some images each.

    Returns:
        What `choose` takes: the images with ap and with their cell_type by vote, the tallies, and the types that occur.
    """
    (vote, sweep, gains), points = rooms, grid(settings)

    def work(found: pd.DataFrame) -> tuple[dict[str, str], pd.DataFrame]:
        votes = vote(found)
        voted = images.assign(cell_type=images["image_id"].map(votes))
        true = truth[truth["image_id"].isin(found["image_id"])]
        return votes, tally(settings, voted, gains(sweep(found, images, points), true, images))

    votes, tallies = {}, []
    for voted, tallied in in_order(work, batches, threads):
        votes |= voted
        tallies.append(tallied)
    kinds = images["image_id"].map(dict(zip(images["image_id"], images["cell_type"], strict=True)) | votes)
    bare = (~images["image_id"].isin(truth["image_id"])).astype(np.float64)  # to find nothing is right where nothing is
    types = sorted({*truth["cell_type"].dropna(), *votes.values()})
    return images.assign(ap=bare, cell_type=kinds), tallies, types


def tally(settings: Settings, images: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Sum gains by cell type, fold, point and score: what is left of instances once they are cut and scored.

    Args:
        settings: Which score thresholds are tried.
        images: The images, with their fold and cell_type (by vote).
        gains: image_id, point (the position in `grid`), score and gain of each instance, see `metrics.gains`.

    Returns:
        cell_type, fold, point, step and gain; `step` counts the score thresholds from the lowest: the last reached.
    """
    reached = np.searchsorted(_steps(settings).astype(np.float32), gains["score"].to_numpy(np.float32), "right") - 1
    image = positions(gains["image_id"], images["image_id"])
    table = gains[["point", "gain"]].assign(
        **{column: images[column].to_numpy()[image] for column in ("cell_type", "fold")}, step=reached
    )
    return table[reached >= 0].groupby(["cell_type", "fold", "point", "step"], as_index=False)["gain"].sum()


def choose(
    settings: Settings, images: pd.DataFrame, tallies: Sequence[pd.DataFrame], types: Sequence[str]
) -> pd.DataFrame:
    """Choose each fold's thresholds on the images of the other folds, and those of all on every image.

    Chosen is the point whose best mean ap is highest, or the plainest (see `grid`) of those within TOLERANCE of it;
    then the middle of the scores around its best that come within TOLERANCE, as a peak's very tip is luck. A type of
    which the other folds hold no image takes what is best for the images of all types together. Where there is one
    fold only, as in a data set with a split of its own, its own images must serve, and its score is flattered.

    Args:
        settings: What to choose from.
        images: The held-out images: cell_type (by vote, or null), fold, and ap, the image's score without predictions.
        tallies: What `tally` returned for all images and points.
        types: The cell types to choose for.

    Returns:
        One row for each fold, and `all`, and type: fold, cell_type, score, mask, min_area, rescore, and on what they
        were chosen: images, their number, and ap, their mean. Given thresholds are chosen on no image.

    Raises:
        DataError: fixed thresholds leave out a type.
    """
    folds = sorted(int(fold) for fold in images["fold"].unique())
    if settings.fixed is not None:
        return _given(settings.fixed, [*folds, "all"], types)
    points, steps = grid(settings), _steps(settings)
    tallied = pd.concat(tallies)
    kinds = images["cell_type"].fillna("")
    every = pd.Index(sorted({*types, *kinds, *tallied["cell_type"]}))

    gain = np.zeros((len(every), len(folds), len(points), len(steps)))
    place = every.get_indexer(tallied["cell_type"]), np.searchsorted(folds, tallied["fold"])
    np.add.at(gain, (*place, tallied["point"], tallied["step"]), tallied["gain"])
    gain = gain[..., ::-1].cumsum(axis=-1)[..., ::-1]  # of all instances that reach a step
    place = every.get_indexer(kinds), np.searchsorted(folds, images["fold"])
    count, bare = np.zeros(gain.shape[:2]), np.zeros(gain.shape[:2])
    np.add.at(count, place, 1)
    np.add.at(bare, place, images["ap"])

    rows = []
    for name, cell_type in product((*folds, "all"), types):
        own, others = every == cell_type, np.array([fold != name or len(folds) == 1 for fold in folds])
        if not count[np.ix_(own, others)].any():
            own = np.ones(len(every), bool)
        images_of, bare_of, gain_of = (part[np.ix_(own, others)].sum(axis=(0, 1)) for part in (count, bare, gain))
        ap = (bare_of + gain_of) / images_of
        ap[[not _allowed(settings, cell_type, point) for point in points]] = -np.inf
        point, step = _best(ap)
        chosen = {"score": float(steps[step]), **points[point]._asdict()}
        rows.append({"fold": name, "cell_type": cell_type, **chosen, "images": int(images_of), "ap": ap[point, step]})
    return pd.DataFrame(rows)


def mean_ap(
    settings: Settings,
    images: pd.DataFrame,
    truth: pd.DataFrame,
    rooms: tuple[Callable, Callable, Callable],
    threads: int,
    batches: Iterable[pd.DataFrame],
) -> dict[int | str, float]:
    """Return for each fold the mean ap of the images of all other folds, and for `all` that of every image.

    Each time at the thresholds that `choose` finds on these very images, so that no truth of fold k has a say in its
    figure. It flatters, though whatever is compared by it alike. See `collect` for the arguments.

    Raises:
        DataError: the thresholds are given: what they are right for is already settled.
    """
    if settings.fixed is not None:
        raise DataError("Weights are chosen together with thresholds; give no `fixed` ones, or one weight a member.")
    images, tallies, _ = collect(settings, images, truth, rooms, threads, batches)
    kinds = images["cell_type"].fillna("")
    chosen = choose(settings, images.assign(cell_type=kinds), tallies, sorted(set(kinds)))
    result = {}
    for fold, rows in chosen.groupby("fold", sort=False):
        others = kinds[images["fold"] != fold]
        counts = (kinds if others.empty else others).value_counts()
        result[fold] = float(np.average(rows["ap"], weights=counts.reindex(rows["cell_type"], fill_value=0)))
    return result


def write(chosen: pd.DataFrame, path: str | Path) -> None:
    """Write what `choose` returned as YAML: by fold, and under `all`, each cell type's thresholds."""
    content: dict[str, Any] = {"folds": {}, "all": {}}
    for row in chosen.to_dict("records"):
        part = content["all"] if row["fold"] == "all" else content["folds"].setdefault(row["fold"], {})
        part[row["cell_type"]] = {key: row[key] for key in Fixed.model_fields}
    with replacing(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
        temporary.write_text(_HEADER + text, encoding="utf-8")


def _steps(settings: Settings) -> np.ndarray:
    return np.array(sorted(set(settings.score)))


def _allowed(settings: Settings, cell_type: str, point: Point) -> bool:
    return point.min_area in settings.min_area.get(cell_type, (point.min_area,))


def _best(ap: np.ndarray) -> tuple[int, int]:
    """Return the point and the step to choose from mean ap, shape (points, steps)."""
    point = int(np.argmax(ap.max(axis=1) >= ap.max() - TOLERANCE))
    peak = int(np.argmax(ap[point]))
    below = np.flatnonzero(ap[point] < ap[point, peak] - TOLERANCE)
    first = below[below < peak].max(initial=-1) + 1
    last = below[below > peak].min(initial=ap.shape[1]) - 1
    return point, int(first + last) // 2


def _given(fixed: dict[str, Fixed], folds: list[int | str], types: Sequence[str]) -> pd.DataFrame:
    missing = [cell_type for cell_type in types if cell_type not in fixed]
    if missing:
        raise DataError(
            *(f"The fixed thresholds leave out {cell_type}, which occurs; add it." for cell_type in missing)
        )
    rows = [
        {"fold": fold, "cell_type": cell_type, **dict(thresholds), "images": 0, "ap": np.nan}
        for fold in folds
        for cell_type, thresholds in fixed.items()
    ]
    return pd.DataFrame(rows)
