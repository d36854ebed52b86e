"""The thresholds of each cell type, as `tune` writes them: one set for each fold, and one from all folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroseg.tables import NEVER_TRAINED, DataError


class Thresholds(BaseModel):
    """What a cell must reach to be counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Annotated[float, Field(ge=0)]
    """Lowest score, after rescoring, compared in single precision."""
    mask: Annotated[float, Field(gt=0, le=1)]
    """Lowest probability of a pixel of the cell."""
    min_area: Annotated[int, Field(ge=0)]
    """Fewest pixels, after overlaps are resolved."""
    rescore: bool
    """Whether the score is multiplied by the mean probability over the cell's pixels."""


UNTUNED = {"mask": 0.5, "min_area": 20, "rescore": False}
"""What is not chosen where there is no truth to choose it on."""


def untuned(min_score: Mapping[str, float], types: Sequence[str]) -> dict[str, Thresholds]:
    """Return each type's thresholds where only the score is chosen.

    Args:
        min_score: Lowest score by cell type; `default` for the types that it does not name.
        types: All cell types.

    Raises:
        DataError: a type is named that there is not, or one is left without a score.
    """
    for name in min_score:
        if name != "default" and name not in types:
            raise DataError(f"min_score: there is no cell type {name}; name {', '.join(types)} or default.")
    missing = [name for name in types if not min_score.keys() & {name, "default"}]
    if missing:
        raise DataError(f"min_score: {missing[0]} has none; add it, or a default.")
    return {name: Thresholds(score=min_score.get(name, min_score.get("default")), **UNTUNED) for name in types}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folds: dict[Annotated[int, Field(ge=0)], dict[str, Thresholds]]
    all: dict[str, Thresholds]


def read_thresholds(path: str | Path) -> dict[int, dict[str, Thresholds]]:
    """Return the thresholds by fold and cell type; those from all folds stand under -1, for what was never trained on.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path}: these thresholds cannot be read ({reason}); run the stage tune again.") from error
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise DataError(
            *(f"{path}: {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}." for fault in error.errors())
        ) from error
    return {**file.folds, NEVER_TRAINED: file.all}
