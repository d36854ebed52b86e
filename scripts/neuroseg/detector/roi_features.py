"""Feature maps as RoI operators read them: 32-bit numbers, and for MMCV's one channel after the other.

MMCV's RoIAlign reads a map's memory as (batch, channels, height, width) whatever the tensor's strides say.
Given the `channels_last` maps that convolutions prefer, it pools noise, and no error tells
(https://github.com/open-mmlab/mmcv/issues/2203).
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from neuroseg.detector.openmmlab import BaseRoIExtractor, RoIAlign, SingleRoIExtractor


def feed_extractors(model: torch.nn.Module) -> None:
    """Have every RoI extractor of MMDetection within a model be given maps that its operators can read.

    A map is laid out once for all extractors that read it, and forgotten with the map. MMCV's RoIAlign has no
    bfloat16 kernel either.
    """
    laid_out: MutableMapping = WeakTensorKeyDictionary()

    def before(_: torch.nn.Module, inputs: tuple) -> tuple:
        features, *rest = inputs
        return [_laid_out(each, laid_out) for each in features], *rest

    for part in model.modules():
        if isinstance(part, BaseRoIExtractor):
            part.register_forward_pre_hook(before)


def settings(extractor: BaseRoIExtractor) -> object:
    """Return what pooled values follow from, besides maps and regions; the extractor itself if unknown."""
    if type(extractor) is SingleRoIExtractor and all(
        type(layer) is RoIAlign for layer in extractor.roi_layers
    ):
        return extractor.finest_scale, tuple(map(repr, extractor.roi_layers))
    return getattr(extractor, "settings", extractor)


def _laid_out(features: torch.Tensor, known: MutableMapping) -> torch.Tensor:
    learning = torch.is_grad_enabled() and features.requires_grad
    copy = known.get(features)
    if copy is None or (learning and not copy.requires_grad):
        copy = features.float().contiguous()
        if copy is not features:  # an entry whose value is its own key would never be forgotten
            known[features] = copy
    return copy
