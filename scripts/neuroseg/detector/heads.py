"""A box head that asks first whether there is a cell at all, and only then of which type.

MMDetection scores each type by itself: a cell that may be astro or cort gets two boxes of half the score. Here a box is
scored by the probability of a cell of any type, one box a cell is left by suppression across types, and the likeliest
type names it. The weights, and what is learnt, are those of the head that it extends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from neuroseg.detector.openmmlab import MODELS, InstanceData, Shared2FCBBoxHead, multiclass_nms


@MODELS.register_module()
class CellBBoxHead(Shared2FCBBoxHead):
    """MMDetection's head of two shared layers, its boxes scored as cells of any type."""

    def _predict_by_feat_single(
        self,
        roi: torch.Tensor,
        cls_score: torch.Tensor,
        bbox_pred: torch.Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: Any = None,
    ) -> InstanceData:
        """Return boxes (n, 4), scores (n,) and labels (n,) of one image, best first.

        Args:
            roi: Proposals, (m, 5): the image's number in its batch, x1, y1, x2, y2.
            cls_score: Logits of each type and, last, of none, (m, types + 1).
            bbox_pred: Deltas, the same for every type, (m, 4).
            img_meta: Holds the image's shape, at which boxes end.
            rescale: Not to be asked for: boxes stay in pixels of the network's image.
            rcnn_test_cfg: score_thr, nms and max_per_img.
        """
        probability = functional.softmax(cls_score, dim=1)
        boxes = self.bbox_coder.decode(roi[:, 1:], bbox_pred, max_shape=img_meta["img_shape"])
        nothing = probability[:, -1:]
        limits = rcnn_test_cfg.score_thr, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img
        found, _, rows = multiclass_nms(boxes, torch.cat([1 - nothing, nothing], 1), *limits, return_inds=True)
        return InstanceData(bboxes=found[:, :4], scores=found[:, 4], labels=probability[rows, :-1].argmax(1))
