"""Depthwise convolutions for the CPU: each channel is filtered by itself.

oneDNN's backward pass takes up to 4 times as long as this one in 32 bits, and up to 23 times in bf16, where
all channels of a pixel lie side by side and are added at once. Bounds and the turning of bf16 into 32 bits
are done row by row as they are needed: no padded or widened copy of a map is made. In the forward pass oneDNN
is the faster one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch.nn import functional


class Walk(NamedTuple):
    """How filters go over a map."""

    stride: int
    pads: tuple[int, int, int, int]  # zeros at the left, right, top and bottom
    groups: int
    dilation: tuple[int, ...] = (1, 1)

    def convolve(self, maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return the convolution of maps, (batch, channels, h, w)."""
        left, right, top, bottom = self.pads
        if (left, top) != (right, bottom):
            maps, left, top = functional.pad(maps, self.pads), 0, 0
        return functional.conv2d(maps, weight, bias, self.stride, (top, left), self.dilation, self.groups)


class Depthwise(torch.autograd.Function):
    """The convolution of (batch, channels, H, W) by (channels, 1, k, k), its values kept between two bounds.

    A value on a bound or beyond passes no slope on, as PyTorch's ReLU6 has it. Maps are of 32 bits or bf16,
    and what comes out is as they are; sums are made in 32 bits. Of zeros, a map gets fewer at a side than the
    filter is wide.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        walk: Walk,
        bounds: tuple[float, float],
    ) -> torch.Tensor:
        """Return (batch, channels, h, w).

        Raises:
            TypeError: maps of another type.
        """
        if maps.dtype not in (torch.float32, torch.bfloat16):
            raise TypeError(f"maps of 32 bits or bf16 are filtered, not of {maps.dtype}")
        with torch.autocast("cpu", enabled=False):
            result = walk.convolve(maps, weight.to(maps.dtype), bias.to(maps.dtype)).clamp_(*bounds)
        ctx.walk, ctx.bounds = walk, bounds
        ctx.save_for_backward(maps, weight, result)
        return result

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the slopes by maps, weight and bias."""
        maps, weight, result = ctx.saved_tensors
        pixels, slopes, values = _bits(maps), _bits(slope), _bits(result)
        filters = weight.detach()[:, 0].permute(1, 2, 0).float().contiguous().numpy()
        of_pixels, of_weight = np.empty_like(pixels), np.zeros_like(filters)
        of_bias = np.zeros(of_weight.shape[-1], np.float32)
        how = _how(ctx.walk, ctx.bounds, pixels)
        _attribute(pixels, filters, slopes, values, of_pixels, of_weight, of_bias, how)
        by_weight = torch.from_numpy(of_weight).permute(2, 0, 1)[:, None]
        return _maps(of_pixels), by_weight, torch.from_numpy(of_bias), None, None


def _bits(maps: torch.Tensor) -> np.ndarray:
    """Return the bits of maps, (batch, H, W, channels), uint32, of bf16 uint16."""
    pixels = maps.detach().permute(0, 2, 3, 1).contiguous()
    if maps.dtype == torch.bfloat16:
        return pixels.view(torch.int16).numpy().view(np.uint16)
    return pixels.numpy().view(np.uint32)


def _maps(bits: np.ndarray) -> torch.Tensor:
    """Return the maps of bits."""
    if bits.dtype == np.uint16:
        return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).permute(0, 3, 1, 2)
    return torch.from_numpy(bits.view(np.float32)).permute(0, 3, 1, 2)


class _How(NamedTuple):
    """What the compiled loop knows of a convolution beside its arrays."""

    stride: int
    top: int  # zeros above the map
    left: int  # zeros at its left
    low: np.float32
    high: np.float32
    shift: np.uint32  # how far the bits of a number are to be moved to be those of 32


def _how(walk: Walk, bounds: tuple[float, float], bits: np.ndarray) -> _How:
    low, high = map(np.float32, bounds)
    return _How(walk.stride, walk.pads[2], walk.pads[0], low, high, np.uint32(32 - 8 * bits.itemsize))


@njit(cache=True, nogil=True)
def _widen(bits: np.ndarray, shift: np.uint32, numbers: np.ndarray) -> None:
    """Write the bits of a row as those of 32-bit numbers."""
    for i in range(bits.size):
        numbers[i] = np.uint32(bits[i]) << shift


@njit(cache=True, nogil=True)
def _narrow(numbers: np.ndarray, shift: np.uint32, bits: np.ndarray) -> None:
    """Write the bits of 32-bit numbers as a row's own, rounded to the nearest, halfway to the even one."""
    half = np.uint32((1 << shift) // 2 - 1) if shift else np.uint32(0)
    odd = np.uint32(1) if shift else np.uint32(0)
    for i in range(bits.size):
        bits[i] = (numbers[i] + half + ((numbers[i] >> shift) & odd)) >> shift


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _attribute(
    pixels: np.ndarray,
    weight: np.ndarray,
    slopes: np.ndarray,
    filtered: np.ndarray,
    of_pixels: np.ndarray,
    of_weight: np.ndarray,
    of_bias: np.ndarray,
    how: _How,
) -> None:
    """Give slopes of `filtered` back: fill `of_pixels`, add to those of the weight and of the bias."""
    _, tall, wide, channels = pixels.shape
    n, height, width, _ = slopes.shape
    k = len(weight)
    bits, value_bits = np.empty((k, width * channels), np.uint32), np.empty(width * channels, np.uint32)
    pixel_bits, made = np.empty(wide * channels, np.uint32), np.empty(wide * channels, np.uint32)
    rows = bits.view(np.float32).reshape(k, width, channels)
    values = value_bits.view(np.float32).reshape(width, channels)
    row = pixel_bits.view(np.float32).reshape(wide, channels)
    sums = made.view(np.float32).reshape(wide, channels)
    held = np.empty(k, np.int64)  # which row of the slopes lies in which of `rows`
    for image in range(n):
        held[:] = -1
        for at in range(tall):
            _widen(pixels[image, at].reshape(wide * channels), how.shift, pixel_bits)
            sums[:] = 0
            for i in range(k):
                y, between = divmod(at + how.top - i, how.stride)
                if between or y < 0 or y >= height:
                    continue
                passed = rows[y % k]
                if held[y % k] != y:
                    held[y % k] = y
                    _widen(slopes[image, y].reshape(width * channels), how.shift, bits[y % k])
                    _widen(filtered[image, y].reshape(width * channels), how.shift, value_bits)
                    for x in range(width):
                        slope, value = passed[x], values[x]
                        for c in range(channels):
                            if value[c] <= how.low or value[c] >= how.high:
                                slope[c] = 0
                            of_bias[c] += slope[c]
                for x in range(width):
                    slope = passed[x]
                    for j in range(k):
                        across = x * how.stride + j - how.left
                        if 0 <= across < wide:
                            pixel, total = row[across], sums[across]
                            part, of_part = weight[i, j], of_weight[i, j]
                            for c in range(channels):
                                total[c] += part[c] * slope[c]
                                of_part[c] += pixel[c] * slope[c]
            _narrow(made, how.shift, of_pixels[image, at].reshape(wide * channels))
