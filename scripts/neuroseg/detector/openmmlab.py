"""The one place where OpenMMLab's packages are imported, without the chatter that their import prints."""

import io
import warnings
from contextlib import redirect_stdout

with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")  # deprecations within the packages, and extras that nobody here misses
    import mmdet.datasets.transforms
    import mmdet.models
    from mmcv import ops
    from mmcv.cnn import ConvModule
    from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
    from mmcv.image import rescale_size
    from mmcv.ops import RoIAlign, get_compiling_cuda_version, roi_align
    from mmcv.transforms import BaseTransform, Compose
    from mmdet.datasets import BaseDetDataset
    from mmdet.datasets.transforms import PackDetInputs
    from mmdet.models.backbones import EfficientNet, ResNet, ResNeXt, SwinTransformer
    from mmdet.models.dense_heads import ATSSHead, RPNHead
    from mmdet.models.detectors import TwoStageDetector
    from mmdet.models.layers import multiclass_nms
    from mmdet.models.roi_heads import CascadeRoIHead
    from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor, SingleRoIExtractor
    from mmdet.registry import MODELS, OPTIMIZERS, TASK_UTILS, TRANSFORMS
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes, bbox2roi
    from mmdet.structures.mask import BitmapMasks
    from mmdet.structures.mask.structures import BaseInstanceMasks
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.hooks import EMAHook, Hook
    from mmengine.optim import OptimWrapper
    from mmengine.registry import HOOKS, LOOPS, OPTIM_WRAPPERS, init_default_scope
    from mmengine.runner import Runner
    from mmengine.structures import InstanceData

from neuroseg.errors import DataError

VERSION = "3.5.1"
"""Of MMDetection: private methods of this one are replaced here and there."""

init_default_scope("mmdet")  # names in a model file mean MMDetection's


def require_version(purpose: str) -> None:
    """Raise a DataError unless MMDetection is of the version that `purpose` is written for."""
    if mmdet.__version__ != VERSION:
        raise DataError(
            f"{purpose} of MMDetection {VERSION}, and {mmdet.__version__} is installed; "
            "install the version that envs/pins.txt names (make setup)."
        )


__all__ = [
    "HOOKS",
    "LOOPS",
    "MODELS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "TASK_UTILS",
    "TRANSFORMS",
    "ATSSHead",
    "BaseDetDataset",
    "BaseInstanceMasks",
    "BaseRoIExtractor",
    "BaseTransform",
    "BitmapMasks",
    "CascadeRoIHead",
    "Compose",
    "Config",
    "Conv2dAdaptivePadding",
    "ConvModule",
    "DetDataSample",
    "EMAHook",
    "EfficientNet",
    "FCNMaskHead",
    "Hook",
    "HorizontalBoxes",
    "InstanceData",
    "OptimWrapper",
    "PackDetInputs",
    "RPNHead",
    "ResNeXt",
    "ResNet",
    "RoIAlign",
    "Runner",
    "Shared2FCBBoxHead",
    "SingleRoIExtractor",
    "SwinTransformer",
    "TwoStageDetector",
    "bbox2roi",
    "get_compiling_cuda_version",
    "init_default_scope",
    "mmdet",
    "multiclass_nms",
    "ops",
    "pseudo_collate",
    "require_version",
    "rescale_size",
    "roi_align",
]
