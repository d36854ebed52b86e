"""Depthwise convolutions for the CPU: each channel is filtered by itself.

oneDNN's backward pass of those with strides or large filters takes 4 to 25 times as long as this one, where
all channels of a pixel lie side by side and are added at once. Padding, bounds and the turning of bf16 into
32 bits are done row by row as they are needed: no padded or widened copy of a map is made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit


class Walk(NamedTuple):
    """How a filter goes over a map."""

    stride: int
    pads: tuple[int, int, int, int]  # zeros at the left, right, top and bottom, fewer than the filter is wide

    def size(self, shape: torch.Size, kernel: int) -> tuple[int, int]:
        """Return the height and width of what comes out of maps (batch, channels, H, W)."""
        left, right, top, bottom = self.pads
        return (
            (shape[2] + top + bottom - kernel) // self.stride + 1,
            (shape[3] + left + right - kernel) // self.stride + 1,
        )


class Depthwise(torch.autograd.Function):
    """The convolution of (batch, channels, H, W) by (channels, 1, k, k), its values kept between two bounds.

    A value on a bound or beyond passes no slope on, as PyTorch's ReLU6 has it. Maps are of 32 bits or bf16,
    and what comes out is as they are; sums are made in 32 bits.
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
        """Return (batch, channels, h, w)."""
        pixels = _bits(maps)
        ctx.weight = weight.detach()[:, 0].permute(1, 2, 0).contiguous().numpy()
        ctx.settings = _settings(walk, bounds, pixels)
        filtered = np.empty(
            (len(pixels), *walk.size(maps.shape, weight.shape[-1]), maps.shape[1]), pixels.dtype
        )
        _filter(pixels, ctx.weight, bias.detach().numpy(), filtered, *ctx.settings)
        result = _maps(filtered)
        ctx.save_for_backward(maps, result)
        return result

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the slopes by maps, weight and bias."""
        maps, result = ctx.saved_tensors
        pixels, slopes, values = _bits(maps), _bits(slope.to(maps.dtype)), _bits(result)
        of_pixels, of_weight = np.empty_like(pixels), np.zeros_like(ctx.weight)
        of_bias = np.zeros(of_weight.shape[-1], np.float32)
        _attribute(pixels, ctx.weight, slopes, values, of_pixels, of_weight, of_bias, *ctx.settings)
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


def _settings(walk: Walk, bounds: tuple[float, float], bits: np.ndarray) -> tuple:
    """Return the loops' last arguments; the last tells how far bits are to be moved to be those of 32."""
    low, high = map(np.float32, bounds)
    return walk.stride, walk.pads[2], walk.pads[0], low, high, np.uint32(32 - 8 * bits.itemsize)


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
def _filter(
    pixels: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    filtered: np.ndarray,
    stride: int,
    top: int,
    left: int,
    low: np.float32,
    high: np.float32,
    shift: np.uint32,
) -> None:
    """Fill (batch, h, w, channels) with what a filter, (k, k, channels), makes of (batch, H, W, channels)."""
    _, tall, wide, channels = pixels.shape
    n, height, width, _ = filtered.shape
    k = len(weight)
    bits, made = np.empty((k, wide * channels), np.uint32), np.empty(width * channels, np.uint32)
    rows = bits.view(np.float32).reshape(k, wide, channels)
    sums = made.view(np.float32).reshape(width, channels)
    held = np.empty(k, np.int64)  # which row of the map lies in which of `rows`
    for image in range(n):
        held[:] = -1
        for y in range(height):
            sums[:] = bias
            for i in range(k):
                at = y * stride + i - top
                if at < 0 or at >= tall:
                    continue
                if held[at % k] != at:
                    held[at % k] = at
                    _widen(pixels[image, at].reshape(wide * channels), shift, bits[at % k])
                row = rows[at % k]
                for x in range(width):
                    total = sums[x]
                    for j in range(k):
                        across = x * stride + j - left
                        if 0 <= across < wide:
                            pixel, part = row[across], weight[i, j]
                            for c in range(channels):
                                total[c] += part[c] * pixel[c]
            for x in range(width):
                total = sums[x]
                for c in range(channels):
                    if total[c] < low:  # so written, what is no number stays none
                        total[c] = low
                    elif total[c] > high:
                        total[c] = high
            _narrow(made, shift, filtered[image, y].reshape(width * channels))


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _attribute(
    pixels: np.ndarray,
    weight: np.ndarray,
    slopes: np.ndarray,
    filtered: np.ndarray,
    of_pixels: np.ndarray,
    of_weight: np.ndarray,
    of_bias: np.ndarray,
    stride: int,
    top: int,
    left: int,
    low: np.float32,
    high: np.float32,
    shift: np.uint32,
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
            _widen(pixels[image, at].reshape(wide * channels), shift, pixel_bits)
            sums[:] = 0
            for i in range(k):
                y, between = divmod(at + top - i, stride)
                if between or y < 0 or y >= height:
                    continue
                passed = rows[y % k]
                if held[y % k] != y:
                    held[y % k] = y
                    _widen(slopes[image, y].reshape(width * channels), shift, bits[y % k])
                    _widen(filtered[image, y].reshape(width * channels), shift, value_bits)
                    for x in range(width):
                        slope, value = passed[x], values[x]
                        for c in range(channels):
                            if value[c] <= low or value[c] >= high:
                                slope[c] = 0
                            of_bias[c] += slope[c]
                for x in range(width):
                    slope = passed[x]
                    for j in range(k):
                        across = x * stride + j - left
                        if 0 <= across < wide:
                            pixel, total = row[across], sums[across]
                            part, of_part = weight[i, j], of_weight[i, j]
                            for c in range(channels):
                                total[c] += part[c] * slope[c]
                                of_part[c] += pixel[c] * slope[c]
            _narrow(made, shift, of_pixels[image, at].reshape(wide * channels))
