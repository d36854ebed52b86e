"""Heads for cells: MMDetection's own, where what it does with them does not suit an image of one cell type.

Weights, and what is learnt, are those of the heads that they extend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import (
    MODELS,
    ATSSHead,
    CascadeRoIHead,
    FCNMaskHead,
    InstanceData,
    Shared2FCBBoxHead,
    bbox2roi,
    multiclass_nms,
    require_version,
)

_DENSE: dict[str, Any] = {
    "num_classes": 1,
    "anchor_generator": {
        "type": "AnchorGenerator",
        "ratios": [1.0],
        "octave_base_scale": 4,
        "scales_per_octave": 1,
        "strides": [2, 4, 8, 16, 32],
    },
    "bbox_coder": {
        "type": "DeltaXYWHBBoxCoder",
        "target_means": [0.0, 0.0, 0.0, 0.0],
        "target_stds": [0.1, 0.1, 0.2, 0.2],
    },
    "loss_cls": {
        "type": "FocalLoss",
        "use_sigmoid": True,
        "gamma": 2.0,
        "alpha": 0.25,
        "loss_weight": 1.0,
    },
    "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
    "loss_centerness": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
}


@MODELS.register_module()
class DenseProposalHead(ATSSHead):
    """ATSS, which learns from every anchor instead of a sample of them, as the head that proposes regions.

    Source: Zhang et al., "Bridging the gap between anchor-based and anchor-free detection via adaptive
    training sample selection", 2020.

    Args:
        settings: Those of `ATSSHead`. Anchors, box coder and losses are the source's, on maps from every
            second pixel on, where they do not say otherwise.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**(_DENSE | settings))

    @property
    def num_anchors(self) -> int:
        """Return how many anchors a place has; MMDetection's own warns that it is to be called otherwise."""
        return self.num_base_priors


@MODELS.register_module()
class CellBBoxHead(Shared2FCBBoxHead):
    """Asks first whether there is a cell at all, and only then of which type.

    MMDetection scores each type by itself: a cell that may be astro or cort gets two boxes of half the score.
    Here a box is scored by the probability of a cell of any type, suppression across types leaves one box a
    cell, and the likeliest type names it.
    """

    def __init__(self, **settings: Any) -> None:
        require_version("CellBBoxHead replaces a private method")
        super().__init__(**settings)

    def _predict_by_feat_single(
        self,
        roi: torch.Tensor,
        cls_score: torch.Tensor,
        bbox_pred: torch.Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: Any = None,
        proposal_score: torch.Tensor | None = None,
    ) -> InstanceData:
        """Return boxes (n, 4), scores (n,) and labels (n,) of one image, best first.

        Args:
            roi: Proposals, (m, 5): the image's number in its batch, x1, y1, x2, y2.
            cls_score: Logits of each type and, last, of none, (m, types + 1).
            bbox_pred: Deltas, the same for every type, (m, 4).
            img_meta: Holds the image's shape, at which boxes end.
            rescale: Not to be asked for: boxes stay in pixels of the network's image.
            rcnn_test_cfg: score_thr, nms and max_per_img.
            proposal_score: Of the proposals, (m,); a box's score is then the geometric mean of its own and
                this one.
        """
        probability = functional.softmax(cls_score, dim=1)
        boxes = self.bbox_coder.decode(roi[:, 1:], bbox_pred, max_shape=img_meta["img_shape"])
        cell = 1 - probability[:, -1:]
        if proposal_score is not None:
            cell = (cell * proposal_score[:, None]).sqrt()
        limits = rcnn_test_cfg.score_thr, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img
        found, _, rows = multiclass_nms(boxes, torch.cat([cell, 1 - cell], 1), *limits, return_inds=True)
        return InstanceData(bboxes=found[:, :4], scores=found[:, 4], labels=probability[rows, :-1].argmax(1))


@MODELS.register_module()
class CellRoIHead(CascadeRoIHead):
    """A cascade whose boxes remember how sure the proposal was: the score is the geometric mean of both.

    The proposals' head sees the whole image, the boxes' head one region: where they disagree, one of them
    errs. The last box head must be a CellBBoxHead; training is that of the cascade.
    """

    def predict_bbox(
        self,
        x: Sequence[torch.Tensor],
        batch_img_metas: Sequence[dict],
        rpn_results_list: Sequence[InstanceData],
        rcnn_test_cfg: Any,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Return what is found in each image of a batch; see `CellBBoxHead`.

        Args:
            x: Maps of the neck.
            batch_img_metas: One by image.
            rpn_results_list: Proposals of each image: bboxes and scores.
            rcnn_test_cfg: score_thr, nms and max_per_img.
            rescale: Not to be asked for.
        """
        proposals, count = [each.bboxes for each in rpn_results_list], len(rpn_results_list)
        if not sum(map(len, proposals)):
            return super().predict_bbox(x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale)
        refined = self._refine_roi(x, bbox2roi(proposals), batch_img_metas, tuple(map(len, proposals)))
        settings = [rescale] * count, [rcnn_test_cfg] * count, [each.scores for each in rpn_results_list]
        return list(map(self.bbox_head[-1]._predict_by_feat_single, *refined, batch_img_metas, *settings))


@MODELS.register_module()
class CellMaskHead(FCNMaskHead):
    """Is taught by masks sampled on the proposals' device; MMDetection's go by way of the CPU."""

    def get_targets(
        self, sampling_results: Sequence[Any], batch_gt_instances: Sequence[InstanceData], rcnn_train_cfg: Any
    ) -> torch.Tensor:
        """Return the truth over each positive proposal of a batch, float32 (n, height, width).

        Args:
            sampling_results: Of each image, its positive proposals and which cell each is of.
            batch_gt_instances: Of each image, its cells; `masks` holds their masks.
            rcnn_train_cfg: mask_size, and soft_mask_target where probabilities are learnt.
        """
        if not all(isinstance(truth.masks, CellMasks) for truth in batch_gt_instances):
            return super().get_targets(sampling_results, batch_gt_instances, rcnn_train_cfg)
        size, targets = rcnn_train_cfg.mask_size, []
        for sampled, truth in zip(sampling_results, batch_gt_instances, strict=True):
            frame = sampled.pos_priors.new_tensor([truth.masks.width, truth.masks.height] * 2)
            boxes = torch.minimum(sampled.pos_priors.clamp(min=0), frame)
            shape = (size, size) if isinstance(size, int) else tuple(size)
            targets.append(truth.masks.sample(boxes, sampled.pos_assigned_gt_inds, shape))
        sampled = torch.cat(targets)
        return sampled if rcnn_train_cfg.get("soft_mask_target", False) else (sampled >= 0.5).float()


def own_logits(mask_head: FCNMaskHead, features: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Return what a mask head says of each region's type, (n, height, width) in 32 bits; not to learn from.

    Args:
        mask_head: Of one channel a type, or one for all.
        features: Of each region, (n, channels, height, width).
        types: Of each region, (n,).
    """
    if hasattr(mask_head, "own_logits"):
        return mask_head.own_logits(features, types)
    return of_types(mask_head(features), types)


def of_types(logits: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Return of each region's logits (n, channels, height, width) those of its type, in 32 bits."""
    return logits[torch.arange(len(types), device=types.device), channel_of(types, logits.shape[1])].float()


def channel_of(types: torch.Tensor, channels: int) -> torch.Tensor:
    """Return in which channel each type's logits are; one channel is every type's."""
    return torch.zeros_like(types) if channels == 1 else types
