"""The lowest and the highest sample of an image, without a camera's few hot or dead pixels."""

from __future__ import annotations

import numpy as np

MOST = 65535
"""The highest value of 16 bit. Whole numbers from 0 to here keep their value."""

_AT_ONCE = 2**22
"""So many samples are looked at together where an image may have 400 million."""

_OUT_OF = 10_000
"""At either end one sample in so many, or part of it, may be an outlier."""

_FEWEST = 1_000
"""Of fewer samples than this, none is an outlier."""

_FAR = 30
"""An outlier is further from the others than so many times their range. What is nearer may be a bright cell,
and leaves the others at least 1/30 of the grey values, some 2,000 of 16 bit."""


def ends(image: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest finite sample, 0 and 0 where there is none; whole numbers as such.

    Outliers do not count. At either end one sample in 10,000, or part of it, may be one: an outlier lies
    beyond what is left without so many at both ends by more than 30 times its range. Where what is left is
    one value, and among fewer than 1,000 samples, there are no outliers.

    Args:
        image: real samples, of any shape.
    """
    real = image[np.isfinite(image)] if image.dtype.kind == "f" else image.flatten()
    if not real.size:
        return 0, 0
    low, high = real.min().item(), real.max().item()
    few = -(-real.size // _OUT_OF) if real.size >= _FEWEST else 0
    if not few:
        return low, high
    real.partition([few, real.size - 1 - few])
    lows, highs = real[: few + 1], real[-1 - few :]
    inner = float(lows[-1]), float(highs[0])
    far = _FAR * (inner[1] - inner[0])
    if not far or (inner[0] - low <= far and high - inner[1] <= far):
        return low, high
    near = lows.astype(np.float64) >= inner[0] - far, highs.astype(np.float64) <= inner[1] + far
    return lows[near[0]].min().item(), highs[near[1]].max().item()


def whole_numbers(real: np.ndarray, low: float, high: float) -> bool:
    """Tell whether all samples between two values are whole numbers from 0 to 65,535.

    Args:
        real: finite samples, of any shape.
        low: the lowest value that counts.
        high: the highest.
    """
    if low < 0 or high > MOST:
        return False
    if real.dtype.kind != "f":
        return True
    flat = real.reshape(-1)
    parts = (flat[start : start + _AT_ONCE] for start in range(0, flat.size, _AT_ONCE))
    return not any(((some != np.rint(some)) & (some >= low) & (some <= high)).any() for some in parts)
