"""What an ensemble file may say: who takes part with what weight, and how their finds are fused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from neuroseg.fusion.methods import CONFIDENCES, METHODS
from neuroseg.tables import DataError


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
    cross_type_iou: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of fused boxes of different types that overlap by more than this, the best scored stays."""
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

    members: Annotated[dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1)]
    """Weight of each model, or of each ensemble when ensembles are nested."""
    fusion: Fusion = Fusion()
    thresholds: dict[str, Any] = {}


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
        raise DataError(
            *(f"{path}: {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}." for fault in error.errors())
        ) from error
