"""RoIAlign for the CPU.

MMCV walks channel by channel, where the next pixel's value is far away in memory. Here a sample is a weighted
sum of four pixels whose channels lie side by side, read where they are: no table of samples is made, forwards
or backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import nn

from neuroseg.detector.openmmlab import RoIAlign, SingleRoIExtractor

Places = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rois, the level of each, and the levels' scales."""


class CpuExtractor(nn.Module):
    """Equal to MMDetection's extractor up to rounding.

    Args:
        like: The extractor whose settings to take; its layers average a fixed number of samples, aligned.
    """

    def __init__(self, like: SingleRoIExtractor) -> None:
        super().__init__()
        self.level_of, self.num_inputs = like.map_roi_levels, like.num_inputs
        self.scales = tuple(layer.spatial_scale for layer in like.roi_layers)
        self.output_size, self.samples = like.roi_layers[0].output_size, like.roi_layers[0].sampling_ratio

    def forward(self, features: Sequence[torch.Tensor], rois: torch.Tensor) -> torch.Tensor:
        """Sample (batch, channels, H, W) over rois (n, 5: image, x1, y1, x2, y2), to (n, channels, h, w)."""
        level = self.level_of(rois, len(features))
        places = rois.detach().numpy(), level.numpy(), np.array(self.scales, np.float32)
        return _Pool.apply(places, (*self.output_size, self.samples), *features)

    @property
    def settings(self) -> tuple:
        """What the answer follows from, besides maps and rois."""
        return self.scales, self.output_size, self.samples, self.level_of.__self__.finest_scale


class _Pool(torch.autograd.Function):
    """The sampling and its derivative by the maps; rois are constants, as MMCV has it."""

    @staticmethod
    def forward(
        ctx: Any, places: Places, size: tuple[int, int, int], *features: torch.Tensor
    ) -> torch.Tensor:
        rois, levels, scales = places
        ctx.places, ctx.size, ctx.shapes = places, size, [each.shape for each in features]
        pooled = np.zeros((len(rois), *size[:2], features[0].shape[1]), np.float32)
        for level, each in enumerate(features):
            _exchange(_pixels(each.detach().float()), pooled, rois, levels, scales, level, size[2], False)
        return torch.from_numpy(pooled).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        pooled, slopes = _pixels(slope), []
        rois, levels, scales = ctx.places
        for level, (batch, channels, height, width) in enumerate(ctx.shapes):
            pixels = np.zeros((batch, height, width, channels), np.float32)
            _exchange(pixels, pooled, rois, levels, scales, level, ctx.size[2], True)
            slopes.append(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        return None, None, *slopes


def replace(model: nn.Module) -> None:
    """Put it in the place of every extractor of a model that it is equal to."""
    for part in model.modules():
        for name, child in part.named_children():
            if isinstance(child, SingleRoIExtractor) and all(map(_plain, child.roi_layers)):
                setattr(part, name, CpuExtractor(child))


def _plain(layer: nn.Module) -> bool:
    return (
        isinstance(layer, RoIAlign)
        and layer.sampling_ratio > 0
        and layer.aligned
        and layer.pool_mode == "avg"
    )


def _pixels(maps: torch.Tensor) -> np.ndarray:
    """Return maps with a pixel's channels side by side, (batch, H, W, channels); no copy if they are."""
    return maps.permute(0, 2, 3, 1).contiguous().numpy()


@njit(cache=True, nogil=True)
def _exchange(
    pixels: np.ndarray,
    pooled: np.ndarray,
    rois: np.ndarray,
    levels: np.ndarray,
    scales: np.ndarray,
    level: int,
    samples: int,
    back: bool,
) -> None:
    """Add what a level's rois see in its map, (batch, H, W, channels), to their rows of (n, h, w, channels).

    Or `back`: add the pooled values' slopes to those of the pixels that they came from.
    """
    _, tall, wide, channels = pixels.shape
    n, height, width, _ = pooled.shape
    for i in range(n):
        if levels[i] != level:
            continue
        x1, y1, x2, y2 = rois[i, 1:] * scales[level]
        y, y_weight = _neighbours(y1, y2, tall, height * samples, samples)
        x, x_weight = _neighbours(x1, x2, wide, width * samples, samples)
        frame = pixels[int(rois[i, 0])]
        for row in range(height * samples):
            for column in range(width * samples):
                part = pooled[i, row // samples, column // samples]
                for j in range(2):
                    for m in range(2):
                        pixel, weight = frame[y[row, j], x[column, m]], y_weight[row, j] * x_weight[column, m]
                        if back:
                            for k in range(channels):
                                pixel[k] += weight * part[k]
                        else:
                            for k in range(channels):
                                part[k] += weight * pixel[k]


@njit(cache=True, nogil=True)
def _neighbours(
    low: float, high: float, size: int, count: int, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels beside each of `count` points `low` to `high`, and their shares, both (count, 2)."""
    pixel, weight = np.empty((count, 2), np.int64), np.zeros((count, 2), np.float32)
    for k in range(count):
        at = low + (high - low) * np.float32((k + 0.5) / count) - np.float32(0.5)
        inside = -1 <= at <= size
        at = min(max(at, np.float32(0)), np.float32(size - 1))
        before = int(at)
        pixel[k, 0], pixel[k, 1] = before, min(before + 1, size - 1)
        if inside:
            weight[k, 1] = (at - np.float32(before)) / np.float32(samples)
            weight[k, 0] = np.float32(1 / samples) - weight[k, 1]
    return pixel, weight
