"""The mask heads' last but one layer for the CPU: oneDNN has no fast path for it, but it is a matrix product.

A transposed convolution whose kernel is as wide as its stride never overlaps itself: each pixel becomes a tile of its
own, a linear function of the pixel's channels.
"""

from __future__ import annotations

import torch
from torch import nn


class TiledDeconvolution(nn.ConvTranspose2d):
    """Equal to PyTorch's layer up to rounding, where `quicken` puts it; the parameters are that layer's own."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Turn (n, channels, H, W) into (n, channels out, kH, kW)."""
        n, _, height, width = features.shape
        k = self.kernel_size[0]
        pixels = features.permute(0, 2, 3, 1).reshape(n * height * width, self.in_channels)
        tiles = torch.addmm(self.bias.repeat(k * k), pixels, self.weight.permute(0, 2, 3, 1).flatten(1))
        tiles = tiles.view(n, height, width, k, k, self.out_channels).transpose(2, 3)
        return tiles.reshape(n, height * k, width * k, self.out_channels).permute(0, 3, 1, 2)


def _fits(layer: nn.Module) -> bool:
    """Tell whether a layer can be computed in tiles."""
    return (
        isinstance(layer, nn.ConvTranspose2d)
        and layer.kernel_size == layer.stride
        and layer.kernel_size[0] == layer.kernel_size[1]
        and (*layer.padding, *layer.output_padding, layer.groups - 1) == (0, 0, 0, 0, 0)
        and layer.dilation == (1, 1)
        and layer.bias is not None
    )


def quicken(model: nn.Module) -> None:
    """Compute every layer of a model in tiles that can be."""
    for layer in model.modules():
        if _fits(layer):
            layer.__class__ = (
                TiledDeconvolution  # its parameters stay where optimiser, averages and checkpoints know them
            )
