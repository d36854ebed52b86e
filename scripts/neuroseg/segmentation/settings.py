"""The thresholds of each cell type, as `tune` writes them: one set for each fold, and one from all folds."""

from __future__ import annotations

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
