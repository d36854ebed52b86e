"""Which anchors become proposals, for the CPU.

MMDetection sorts the scores of all anchors, 290,000 in an image of the competition, to take the best
thousand, and compares every box with every other. Here what is not among the best is never sorted, boxes are
compared with those that are kept alone, where maps are apart with those of their own, and nothing is compared
once there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numba import njit

from neuroseg.detector.heads import DenseProposalHead
from neuroseg.detector.openmmlab import InstanceData, RPNHead, TwoStageDetector


class _Proposing:
    """The last step of a head of one class, bit for bit MMDetection's, of equal scores the first.

    Attributes:
        by_level: Whether a box hides boxes of its own map only.
    """

    by_level: ClassVar[bool]

    def _predict_by_feat_single(
        self: Any,
        cls_score_list: Sequence[torch.Tensor],
        bbox_pred_list: Sequence[torch.Tensor],
        score_factor_list: Sequence[torch.Tensor | None],
        mlvl_priors: Sequence[torch.Tensor],
        img_meta: dict,
        cfg: Any = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> InstanceData:
        """Return the proposals of one image by descending score: MMDetection's own step, under its name."""
        limits = self.test_cfg if cfg is None else cfg
        maps = (cls_score_list, bbox_pred_list, score_factor_list, mlvl_priors)
        if rescale or not with_nms or not _plain(limits):
            return super()._predict_by_feat_single(  # type: ignore[misc]  # of the head it is mixed into
                *maps, img_meta, cfg, rescale, with_nms
            )
        least = -1.0 if self.by_level else limits.get("score_thr", 0)
        parts, deltas, anchors = [], [], []
        for score, delta, factor, anchor in zip(*maps, strict=True):
            score = score.permute(1, 2, 0).reshape(-1).sigmoid()
            best = _best(score, limits.nms_pre)
            best = best[score[best] > least]
            parts.append(score[best])
            if factor is not None:
                parts[-1] = parts[-1] * factor.permute(1, 2, 0).reshape(-1).sigmoid()[best]
            deltas.append(delta.permute(1, 2, 0).reshape(-1, 4)[best])
            anchors.append(anchor[best])
        levels = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(each) for each in parts]))
        boxes = self.bbox_coder.decode(torch.cat(anchors), torch.cat(deltas), max_shape=img_meta["img_shape"])
        scores = torch.cat(parts)
        if limits.get("min_bbox_size", -1) >= 0:
            large = (boxes[:, 2:] - boxes[:, :2] > limits.min_bbox_size).all(1)
            boxes, scores, levels = boxes[large], scores[large], levels[large]
        if not self.by_level:
            levels = torch.zeros_like(levels)
        order = scores.sort(descending=True, stable=True).indices
        kept = order[
            _suppress(*_apart(boxes[order], levels[order]), limits.nms.iou_threshold, limits.max_per_img)
        ]
        return InstanceData(bboxes=boxes[kept], scores=scores[kept], labels=torch.zeros_like(kept))


class CpuRPNHead(_Proposing, RPNHead):
    """Proposes what MMDetection's head of sampled anchors does; made by `replace`."""

    by_level = True


class CpuDenseProposalHead(_Proposing, DenseProposalHead):
    """Proposes what the head that learns from every anchor does; made by `replace`."""

    by_level = False


def replace(model: TwoStageDetector) -> None:
    """Put it in the place of the head of proposals, if that is of a kind known here."""
    head = model.rpn_head
    kind = {RPNHead: CpuRPNHead, DenseProposalHead: CpuDenseProposalHead}.get(type(head))
    if kind and head.use_sigmoid_cls and head.cls_out_channels == 1 and head.bbox_coder.encode_size == 4:
        head.__class__ = kind


def _plain(limits: Any) -> bool:
    return limits.nms_pre > 0 and set(limits.nms) == {"type", "iou_threshold"} and limits.nms.type == "nms"


def _best(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Return the places of the best scores in descending order, of equal ones the first."""
    if len(scores) <= count:
        return torch.arange(len(scores))
    worst = np.partition(scores.detach().numpy(), len(scores) - count)[len(scores) - count]
    among = (scores >= worst).nonzero().squeeze(1)
    return among[scores[among].sort(descending=True, stable=True).indices[:count]]


def _apart(boxes: torch.Tensor, levels: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (n, 4) and maps, boxes moved as by MMDetection: what that rounds is rounded here."""
    far = levels.to(boxes) * (boxes.max() + 1) if len(boxes) else levels.to(boxes)
    return (boxes + far[:, None]).detach().numpy(), levels.numpy()


@njit(cache=True, nogil=True)
def _suppress(boxes: np.ndarray, levels: np.ndarray, threshold: float, limit: int) -> np.ndarray:
    """Return places of boxes (n, 4), in order, that overlap none before of their level: `limit` at most."""
    least, zero = np.float32(threshold), np.float32(0)
    height = levels.max() + 1 if len(levels) else 0
    sides, counts = np.empty((height, 5, limit), np.float32), np.zeros(height, np.int64)
    kept = np.empty(min(limit, len(boxes)), np.int64)
    found = 0
    for i in range(len(boxes)):
        if found == limit:
            break
        x1, y1, x2, y2 = boxes[i]
        area, count = (x2 - x1) * (y2 - y1), counts[levels[i]]
        lefts, tops, rights, bottoms, areas = sides[levels[i]]
        hidden = False
        for k in range(count):
            width = max(min(x2, rights[k]) - max(x1, lefts[k]), zero)
            tall = max(min(y2, bottoms[k]) - max(y1, tops[k]), zero)
            shared = width * tall
            hidden |= shared / (areas[k] + area - shared) > least
        if not hidden:
            lefts[count], tops[count], rights[count], bottoms[count], areas[count] = x1, y1, x2, y2, area
            counts[levels[i]] += 1
            kept[found] = i
            found += 1
    return kept[:found]
