"""The weights of an ensemble's members: a set for each fold, chosen on the others, and one from all folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from neuroseg import settings
from neuroseg.errors import DataError
from neuroseg.files import replacing, sealed
from neuroseg.fusion.members import Member, weigh
from neuroseg.fusion.recipe import Recipe, Weight, combinations
from neuroseg.settings import Whole
from neuroseg.tables import NEVER_TRAINED

Chosen = dict[int, dict[str, float]]
"""Each member's weight by fold; those from all folds stand under -1, for what was never trained on."""

_HEADER = """\
# What each member of the ensemble weighs: as the recipe says or, of several candidates, as chosen on held-out
# images. folds: k were chosen on the images of the other folds; all: on every held-out image, for images that
# no fold trains on.
"""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folds: dict[Annotated[Whole, Field(ge=0)], dict[str, Weight]] = {}
    all: dict[str, Weight]


def only(recipe: Recipe) -> Chosen:
    """Return the weights of a recipe that leaves no choice.

    Raises:
        DataError: it does.
    """
    first, *others = combinations(recipe)
    if others:
        raise DataError(
            "The recipe lists weights to choose from, which takes truth; give images, instances "
            "and folds, or one weight a member, or the weights chosen on another data set."
        )
    return {NEVER_TRAINED: first}


def partition(
    members: Sequence[Member], images: Sequence[str], folds: pd.DataFrame, chosen: Chosen
) -> list[tuple[list[str], list[Member]]]:
    """Return the images in parts, in their order within a part, each with the members as weighed for it.

    Args:
        members: As `gather` found them.
        images: What is to be fused.
        folds: The folds table; not read where nothing was chosen.
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
            raise DataError(
                f"image {image} is of fold {fold_of[image]}, weights are for {known}; choose them again."
            )
        parts.setdefault(tuple(chosen[fold_of[image]].items()), []).append(image)
    return [(part, weigh(members, dict(weights))) for weights, part in parts.items()]


def read_weights(path: str | Path, recipe: Recipe) -> Chosen:
    """Read the weights that were chosen for a recipe, on another data set.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    file = settings.read(path, _File, "these weights", "run the stage ensemble again")
    chosen, offered = {**file.folds, NEVER_TRAINED: file.all}, combinations(recipe)
    for fold, weights in chosen.items():
        if weights not in offered:
            place = "all" if fold == NEVER_TRAINED else f"folds.{fold}"
            raise DataError(f"{path}: {place}: the recipe offers no such weights; choose them again by it.")
    return chosen


def write_weights(chosen: Chosen, path: str | Path) -> None:
    """Write weights as YAML: by fold, where they were chosen, and under `all`, a line a member."""
    folds = {fold: weights for fold, weights in chosen.items() if fold != NEVER_TRAINED}
    content = ({"folds": folds} if folds else {}) | {"all": chosen[NEVER_TRAINED]}
    with replacing(path) as temporary:
        text = yaml.dump(content, Dumper=_Plain, sort_keys=False)
        temporary.write_text(sealed(_HEADER + text), encoding="utf-8")


class _Plain(yaml.SafeDumper):
    """Writes weights out where folds share them, instead of referring to those of the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
