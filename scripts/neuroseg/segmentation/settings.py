"""The thresholds of each cell type, and their file: one set for each fold, and one from all folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from neuroseg import settings
from neuroseg.files import replacing, sealed
from neuroseg.settings import Number, Whole
from neuroseg.tables import NEVER_TRAINED

Score = Annotated[Number, Field(ge=0)]
Mask = Annotated[Number, Field(gt=0, le=1)]
Area = Annotated[Whole, Field(ge=0)]

_HEADER = """\
# What a cell must reach to be counted, by cell type, as chosen on held-out images by the competition's score.
# folds: k were chosen on the images of the other folds; all: on every held-out image, for images that no fold
# trains on.
"""


class Thresholds(BaseModel):
    """What a cell must reach to be counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Score
    """Lowest score, after rescoring, compared in single precision."""
    mask: Mask
    """Lowest probability of a pixel of the cell."""
    min_area: Area
    """Fewest pixels, after overlaps are resolved."""
    rescore: bool
    """Whether the score is multiplied by the mean probability over the cell's pixels."""
    vote: Annotated[Number, Field(gt=0)] = 1.0
    """What this type's ballots weigh where an image's detections vote on its type, see `cell_types.vote`."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folds: dict[Annotated[Whole, Field(ge=0)], dict[str, Thresholds]]
    all: dict[str, Thresholds]


def read_thresholds(path: str | Path) -> dict[int, dict[str, Thresholds]]:
    """Return thresholds by fold and cell type; under -1 those from all folds, for what was never trained on.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    file = settings.read(path, _File, "these thresholds", "run the stage tune again")
    return {**file.folds, NEVER_TRAINED: file.all}


def write_thresholds(thresholds: Mapping[int, Mapping[str, Thresholds]], path: str | Path) -> None:
    """Write thresholds as YAML, as `read_thresholds` returns them: by fold, and under `all` those of -1."""
    content: dict[str, Any] = {"folds": {}, "all": {}}
    for fold, types in thresholds.items():
        part = content["all"] if fold == NEVER_TRAINED else content["folds"].setdefault(fold, {})
        part |= {cell_type: chosen.model_dump() for cell_type, chosen in types.items()}
    with replacing(path) as temporary:
        text = yaml.safe_dump(
            content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
        )
        temporary.write_text(sealed(_HEADER + text), encoding="utf-8")
