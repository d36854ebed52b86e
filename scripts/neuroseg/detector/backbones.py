"""Backbones that look at small cells closely.

A ResNet's stem halves the image twice before its first block, so that a neuron's body of 16 pixels is 4 x 4 cells of
the finest map. Without the stem's pooling it is 8 x 8, and the weights keep their shapes: pretrained ones still fit.
The idea is of T. Viel's 11th place in the competition; a small detector of the demo's cells learns twice as much from
the same number of samples.
"""

from __future__ import annotations

from torch import nn

from neuroseg.detector.openmmlab import MODELS, ResNet, ResNeXt


class _Fine:
    """Leaves the pooling out of a ResNet's stem: maps of strides 2, 4, 8, 16 instead of 4, 8, 16, 32."""

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        super()._make_stem_layer(in_channels, stem_channels)
        self.maxpool = nn.Identity()


@MODELS.register_module()
class FineResNet(_Fine, ResNet):
    """MMDetection's ResNet with maps of strides 2, 4, 8, 16."""


@MODELS.register_module()
class FineResNeXt(_Fine, ResNeXt):
    """MMDetection's ResNeXt with maps of strides 2, 4, 8, 16."""
