"""Which anchors become proposals, for the CPU.

MMDetection sorts the scores of all anchors, 290,000 in an image of the competition, to take the best
thousand, and compares the boxes of all maps with one another. Here what is not among the best is never
sorted, boxes are compared with those of their own map alone, and nothing is compared once there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit

from neuroseg.detector.openmmlab import InstanceData, RPNHead, TwoStageDetector


class CpuRPNHead(RPNHead):
    """Proposes what MMDetection's head does, bit for bit, of equal scores the first; made by `replace`."""

    def _predict_by_feat_single(
        self,
        cls_score_list: Sequence[torch.Tensor],
        bbox_pred_list: Sequence[torch.Tensor],
        score_factor_list: Sequence,
        mlvl_priors: Sequence[torch.Tensor],
        img_meta: dict,
        cfg: Any = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> InstanceData:
        """Return the proposals of one image by descending score: MMDetection's own step, under its name."""
        limits = self.test_cfg if cfg is None else cfg
        if rescale or not _plain(limits):
            return super()._predict_by_feat_single(
                cls_score_list,
                bbox_pred_list,
                score_factor_list,
                mlvl_priors,
                img_meta,
                cfg,
                rescale,
                with_nms,
            )
        parts, deltas, anchors = [], [], []
        for score, delta, anchor in zip(cls_score_list, bbox_pred_list, mlvl_priors, strict=True):
            score = score.permute(1, 2, 0).reshape(-1).sigmoid()
            best = _best(score, limits.nms_pre)
            parts.append(score[best])
            deltas.append(delta.permute(1, 2, 0).reshape(-1, 4)[best])
            anchors.append(anchor[best])
        levels = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(each) for each in parts]))
        boxes = self.bbox_coder.decode(torch.cat(anchors), torch.cat(deltas), max_shape=img_meta["img_shape"])
        scores = torch.cat(parts)
        if limits.get("min_bbox_size", -1) >= 0:
            large = (boxes[:, 2:] - boxes[:, :2] > limits.min_bbox_size).all(1)
            boxes, scores, levels = boxes[large], scores[large], levels[large]
        order = scores.sort(descending=True, stable=True).indices
        kept = order[
            _suppress(*_apart(boxes[order], levels[order]), limits.nms.iou_threshold, limits.max_per_img)
        ]
        return InstanceData(bboxes=boxes[kept], scores=scores[kept], labels=torch.zeros_like(kept))


def replace(model: TwoStageDetector) -> None:
    """Put it in the place of the head of proposals, if that is of MMDetection's plain kind."""
    head = model.rpn_head
    if type(head) is RPNHead and head.use_sigmoid_cls and head.bbox_coder.encode_size == 4:
        head.__class__ = CpuRPNHead


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
