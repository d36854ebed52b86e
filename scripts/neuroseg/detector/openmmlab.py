"""The one place where OpenMMLab's packages are imported, without the chatter that their import prints."""

import io
import warnings
from contextlib import redirect_stdout

with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")  # deprecations within the packages, and extras that nobody here misses
    import mmdet.datasets.transforms
    import mmdet.models
    from mmcv.image import rescale_size
    from mmcv.ops import RoIAlign, roi_align
    from mmcv.transforms import BaseTransform, Compose
    from mmdet.datasets import BaseDetDataset
    from mmdet.datasets.transforms import PackDetInputs
    from mmdet.models.backbones import ResNet, ResNeXt
    from mmdet.models.dense_heads import ATSSHead, RPNHead
    from mmdet.models.layers import multiclass_nms
    from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    from mmdet.models.task_modules.assigners import AssignResult, BboxOverlaps2D, MaxIoUAssigner
    from mmdet.registry import MODELS, TRANSFORMS
    from mmdet.structures.bbox import HorizontalBoxes, bbox2roi
    from mmdet.structures.mask import BitmapMasks
    from mmdet.structures.mask.structures import BaseInstanceMasks
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.hooks import EMAHook, Hook
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner
    from mmengine.structures import InstanceData

init_default_scope("mmdet")  # names in a model file mean MMDetection's

__all__ = [
    "MODELS",
    "TRANSFORMS",
    "ATSSHead",
    "AssignResult",
    "BaseDetDataset",
    "BaseInstanceMasks",
    "BaseTransform",
    "BboxOverlaps2D",
    "BitmapMasks",
    "Compose",
    "Config",
    "EMAHook",
    "FCNMaskHead",
    "Hook",
    "HorizontalBoxes",
    "InstanceData",
    "MaxIoUAssigner",
    "PackDetInputs",
    "RPNHead",
    "ResNeXt",
    "ResNet",
    "RoIAlign",
    "Runner",
    "Shared2FCBBoxHead",
    "SingleRoIExtractor",
    "bbox2roi",
    "init_default_scope",
    "mmdet",
    "multiclass_nms",
    "pseudo_collate",
    "rescale_size",
    "roi_align",
]
