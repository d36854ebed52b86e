"""How many proposals and detections an image may have: the settings' numbers for each field of view in it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from neuroseg.detector.openmmlab import InstanceData
from neuroseg.tables import FIELD, at_most

LIKELY, SURE = 0.1, 0.5
"""Probabilities with which the network's first head sees a cell: places from the first on are worth a second
look, which is why caps grow; places from the second on that are left out all the same are told of."""


class Kept(NamedTuple):
    """How much of what a detector sees in a view of an image is kept.

    Attributes:
        detections: the best are kept, in images larger than a field so many for each field.
        min_score: detections below are left out.
        proposals: regions of each field that the first head passes on, and most of one of its maps, at least
            as many as `detections`; None for as many as the model file says.
    """

    detections: int
    min_score: float
    proposals: int | None = None

    def limit(self, test_cfg: Any) -> None:
        """Write it into the `test_cfg` of a detector."""
        test_cfg.rcnn.score_thr, test_cfg.rcnn.max_per_img = self.min_score, self.detections
        if self.proposals is not None:
            test_cfg.rpn.nms_pre = test_cfg.rpn.max_per_img = max(self.proposals, self.detections)
        test_cfg.rpn.max_per_img = max(test_cfg.rpn.max_per_img, self.detections)


def raised(kept: Kept) -> list[str]:
    """Say that there are more proposals than the settings say, nothing where there are so many."""
    if kept.proposals is None or kept.proposals >= kept.detections:
        return []
    taken = f"{kept.detections} regions of each field are looked at"
    return [f"predict: proposals: {kept.proposals} is below max_detections; {taken}"]


def fields(height: int, width: int) -> float:
    """Return how many fields of view an image is as large as, at least 1."""
    return max(1.0, height * width / FIELD)


def grown(cap: int, number: float) -> int:
    """Return a cap for so many fields of view."""
    return math.ceil(cap * number)


def propose(
    head: Any, features: Sequence[torch.Tensor], samples: Sequence, number: float
) -> tuple[list[InstanceData], list[bool]]:
    """Return the proposals of equally large images, and whether a cap leaves out what are cells for sure.

    The caps are those of the head's `test_cfg`. Where one of them is in the way of likely cells, and the
    image is larger than a field of view, it grows with the area.

    Args:
        head: The head that proposes.
        features: The neck's maps.
        samples: MMDetection's records of the images.
        number: Fields of view that each of the images is as large as.
    """
    maps, metas, limits = head(features), [sample.metainfo for sample in samples], head.test_cfg
    proposals = head.predict_by_feat(*maps, batch_img_metas=metas, cfg=limits, rescale=False)
    alone = [
        [[level[place : place + 1] for level in levels] for levels in maps] for place in range(len(metas))
    ]
    limited = [limits] * len(metas)
    if number > 1:
        grown_limits = copy.deepcopy(limits)
        grown_limits.nms_pre, grown_limits.max_per_img = (
            grown(cap, number) for cap in (limits.nms_pre, limits.max_per_img)
        )
        for place, own in enumerate(alone):
            if _binds(head, own[0], limits, proposals[place], LIKELY):
                (proposals[place],) = head.predict_by_feat(
                    *own, batch_img_metas=[metas[place]], cfg=grown_limits, rescale=False
                )
                limited[place] = grown_limits
    seen = zip(alone, limited, proposals, strict=True)
    return proposals, [_binds(head, own[0], cap, found, SURE) for own, cap, found in seen]


def of_detections(left_out: Mapping[str, float], number: int) -> list[str]:
    """Say of which images a cap has left out detections; nothing if of none.

    Args:
        left_out: The images in which it has, each with the most that one of them scores.
        number: Of images in all.
    """
    if not left_out:
        return []
    cure = "where thresholds are lower, raise predict: max_detections"
    weakest = at_most(max(left_out.values()))
    return [f"{_too_many('detections', list(left_out), number)}; {weakest}: {cure}"]


def of_proposals(unseen: Sequence[str], number: int) -> list[str]:
    """Say in which of so many images a cap has left out what are cells for sure; nothing if in none."""
    cure = "where cells are missed, raise predict: proposals"
    return [f"{_too_many('proposals', unseen, number)}; {cure}"] if unseen else []


def _too_many(kind: str, images: Sequence[str], number: int) -> str:
    return (
        f"in {len(images)} of {number} images (first: {images[0]}) there were more {kind} than are kept "
        f"of each field of view ({FIELD:,} pixels)"
    )


def _binds(
    head: Any, scores: Sequence[torch.Tensor], limits: Any, proposals: InstanceData, probability: float
) -> bool:
    """Tell whether a cap of the head is in the way of places in one image that are so probably cells."""
    if len(proposals) >= limits.max_per_img and float(proposals.scores[-1]) >= probability:
        return True
    if not head.use_sigmoid_cls or limits.nms_pre <= 0:
        return False
    threshold = math.log(probability / (1 - probability))
    return any(int((level > threshold).sum()) > limits.nms_pre for level in scores)
