"""The weights that an ensemble's members get: one set for each fold, chosen on the others, and one from all folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroseg.fusion.members import Member, stream, weigh
from neuroseg.fusion.recipe import Recipe, Weight, combinations
from neuroseg.tables import NEVER_TRAINED, DataError, replacing

Chosen = dict[int, dict[str, float]]
"""Each member's weight by fold; those from all folds stand under -1, for what was never trained on."""

_HEADER = """\
# What each member of the ensemble weighs: as the recipe says or, of several candidates, as chosen on held-out images.
# folds: k were chosen on the images of the other folds; all: on every held-out image, for images no fold trains on.
"""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folds: dict[Annotated[int, Field(ge=0)], dict[str, Weight]] = {}
    all: dict[str, Weight]


def choose(
    recipe: Recipe,
    members: Sequence[Member],
    images: Sequence[str],
    judge: Callable[[Iterable[pd.DataFrame]], Mapping[int | str, float]],
    tolerance: float,
) -> tuple[Chosen, pd.DataFrame]:
    """Fuse the held-out images by every combination of weights; take for each fold the best for the other folds.

    Args:
        recipe: Its lists of candidates, and how to fuse.
        members: As `gather` found them.
        images: The held-out images.
        judge: Takes the fused images, some at a time, and returns for each fold how good those of the other folds are,
            and for `all` how good all are.
        tolerance: Of combinations that come this near to the best, the first is taken.

    Returns:
        The weights chosen; and what was tried, to be printed: a row a combination, each member's weight, then for each
        fold and `all` what `judge` said, with a star at the one chosen.
    """
    tried = combinations(recipe)
    scores = pd.DataFrame([judge(stream(weigh(members, own), images, recipe.fusion, _said(own))) for own in tried])
    best = (scores >= scores.max() - tolerance).idxmax()
    starred = {
        f"ap for {'all' if fold == 'all' else f'fold {fold}'}": [
            f"{value:.4f}{'*' if row == best[fold] else ' '}" for row, value in scores[fold].items()
        ]
        for fold in scores
    }
    chosen = {NEVER_TRAINED if fold == "all" else int(fold): tried[row] for fold, row in best.items()}
    return chosen, pd.DataFrame(tried).assign(**starred)


def only(recipe: Recipe) -> Chosen:
    """Return the weights of a recipe that leaves no choice.

    Raises:
        DataError: it does.
    """
    first, *others = combinations(recipe)
    if others:
        raise DataError(
            "The recipe lists weights to choose from, which takes truth; give images, instances and folds, or one "
            "weight a member, or the weights chosen on another data set."
        )
    return {NEVER_TRAINED: first}


def deal(
    members: Sequence[Member], images: Sequence[str], folds: pd.DataFrame, chosen: Chosen
) -> list[tuple[list[str], list[Member]]]:
    """Return the images in parts, in their order within a part, each with the members as they are weighed for it.

    Args:
        members: As `gather` found them.
        images: What is to be fused.
        folds: The folds table; not looked at where nothing was chosen.
        chosen: The weights of each fold.

    Raises:
        DataError: an image is in no fold, or its fold has no weights.
    """
    if list(chosen) == [NEVER_TRAINED]:
        return [(list(images), weigh(members, chosen[NEVER_TRAINED]))]
    fold_of = dict(zip(folds["image_id"], folds["fold"], strict=True))
    parts: dict[tuple, list[str]] = {}
    for image in images:
        if image not in fold_of:
            raise DataError(f"image {image} is not in the folds table; run the stage split on these images.")
        if fold_of[image] not in chosen:
            known = ", ".join(map(str, chosen))
            raise DataError(f"image {image} is of fold {fold_of[image]}, weights are for {known}; choose them again.")
        parts.setdefault(tuple(chosen[fold_of[image]].items()), []).append(image)
    return [(part, weigh(members, dict(weights))) for weights, part in parts.items()]


def read_weights(path: str | Path, recipe: Recipe) -> Chosen:
    """Read the weights that were chosen for a recipe, on another data set.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    try:
        file = _File.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path}: these weights cannot be read ({reason}); run the stage ensemble again.") from error
    except ValidationError as error:
        raise DataError(
            *(f"{path}: {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}." for fault in error.errors())
        ) from error
    chosen, offered = {**file.folds, NEVER_TRAINED: file.all}, combinations(recipe)
    for fold, weights in chosen.items():
        if weights not in offered:
            place = "all" if fold == NEVER_TRAINED else f"folds.{fold}"
            raise DataError(f"{path}: {place}: the recipe offers no such weights; choose them again by it.")
    return chosen


def write_weights(chosen: Chosen, path: str | Path) -> None:
    """Write weights as YAML: by fold, where they were chosen, and under `all`, a line a member."""
    content: dict[str, Any] = {fold: weights for fold, weights in chosen.items() if fold != NEVER_TRAINED}
    content = ({"folds": content} if content else {}) | {"all": chosen[NEVER_TRAINED]}
    with replacing(path) as temporary:
        temporary.write_text(_HEADER + yaml.dump(content, Dumper=_Plain, sort_keys=False), encoding="utf-8")


class _Plain(yaml.SafeDumper):
    """Writes weights out where folds share them, instead of referring to those of the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _said(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
