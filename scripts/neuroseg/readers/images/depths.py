"""All depths of an image to one plane."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import cv2
import numpy as np

from neuroseg.readers.images.photometric import Meant


def projected(planes: Iterable[Meant], how: str) -> Meant:
    """Return one plane of those at all depths; few of them are in memory at a time.

    What is missing at a depth does not count there; what is missing at all of them stays as it is.

    Args:
        planes: the planes, at least one, shown between the same ends.
        how: max, min, mean or focus (the sharpest); the number of a depth where it is the only plane.
    """
    every = iter(planes)
    first = next(every)
    if how == "mean":
        return _mean(first, every)
    if how not in ("max", "min"):
        return _sharpest(first, every)
    result, missing = first.grey.copy(), first.missing
    for plane in every:
        further = plane.grey > result if how == "max" else plane.grey < result
        if missing is not None:
            further |= missing
        if plane.missing is not None:
            further &= ~plane.missing
        np.copyto(result, plane.grey, where=further)
        missing = None if missing is None or plane.missing is None else missing & plane.missing
    return Meant(result, first.between, missing)


def _mean(first: Meant, others: Iterable[Meant]) -> Meant:
    total = np.zeros(first.grey.shape, np.uint64)
    count = np.zeros(first.grey.shape, np.uint16)
    for plane in chain([first], others):
        there = True if plane.missing is None else ~plane.missing
        np.add(total, plane.grey, out=total, where=there)
        count += there
    mean = np.rint(total / np.maximum(count, 1)).astype(first.grey.dtype)
    missing = count == 0
    if not missing.any():
        return Meant(mean, first.between)
    return Meant(np.where(missing, first.grey, mean), first.between, missing)


def _sharpest(first: Meant, others: Iterable[Meant]) -> Meant:
    best, sharpest = first, None
    for plane in others:
        sharpest = _sharpness(best) if sharpest is None else sharpest
        sharpness = _sharpness(plane)
        if sharpness > sharpest:
            best, sharpest = plane, sharpness
    return best


def _sharpness(plane: Meant) -> float:
    """Return the mean square difference of neighbouring pixels over the square of the mean.

    Light of another strength is no sharpness then, nor are, by medians of 3 x 3, hot pixels and columns.
    """
    calm = cv2.medianBlur(plane.grey, 3)
    there = np.ones(calm.shape, bool)
    if plane.missing is not None:
        there = cv2.dilate(plane.missing.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    if not there.any():
        return 0.0
    real = calm.astype(np.float32)
    steps = (
        (np.diff(real, axis=0), there[1:] & there[:-1]),
        (np.diff(real, axis=1), there[:, 1:] & there[:, :-1]),
    )
    square = sum(float((step[used] ** 2).mean(dtype=np.float64)) for step, used in steps if used.any())
    return square / max(float(real[there].mean(dtype=np.float64)), 1e-9) ** 2
