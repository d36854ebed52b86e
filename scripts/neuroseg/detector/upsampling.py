"""The mask heads' last two layers for the CPU: oneDNN has no fast path for them, but they are matrix products.

A transposed convolution whose kernel is as wide as its stride never overlaps itself: each pixel becomes a tile of its
own, a linear function of the pixel's channels. What follows it looks at pixels one by one: where only logits are asked
for, they are told from the tiles, of which nothing but these is brought into its place.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.nn import functional

from neuroseg.detector.openmmlab import FCNMaskHead


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


def logits(mask_head: nn.Module, features: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Return what a mask head says of each region's own type, (n, height, width) in 32 bits; not to learn from.

    Args:
        mask_head: Of one channel a type, or one for all.
        features: Of each region, (n, channels, height, width).
        types: Of each region, (n,).
    """
    if _tiled(mask_head):
        for layer in mask_head.convs:
            features = layer(features)
        return _from_tiles(mask_head.upsample, mask_head.conv_logits, features, types)
    answers = mask_head(features)
    return answers[torch.arange(len(types), device=types.device), _channel(types, answers.shape[1])].float()


def _tiled(mask_head: nn.Module) -> bool:
    """Tell whether a mask head ends with a deconvolution in tiles, ReLU and one plain layer, all in 32 bits."""
    return (
        type(mask_head) is FCNMaskHead
        and isinstance(mask_head.upsample, TiledDeconvolution)
        and mask_head.predictor_cfg == {"type": "Conv"}
        and not torch.is_autocast_enabled("cpu")
    )


def _from_tiles(
    upsample: TiledDeconvolution, last: nn.Conv2d, features: torch.Tensor, types: torch.Tensor
) -> torch.Tensor:
    k = upsample.kernel_size[0]
    # As a convolution it goes to oneDNN, which multiplies twice as fast as what torch.mm goes to.
    weight = upsample.weight.permute(2, 3, 1, 0).flatten(0, 2)[:, :, None, None]
    tiles = functional.conv2d(features, weight, upsample.bias.repeat(k * k)).permute(0, 2, 3, 1)
    weights, biases, channel = last.weight.flatten(1), last.bias, _channel(types, last.out_channels)
    read = (each.detach().contiguous().numpy() for each in (tiles, weights, biases, channel))
    return torch.from_numpy(_read(*read, k))


def _channel(types: torch.Tensor, channels: int) -> torch.Tensor:
    """Return in which channel each type's logits are; one channel is every type's."""
    return torch.zeros_like(types) if channels == 1 else types


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _read(tiles: np.ndarray, weights: np.ndarray, biases: np.ndarray, channel: np.ndarray, k: int) -> np.ndarray:
    """Return one channel's logits, (n, H * k, W * k), of tiles (n, H, W, k * k * features) before ReLU."""
    n, height, width, _ = tiles.shape
    features = weights.shape[1]
    out = np.empty((n, height * k, width * k), np.float32)
    for i in range(n):
        weight, bias = weights[channel[i]], biases[channel[i]]
        for y in range(height):
            for x in range(width):
                for part in range(k * k):
                    pixel, total = tiles[i, y, x, part * features : (part + 1) * features], np.float32(0)
                    for j in range(features):
                        total += max(pixel[j], np.float32(0)) * weight[j]
                    out[i, y * k + part // k, x * k + part % k] = total + bias
    return out


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
