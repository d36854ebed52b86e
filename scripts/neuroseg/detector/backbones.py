"""Backbones whose finest map has a stride of two pixels, for small cells.

A ResNet's stem halves the image twice before its first block, so that a neuron's body of 16 pixels is 4 x 4
cells of the finest map. Without the stem's pooling it is 8 x 8, and the weights keep their shapes: pretrained
ones still fit. The idea is of T. Viel's 11th place in the competition; a small detector of the demo's cells
learns twice as much from the same number of samples.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from neuroseg.detector.openmmlab import (
    MODELS,
    EfficientNet,
    ResNet,
    ResNeXt,
    SwinTransformer,
    require_version,
)


class _Fine(ResNet):
    """Halves the image once in a ResNet's stem, not twice: maps of strides 2, 4, 8, 16, not 4, 8, 16, 32.

    Args:
        keep_pool: Whether the stem's pooling stays and its convolution goes over every pixel instead, as the
            11th place had it: four times the cost of that one layer, and the first block sees what its
            weights have learnt to see.
        settings: Of MMDetection's ResNet.
    """

    def __init__(self, keep_pool: bool = False, **settings: Any) -> None:
        self.keep_pool = keep_pool
        super().__init__(**settings)

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        require_version("a ResNet's stem replaces a private method")
        super()._make_stem_layer(in_channels, stem_channels)
        if self.keep_pool:
            self.conv1.stride = (1, 1)
        else:
            self.maxpool = nn.Identity()


@MODELS.register_module()
class FineResNet(_Fine, ResNet):
    """MMDetection's ResNet with maps of strides 2, 4, 8, 16."""


@MODELS.register_module()
class FineResNeXt(_Fine, ResNeXt):
    """MMDetection's ResNeXt with maps of strides 2, 4, 8, 16."""


@MODELS.register_module()
class FineSwin(SwinTransformer):
    """MMDetection's Swin Transformer with maps of strides 2, 4, 8, 16: its patches of 4 x 4 pixels overlap.

    Nothing else in it depends on where a patch lies: pretrained weights keep their shapes and meaning.
    """

    def __init__(self, **settings: Any) -> None:
        require_version("a Swin Transformer's overlapping patches change its parts")
        super().__init__(**settings)
        self.patch_embed.projection.stride = self.patch_embed.adap_padding.stride = (2, 2)


@MODELS.register_module()
class LiteEfficientNet(EfficientNet):
    """EfficientNet-Lite: MMDetection's EfficientNet without squeeze and excitation.

    With `pretrained.lite0` as its weights it is the network of TensorFlow's "EfficientNet-Lite0", learnt from
    ImageNet. Maps 1 to 4 are of strides 2, 4, 8, 16 and of 16, 24, 40, 112 channels.

    Args:
        stem_stride: Stride of the first convolution; 1 halves the strides of all maps, at four times the
            cost.
        settings: Of MMDetection's EfficientNet.
    """

    layer_settings: ClassVar = {
        arch: [[[*block[:2], 0, *block[3:]] for block in layer] for layer in layers]
        for arch, layers in EfficientNet.layer_settings.items()
    }

    def __init__(self, stem_stride: int = 2, **settings: Any) -> None:
        super().__init__(act_cfg={"type": "ReLU6"}, **settings)
        self.layers[0].conv.stride = (stem_stride, stem_stride)
