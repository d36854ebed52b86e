"""Mask heads' last two layers for the CPU: oneDNN has no fast path for them, but they are matrix products.

A transposed convolution whose kernel is as wide as its stride never overlaps itself: each pixel becomes a
tile of its own, a linear function of the pixel's channels. What follows it works on pixels one by one: where
only logits are asked for, they are told from the tiles, of which nothing but these is brought into its place.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.nn import functional

from neuroseg.detector.heads import CellMaskHead, channel_of, of_types
from neuroseg.detector.openmmlab import FCNMaskHead


class TiledDeconvolution(nn.ConvTranspose2d):
    """Equal to PyTorch's layer up to rounding, where `replace` puts it; the parameters are that layer's."""

    bias: nn.Parameter  # `replace` takes no layer without one

    def forward(self, input: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """Turn (n, channels, H, W) into (n, channels out, kH, kW); other sizes are PyTorch's to make."""
        if output_size is not None:
            return super().forward(input, output_size)
        n, _, height, width = input.shape
        k = self.kernel_size[0]
        pixels = input.permute(0, 2, 3, 1).reshape(n * height * width, self.in_channels)
        tiles = torch.addmm(self.bias.repeat(k * k), pixels, self.weight.permute(0, 2, 3, 1).flatten(1))
        tiles = tiles.view(n, height, width, k, k, self.out_channels).transpose(2, 3)
        return tiles.reshape(n, height * k, width * k, self.out_channels).permute(0, 3, 1, 2)


class TiledMaskHead(CellMaskHead):
    """A mask head ending in a tiled deconvolution, ReLU and one plain layer; made by `replace`."""

    def own_logits(self, features: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return the same as `heads.own_logits`, up to rounding; not to learn from."""
        if torch.is_autocast_enabled("cpu"):
            return of_types(self(features), types)
        for layer in self.convs:
            features = layer(features)
        return _from_tiles(self.upsample, self.conv_logits, features, types)


def _from_tiles(
    upsample: TiledDeconvolution, last: nn.Conv2d, features: torch.Tensor, types: torch.Tensor
) -> torch.Tensor:
    k = upsample.kernel_size[0]
    # As a convolution it goes to oneDNN, which multiplies twice as fast as what torch.mm goes to.
    weight = upsample.weight.permute(2, 3, 1, 0).flatten(0, 2)[:, :, None, None]
    tiles = functional.conv2d(features, weight, upsample.bias.repeat(k * k)).permute(0, 2, 3, 1)
    if last.bias is None:
        raise TypeError("a mask head's last layer has a bias")
    channel = channel_of(types, last.out_channels)
    logits = _read(_array(tiles), _array(last.weight.flatten(1)), _array(last.bias), _array(channel), k)
    return torch.from_numpy(logits)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().contiguous().numpy()


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _read(
    tiles: np.ndarray, weights: np.ndarray, biases: np.ndarray, channel: np.ndarray, k: int
) -> np.ndarray:
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


def replace(model: nn.Module) -> None:
    """Compute a model's layers in tiles where possible, and mask heads ending in one as `TiledMaskHead`."""
    for layer in model.modules():
        if _fits(layer):
            layer.__class__ = TiledDeconvolution
    for head in model.modules():
        if (
            type(head) in (FCNMaskHead, CellMaskHead)
            and isinstance(head.upsample, TiledDeconvolution)
            and head.predictor_cfg == {"type": "Conv"}
        ):
            head.__class__ = TiledMaskHead
