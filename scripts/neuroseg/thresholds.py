"""Which thresholds turn detections into the best instances: for each cell type, and chosen on other folds than its own.

The score threshold needs no grid. For one setting of the rest (a `Point`), instances are cut once; accepting them from
the highest score down, each adds its *gain* to its image's ap (`metrics.gains`). Gains summed by score are all that
choosing needs: a threshold's mean ap is a running total, for every threshold, every cell type and every choice of folds
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from neuroseg.tables import DataError, positions, replacing

TOLERANCE = 0.0005
"""Mean ap that is not worth a rarer setting or an edge: changing a member of an ensemble moves the score by 0.002."""

_SWEPT = tuple(step / 1000 for step in range(1001))

_HEADER = """\
# What a cell must reach to be counted, by cell type, as chosen on held-out images by the competition's metric.
# folds: k were chosen on the images of the other folds; all: on every held-out image, for images no fold trains on.
"""

Score = Annotated[float, Field(ge=0)]
Scores = Annotated[
    tuple[Score, ...], Field(min_length=1), BeforeValidator(lambda given: _SWEPT if given == "swept" else given)
]
Mask = Annotated[float, Field(gt=0, le=1)]
Area = Annotated[int, Field(ge=0)]
Areas = Annotated[
    dict[str, Annotated[tuple[Area, ...], Field(min_length=1)]],
    Field(min_length=1),
    BeforeValidator(lambda given: given if isinstance(given, dict) else {"every": given}),
]


class Point(NamedTuple):
    """One setting of all but the score threshold, as `segmentation` takes them."""

    mask: float
    min_area: int
    rescore: bool


class Fixed(BaseModel):
    """One cell type's thresholds, given instead of chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Score
    mask: Mask
    min_area: Area
    rescore: bool


class Settings(BaseModel):
    """The section `thresholds` of an ensemble file: either `fixed`, or what to choose from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixed: Annotated[dict[str, Fixed], Field(min_length=1)] | None = None
    """Thresholds of each cell type: nothing is chosen."""
    score: Scores = _SWEPT
    """`swept` tries every thousandth; a list, only what it names."""
    mask: Annotated[tuple[Mask, ...], Field(min_length=1)] = (0.4, 0.45, 0.5, 0.55)
    """Lowest probability of a pixel of the cell."""
    min_area: Areas = {"every": (20, 50, 100)}
    """Fewest pixels of a cell: one list, or one by cell type; a type without one tries all that are named."""
    rescore: Annotated[tuple[bool, ...], Field(min_length=1)] = (False, True)
    """Whether the score is multiplied by the mean probability over the cell's pixels."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Settings:
        if self.fixed is not None and self.model_fields_set != {"fixed"}:
            raise ValueError("fixed thresholds leave nothing to choose; remove them, or the lists beside them")
        return self


def read_settings(path: str | Path) -> Settings:
    """Read the section `thresholds` of an ensemble file; without it, all defaults. Other sections are other rooms'.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: this ensemble file cannot be read ({reason}); mend or restore it.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: this is no ensemble file; it names members, and may have a section thresholds.")
    try:
        return Settings.model_validate(content.get("thresholds") or {})
    except ValidationError as error:
        raise DataError(
            *(
                f"{path}: {'.'.join(map(str, ('thresholds', *fault['loc'])))}: {fault['msg']}."
                for fault in error.errors()
            )
        ) from error


def grid(settings: Settings) -> list[Point]:
    """Return the points to try, the plainest first: not rescored, masks cut near one half, small cells kept."""
    if settings.fixed is not None:
        return []
    areas = {area for some in settings.min_area.values() for area in some}
    points = {Point(*point) for point in product(settings.mask, areas, settings.rescore)}
    return sorted(points, key=lambda point: (point.rescore, abs(point.mask - 0.5), point.min_area, point.mask))


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
