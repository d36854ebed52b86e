"""What an ensemble file may say: who takes part with what weight, and how their detections are fused."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from neuroseg import settings
from neuroseg.fusion.options import Fusion
from neuroseg.settings import Number

COMBINATIONS = 64
"""Combinations of weights tried at most: each costs as much as fusing and tuning without a choice."""

Weight = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Weights = Annotated[
    Annotated[Weight, Tag("one weight")]
    | Annotated[tuple[Weight, ...], Field(min_length=1), Tag("candidates")],
    Discriminator(lambda given: "candidates" if isinstance(given, (list, tuple)) else "one weight"),
]


class Recipe(BaseModel):
    """An ensemble file: who takes part, how detections are fused. `tuning` reads its section `thresholds`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Annotated[dict[str, Weights], Field(min_length=1)]
    """Weight of each model or, where nested, of each ensemble; a list is of weights to choose from."""
    fusion: Fusion = Fusion()
    thresholds: dict[str, Any] = {}

    @field_validator("members")
    @classmethod
    def _few(cls, value: dict[str, Weights]) -> dict[str, Weights]:
        number = prod(map(len, _candidates(value)))
        if number > COMBINATIONS:
            raise ValueError(
                f"{number} combinations of weights are too many, at most {COMBINATIONS} are tried"
            )
        return value


def combinations(recipe: Recipe) -> list[dict[str, float]]:
    """Return every choice of one weight a member, in the lists' order, the last member's changing first."""
    return [
        dict(zip(recipe.members, chosen, strict=True)) for chosen in product(*_candidates(recipe.members))
    ]


def _candidates(members: dict[str, Weights]) -> list[tuple[float, ...]]:
    return [weight if isinstance(weight, tuple) else (weight,) for weight in members.values()]


def read_recipe(path: str | Path) -> Recipe:
    """Read and check an ensemble file.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    return settings.read(path, Recipe, "this ensemble file", "mend or restore it")
