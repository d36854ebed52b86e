"""Choosing thresholds: tally the gains of what was cut, and take what is best on other folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import cell_types, metrics, segmentation
from neuroseg.errors import DataError
from neuroseg.segmentation import Thresholds
from neuroseg.tables import NEVER_TRAINED, positions
from neuroseg.threads import in_order
from neuroseg.tuning import voting
from neuroseg.tuning.settings import Settings

TOLERANCE = 0.0005
"""Mean ap not worth a rarer setting or an edge: changing an ensemble's member moves the score by 0.002."""


class Point(NamedTuple):
    """One setting of all but the score threshold, as `segmentation` takes them."""

    mask: float
    min_area: int
    rescore: bool


def grid(settings: Settings) -> list[Point]:
    """Return the points to try, plainest first: not rescored, masks cut near one half, small cells kept."""
    if settings.fixed is not None:
        return []
    areas = {area for some in settings.min_area.values() for area in some}
    points = {Point(*point) for point in product(settings.mask, areas, settings.rescore)}
    return sorted(
        points, key=lambda point: (point.rescore, abs(point.mask - 0.5), point.min_area, point.mask)
    )


class Collected(NamedTuple):
    """What choosing needs of the held-out images once their detections are cut at every point."""

    images: pd.DataFrame  # with ap, the score without predictions, and cell_type, null where unknown
    tallies: list[pd.DataFrame]  # see `tally`
    types: list[str]  # that occur
    ballots: pd.DataFrame | None = None  # by image_id and type; None: cell_type is what the images vote for


def collect(
    settings: Settings,
    images: pd.DataFrame,
    truth: pd.DataFrame,
    threads: int,
    batches: Iterable[pd.DataFrame],
) -> Collected:
    """Cut held-out images' detections at every point and tally what that is worth, a few images at a time.

    Args:
        settings: What is tried.
        images: The held-out images, as `folds.scored` returns them.
        truth: The true instances.
        threads: How many batches are in work side by side.
        batches: Detections of some images each.
    """
    points = grid(settings)

    def work(found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        true = truth[truth["image_id"].isin(found["image_id"])]
        gains = metrics.gains(segmentation.sweep(found, images, points), true, images)
        return cell_types.ballots(found), tally(settings, images, gains)

    cast, tallies = [], []
    for ballots, tallied in in_order(work, batches, threads):
        cast.append(ballots)
        tallies.append(tallied)
    ballots = pd.concat(cast).fillna(0.0).sort_index(axis=1) if cast else pd.DataFrame()
    # to find nothing is right where nothing is
    bare = (~images["image_id"].isin(truth["image_id"])).astype(np.float64)
    kinds = cell_types.filled(images, truth)
    return Collected(
        images.assign(ap=bare, cell_type=kinds),
        tallies,
        sorted({*truth["cell_type"].dropna(), *ballots}),
        ballots,
    )


def tally(settings: Settings, images: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Sum gains by image, point and score: what is left of instances once they are cut and scored.

    Args:
        settings: Which score thresholds are tried.
        images: The images.
        gains: image_id, point (the position in `grid`), score and gain of each instance, see `metrics.gains`.

    Returns:
        image (the row among `images`), point, step and gain; `step` counts the score thresholds from the
        lowest: the last reached.
    """
    reached = (
        np.searchsorted(_steps(settings).astype(np.float32), gains["score"].to_numpy(np.float32), "right") - 1
    )
    image = positions(gains["image_id"], images["image_id"]).astype(np.int32)
    table = gains[["point", "gain"]].assign(image=image, step=reached.astype(np.int16))
    table = table.astype({"point": np.int16, "gain": np.float64})[reached >= 0]
    return table.groupby(["image", "point", "step"], as_index=False)["gain"].sum()


def choose(settings: Settings, collected: Collected) -> pd.DataFrame:
    """Choose each fold's thresholds on the images of the other folds, and those of all on every image.

    First the other folds' images of known type teach what each type's ballots weigh (`voting.learn`). Then,
    among the images that vote for a type, the point is chosen whose best mean ap is highest, or the plainest
    (see `grid`) of those within TOLERANCE of it; then the middle of the scores around its best that come
    within TOLERANCE, as a peak's very tip is luck. A type for which fewer than `settings.min_images` of the
    other folds vote takes what is best for the images of all types together. Where there is one fold only, as
    in a data set with a split of its own, its own images must serve, and its score is flattered.

    Args:
        settings: What to choose from.
        collected: Of the held-out images.

    Returns:
        One row for each fold, and `all`, and type: fold, cell_type, score, mask, min_area, rescore, vote, and
        on what they were chosen: images, their number, and ap, their mean. Given thresholds are chosen on no
        image.

    Raises:
        DataError: fixed thresholds leave out a type.
    """
    images, types = collected.images, collected.types
    folds = sorted(int(fold) for fold in images["fold"].unique())
    if settings.fixed is not None:
        return _given(settings.fixed, [*folds, "all"], types)
    points, steps, tallied = grid(settings), _steps(settings), pd.concat(collected.tallies)
    rows = []
    names: list[int | str] = [*folds, "all"]
    for name in names:
        others = _others(images, name)
        kinds, weights = _voted(collected, others)
        every = pd.Index(sorted({*types, *kinds}))
        kind = every.get_indexer(kinds)
        gain: np.ndarray = np.zeros((len(every), len(points), len(steps)))
        counted = tallied[others[tallied["image"]]]
        np.add.at(gain, (kind[counted["image"]], counted["point"], counted["step"]), counted["gain"])
        gain = gain[..., ::-1].cumsum(axis=-1)[..., ::-1]  # of all instances that reach a step
        for cell_type in types:
            own = others & (kinds == cell_type)
            enough = own.sum() >= settings.min_images
            ap = (gain[every == cell_type] if enough else gain).sum(axis=0)
            own = own if enough else others
            ap = (images["ap"][own].sum() + ap) / own.sum()
            ap[[not _allowed(settings, cell_type, point) for point in points]] = -np.inf
            point, step = _best(ap)
            chosen = {
                "score": float(steps[step]),
                **points[point]._asdict(),
                "vote": weights.get(cell_type, 1.0),
            }
            chosen |= {"images": int(own.sum()), "ap": ap[point, step]}
            rows.append({"fold": name, "cell_type": cell_type, **chosen})
    return pd.DataFrame(rows)


def mean_ap(
    settings: Settings,
    images: pd.DataFrame,
    truth: pd.DataFrame,
    threads: int,
    batches: Iterable[pd.DataFrame],
) -> dict[int | str, float]:
    """Return for each fold the mean ap of the images of all other folds, and for `all` that of every image.

    Each time at the thresholds that `choose` finds on these very images, so that no truth of fold k has a say
    in its figure. It flatters, though whatever is compared by it alike. See `collect` for the arguments.

    Raises:
        DataError: the thresholds are given: what they are right for is already settled.
    """
    if settings.fixed is not None:
        raise DataError(
            "Weights are chosen together with thresholds; give no `fixed` ones, or one weight a member."
        )
    collected = collect(settings, images, truth, threads, batches)
    types = {*collected.types, *collected.images["cell_type"].fillna("")}
    collected = collected._replace(types=sorted(types))
    result = {}
    for fold, rows in choose(settings, collected).groupby("fold", sort=False):
        others = _others(images, fold)
        counts = pd.Series(_voted(collected, others)[0][others]).value_counts()
        result[fold] = float(np.average(rows["ap"], weights=counts.reindex(rows["cell_type"], fill_value=0)))
    return result


def thresholds(chosen: pd.DataFrame) -> dict[int, dict[str, Thresholds]]:
    """Return what `choose` returned as thresholds by fold and cell type, those of all folds under -1."""
    result: dict[int, dict[str, Thresholds]] = {}
    for row in chosen.to_dict("records"):
        fold = NEVER_TRAINED if row["fold"] == "all" else int(row["fold"])
        values = {key: row[key] for key in Thresholds.model_fields}
        result.setdefault(fold, {})[row["cell_type"]] = Thresholds.model_validate(values)
    return result


def _others(images: pd.DataFrame, fold: int | str) -> np.ndarray:
    """Return which images a fold's thresholds are chosen on: those of other folds, or all if none are."""
    others = (images["fold"] != fold).to_numpy()
    return others if others.any() else np.ones(len(images), bool)


def _voted(collected: Collected, taught: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return the type each image votes for, "" for none, and the types' weights, learnt from those taught."""
    images = collected.images
    told = images["cell_type"].astype(object).fillna("").to_numpy()
    if collected.ballots is None or collected.ballots.empty:
        return told, {}
    known = images.loc[taught].set_index("image_id")["cell_type"]
    cast = collected.ballots
    some = cast[cast.index.isin(known.index)]
    weights = voting.learn(some, known.reindex(some.index))
    votes = cell_types.elect(cast, weights)
    return np.array(
        [votes.get(*pair) for pair in zip(images["image_id"], told, strict=True)], object
    ), weights


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


def _given(fixed: dict[str, Thresholds], folds: list[int | str], types: Sequence[str]) -> pd.DataFrame:
    missing = [cell_type for cell_type in types if cell_type not in fixed]
    if missing:
        raise DataError(
            *(f"The fixed thresholds leave out {cell_type}, which occurs; add it." for cell_type in missing)
        )
    rows = [
        {"fold": fold, "cell_type": cell_type, **dict(given), "images": 0, "ap": np.nan}
        for fold in folds
        for cell_type, given in fixed.items()
    ]
    return pd.DataFrame(rows)
