"""Convolutions with batch normalisation whose statistics stand still, as one convolution.

Such a normalisation multiplies each channel and adds to it, which the convolution's own weights can do: its
passes over the maps fall away, and slopes reach the same parameters. Depthwise convolutions learn by
`depthwise`.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from neuroseg.detector.cpu.depthwise import Depthwise, Walk
from neuroseg.detector.openmmlab import Conv2dAdaptivePadding, ConvModule

BOUNDS: dict[type, tuple[float, float]] = {
    nn.ReLU6: (0.0, 6.0),
    nn.ReLU: (0.0, math.inf),
    type(None): (-math.inf, math.inf),
}
"""Activations that keep values between two bounds, which our depthwise convolution does."""


class FoldedConvModule(ConvModule):
    """Equal to MMCV's module up to rounding, where `replace` puts it; the parameters are that module's."""

    conv: nn.Conv2d

    def forward(self, x: torch.Tensor, activate: bool = True, norm: bool = True) -> torch.Tensor:
        """Convolve, normalise and activate maps; where the statistics move on, MMCV's module does."""
        if self.norm.training or not norm:
            return super().forward(x, activate, norm)
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        bias = self.norm.bias - self.norm.running_mean * scale
        activation = self.activate if activate and self.with_activation else None
        pads = _pads(self.conv, *x.shape[2:])
        walk = Walk(self.conv.stride[0], pads, self.conv.groups, self.conv.dilation)
        bounds = BOUNDS.get(type(activation))
        if bounds and _is_depthwise(self.conv, walk) and x.dtype in (torch.float32, torch.bfloat16):
            return Depthwise.apply(x, weight, bias, walk, bounds)
        x = walk.convolve(x, weight, bias)
        return x if activation is None else activation(x)


def replace(model: nn.Module) -> None:
    """Fold every convolution of a model that a batch normalisation follows."""
    for part in model.modules():
        if type(part) is ConvModule and _fits(part):
            part.__class__ = FoldedConvModule


def _fits(part: ConvModule) -> bool:
    conv, norm = part.conv, part.norm
    return bool(
        type(conv) in (nn.Conv2d, Conv2dAdaptivePadding)
        and (conv.padding_mode, conv.bias) == ("zeros", None)
        and conv.stride[0] == conv.stride[1]
        and not isinstance(conv.padding, str)
        and not (part.with_explicit_padding or part.with_spectral_norm)
        and part.order[:2] == ("conv", "norm")
        and isinstance(norm, nn.BatchNorm2d)
        and norm.affine
        and norm.track_running_stats
    )


def _is_depthwise(conv: nn.Conv2d, walk: Walk) -> bool:
    height, width = conv.kernel_size
    plain = height == width > max(walk.pads) and conv.dilation == (1, 1)
    return plain and conv.groups == conv.in_channels == conv.out_channels


def _pads(conv: nn.Conv2d, height: int, width: int) -> tuple[int, int, int, int]:
    """Return how many zeros a convolution puts at the left, right, top and bottom of a map."""
    if isinstance(conv, Conv2dAdaptivePadding):
        down, across = (_missing(conv, axis, size) for axis, size in enumerate((height, width)))
        return across // 2, across - across // 2, down // 2, down - down // 2
    down, across = map(int, conv.padding)
    return across, across, down, down


def _missing(conv: nn.Conv2d, axis: int, size: int) -> int:
    """Return how many zeros TensorFlow's padding "same" adds, so that ceil(size / stride) values come out."""
    stride = conv.stride[axis]
    reach = (math.ceil(size / stride) - 1) * stride + conv.dilation[axis] * (conv.kernel_size[axis] - 1) + 1
    return max(reach - size, 0)
