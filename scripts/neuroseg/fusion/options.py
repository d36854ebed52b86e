"""How one image's detections are fused: the section `fusion` of an ensemble file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from neuroseg.settings import Number, Whole

Method = Literal["wbf", "nms"]
Confidence = Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"]
Pixels = Annotated[Number, Field(ge=-2, le=2)]


class Fusion(BaseModel):
    """The section `fusion` of an ensemble file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = "wbf"
    iou: Annotated[Number, Field(gt=0, le=1)] = 0.55
    """Boxes of one type that overlap by more than this show the same cell."""
    min_score: Annotated[Number, Field(ge=0)] = 0.0
    """Detections below this score, before any weighting, take no part."""
    confidence: Confidence = "avg"
    """How wbf scores a cluster."""
    views: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Which test-time views take part, by name, such as hflip_x1.5; all of them where not given."""
    one_type: bool = False
    """Whether an image's detections vote on the one type that all its cells are of, so that views which
    disagree on a cell's type fuse it all the same. Right for cultures of one type, as in the competition."""
    cross_type_iou: Annotated[Number, Field(gt=0, le=1)] = 0.6
    """Of fused boxes of different types that overlap by more than this, the best scored stays."""
    offset: tuple[Pixels, Pixels] = (0.0, 0.0)
    """How far to the right and down of where they are found the annotators draw cells, in pixels. What has
    learnt from mirrored images cannot know it."""
    max_detections: Annotated[Whole, Field(ge=1)] = 1000
    """Fused detections that are kept of each field of view (704 x 520 pixels), the best scored."""
