"""Heads for cells: MMDetection's own, where what it does with them does not suit an image of one cell type.

Weights, and what is learnt, are those of the heads that they extend.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from neuroseg.detector.openmmlab import MODELS, ATSSHead, InstanceData, Shared2FCBBoxHead, multiclass_nms


@MODELS.register_module()
class DenseProposalHead(ATSSHead):
    """ATSS, which learns from every anchor instead of from a sample of them, as the head that proposes regions.

    Source: Zhang et al., "Bridging the gap between anchor-based and anchor-free detection via adaptive training sample
    selection", 2020.
    """

    @property
    def num_anchors(self) -> int:
        """Return how many anchors a place has; MMDetection's own warns that it is to be called otherwise."""
        return self.num_base_priors


@MODELS.register_module()
class CellBBoxHead(Shared2FCBBoxHead):
    """Asks first whether there is a cell at all, and only then of which type.

    MMDetection scores each type by itself: a cell that may be astro or cort gets two boxes of half the score. Here a
    box is scored by the probability of a cell of any type, suppression across types leaves one box a cell, and the
    likeliest type names it.
    """

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
