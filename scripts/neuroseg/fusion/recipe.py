"""What an ensemble file may say: who takes part with what weight, and how their finds are fused."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator

from neuroseg.fusion.methods import CONFIDENCES, METHODS
from neuroseg.tables import DataError

COMBINATIONS = 64
"""So many combinations of weights are tried at most: each costs as much as fusing and tuning without a choice."""

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pixels = Annotated[float, Field(ge=-2, le=2)]
Weights = Annotated[
    Annotated[Weight, Tag("one weight")] | Annotated[tuple[Weight, ...], Field(min_length=1), Tag("candidates")],
    Discriminator(lambda given: "candidates" if isinstance(given, (list, tuple)) else "one weight"),
]
_TAGS = ("one weight", "candidates")


class Fusion(BaseModel):
    """The section `fusion` of an ensemble file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = "wbf"
    iou: Annotated[float, Field(gt=0, le=1)] = 0.55
    """Boxes of one type that overlap by more than this show the same cell."""
    min_score: Annotated[float, Field(ge=0)] = 0.0
    """Detections below this score, before any weighting, take no part."""
    confidence: str = "avg"
    """How wbf scores a cluster: a key of CONFIDENCES."""
    decay: Literal["linear", "gaussian"] = "gaussian"
    """How soft_nms lowers the score of a box that overlaps a better one."""
    sigma: Annotated[float, Field(gt=0)] = 0.5
    """Width of the gaussian decay."""
    floor: Annotated[float, Field(ge=0)] = 0.001
    """What soft_nms has lowered to this or less is dropped."""
    views: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Which test-time views take part, by their names, such as hflip_x1.5; all of them where this is not given."""
    one_type: bool = False
    """Whether an image's detections vote on the one type that all its cells are of, so that views which disagree on a
    cell's type fuse it all the same. Right for cultures of one type, as in the competition."""
    cross_type_iou: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of fused boxes of different types that overlap by more than this, the best scored stays."""
    offset: tuple[Pixels, Pixels] = (0.0, 0.0)
    """How far to the right and down of where they are found the annotators draw cells, in pixels. What has learnt from
    mirrored images cannot know it."""
    max_detections: Annotated[int, Field(ge=1)] = 1000
    """Fused detections an image keeps, the best scored."""

    @field_validator("method", "confidence")
    @classmethod
    def _known(cls, value: str, info: Any) -> str:
        known = {"method": METHODS, "confidence": CONFIDENCES}[info.field_name]
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return value


class Recipe(BaseModel):
    """An ensemble file: who takes part, and how their finds are fused. `thresholds` is read by another room."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Annotated[dict[str, Weights], Field(min_length=1)]
    """Weight of each model, or of each ensemble when ensembles are nested; a list is of weights to choose from."""
    fusion: Fusion = Fusion()
    thresholds: dict[str, Any] = {}

    @field_validator("members")
    @classmethod
    def _few(cls, value: dict[str, Weights]) -> dict[str, Weights]:
        number = prod(map(len, _candidates(value)))
        if number > COMBINATIONS:
            raise ValueError(f"{number} combinations of weights are too many, at most {COMBINATIONS} are tried")
        return value


def combinations(recipe: Recipe) -> list[dict[str, float]]:
    """Return every choice of one weight a member, in the order of the lists, the last member's changing first."""
    return [dict(zip(recipe.members, chosen, strict=True)) for chosen in product(*_candidates(recipe.members))]


def _candidates(members: dict[str, Weights]) -> list[tuple[float, ...]]:
    return [weight if isinstance(weight, tuple) else (weight,) for weight in members.values()]


def read_recipe(path: str | Path) -> Recipe:
    """Read and check an ensemble file.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path}: this ensemble file cannot be read ({reason}); mend or restore it.") from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise DataError(*(f"{path}: {_place(fault['loc'])}: {fault['msg']}." for fault in error.errors())) from error


def _place(keys: tuple[int | str, ...]) -> str:
    """Name the key that a complaint is about; pydantic adds which kind of weight it took it for."""
    return ".".join(str(key) for key in keys if key not in _TAGS) or "the file"
