"""The lowest and the highest sample of images, without a camera's few hot or dead pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

_MOST = 65535
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


class Ends(NamedTuple):
    """Between which values planes are shown that belong together.

    Attributes:
        low: the lowest finite sample of all, outliers aside.
        high: the highest.
        whole: whether all finite samples, outliers aside, are whole numbers from 0 to 65,535.
        kept: whether the outliers are so too: nothing is changed then.
    """

    low: float
    high: float
    whole: bool
    kept: bool


def ends_of(planes: Callable[[], Iterable[np.ndarray]]) -> Ends:
    """Return the ends of planes that belong together; only one of them is in memory at a time.

    Args:
        planes: yields the planes, real samples of any shape.
    """
    found = [each for each in map(_ends_of, planes()) if each is not None]
    if not found:
        return Ends(0, 0, True, True)
    return Ends(
        min(each.low for each in found),
        max(each.high for each in found),
        all(each.whole for each in found),
        all(each.kept for each in found),
    )


def _ends_of(plane: np.ndarray) -> Ends | None:
    """Return the ends of one plane, None where no sample is finite."""
    if plane.dtype.kind == "f":
        real = plane[np.isfinite(plane)]
        if not real.size:
            return None
    else:
        real = plane
    low, high = ends(real)
    kept = _whole(real, 0, _MOST)
    return Ends(low, high, kept or (low >= 0 and high <= _MOST and _whole(real, low, high, True)), kept)


def _whole(real: np.ndarray, low: float, high: float, beyond: bool = False) -> bool:
    """Tell whether all samples are whole numbers from low to high; with `beyond`, only those within count."""
    flat = real.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        some = flat[start : start + _AT_ONCE]
        within = (some >= low) & (some <= high)
        if not (beyond or within.all()):
            return False
        if some.dtype.kind == "f" and (some != np.rint(some))[within].any():
            return False
    return True
