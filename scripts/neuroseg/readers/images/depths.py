"""All depths of an image to one plane."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuroseg.readers.images.ends import ends


def projected(planes: Iterable[np.ndarray], how: str) -> np.ndarray:
    """Return one plane of those at all depths, uint8 or uint16; two of them are in memory at a time.

    Args:
        planes: the planes, at least one.
        how: max, min, mean or focus (the sharpest); the number of a depth where it is the only plane.
    """
    every = iter(planes)
    first = next(every)
    if how in ("max", "min"):
        result = first.copy()
        for plane in every:
            (np.maximum if how == "max" else np.minimum)(result, plane, out=result)
        return result
    if how == "mean":
        total, count = first.astype(np.uint64), 1
        for plane in every:
            total += plane
            count += 1
        return np.rint(total / count).astype(first.dtype)
    best, sharpest = first, _sharpness(first)
    for plane in every:
        sharpness = _sharpness(plane)
        if sharpness > sharpest:
            best, sharpest = plane, sharpness
    return best


def _sharpness(image: np.ndarray) -> float:
    """Return how much of a plane's contrast lies between neighbouring pixels, outliers aside."""
    real = np.clip(image.astype(np.float64), *ends(image))
    return float(sum((np.diff(real, axis=axis) ** 2).mean() for axis in (0, 1)) / max(real.mean(), 1e-9) ** 2)
