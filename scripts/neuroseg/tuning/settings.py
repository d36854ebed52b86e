"""The section `thresholds` of an ensemble file: what thresholds are chosen from, or given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from neuroseg import settings
from neuroseg.segmentation.settings import Area, Mask, Score, Thresholds
from neuroseg.settings import Whole

_SWEPT = tuple(step / 1000 for step in range(1001))

Scores = Annotated[
    tuple[Score, ...],
    Field(min_length=1),
    BeforeValidator(lambda given: _SWEPT if given == "swept" else given),
]
Areas = Annotated[
    dict[str, Annotated[tuple[Area, ...], Field(min_length=1)]],
    Field(min_length=1),
    BeforeValidator(lambda given: given if isinstance(given, dict) else {"every": given}),
]


class Settings(BaseModel):
    """The section `thresholds` of an ensemble file: either `fixed`, or what to choose from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixed: Annotated[dict[str, Thresholds], Field(min_length=1)] | None = None
    """Thresholds of each cell type: nothing is chosen."""
    score: Scores = _SWEPT
    """`swept` tries every thousandth; a list, only what it names."""
    mask: Annotated[tuple[Mask, ...], Field(min_length=1)] = (0.4, 0.45, 0.5, 0.55)
    """Lowest probability of a pixel of the cell."""
    min_area: Areas = {"every": (20, 50, 100)}
    """Fewest pixels of a cell: one list, or one by cell type; a type without one tries all that are named."""
    rescore: Annotated[tuple[bool, ...], Field(min_length=1)] = (False, True)
    """Whether the score is multiplied by the mean probability over the cell's pixels."""
    min_images: Annotated[Whole, Field(ge=1)] = 1
    """A type for which fewer images vote takes the thresholds that are best for all types together."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Settings:
        if self.fixed is not None and self.model_fields_set != {"fixed"}:
            raise ValueError(
                "fixed thresholds leave nothing to choose; remove them, or the lists beside them"
            )
        return self


def read_settings(path: str | Path) -> Settings:
    """Read the section `thresholds` of an ensemble file; without it, all defaults.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    return settings.read(path, Settings, "this ensemble file", "mend or restore it", section="thresholds")
