"""The ends between which planes are shown that belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from neuroseg.readers.images.ends import ends, whole_numbers
from neuroseg.readers.images.nodata import SATURATED, far, lost, without_no_data


class Ends(NamedTuple):
    """Between which values planes are shown that belong together.

    Attributes:
        low: the lowest sample of all, without what is no data, not finite or an outlier.
        high: the highest.
        whole: whether all samples between them are whole numbers from 0 to 65,535.
        kept: whether all finite samples are: nothing of them is changed then.
        no_data: the values that stand for no data.
    """

    low: float
    high: float
    whole: bool
    kept: bool
    no_data: tuple[float, ...] = ()


def ends_of(planes: Callable[[], Iterable[np.ndarray]]) -> Ends:
    """Return the ends of planes that belong together; only one of them is in memory at a time.

    What stands for no data in one plane does so in all. A plane of one value that is far from the values of
    all others is no data.

    Args:
        planes: yields the planes, real samples of any shape; called again where there is no data.
    """
    no_data: set[float] = set()
    while True:
        found = [each for plane in planes() if (each := _ends_of(plane, no_data)) is not None]
        varied = [each for each in found if each.low < each.high]
        more = {value for each in found for value in each.no_data}
        if varied:
            ends = _joined(varied, ())
            flat = {each.low for each in found if each.low == each.high}
            more |= {value for value in flat if not ends.kept and far(value, *ends[:3])}
        if more <= no_data:
            return _joined(found, sorted(no_data - SATURATED))
        no_data |= more


def _joined(found: list[Ends], no_data: Iterable[float]) -> Ends:
    if not found:
        return Ends(0, 0, True, True)
    return Ends(
        min(each.low for each in found),
        max(each.high for each in found),
        all(each.whole for each in found),
        all(each.kept for each in found),
        tuple(no_data),
    )


def _ends_of(plane: np.ndarray, no_data: set[float]) -> Ends | None:
    """Return the ends of one plane, and what more is no data in it; None where nothing else is there."""
    real = plane[~lost(plane, no_data)] if plane.dtype.kind == "f" or no_data else plane.flatten()
    if not real.size:
        return None
    kept = not no_data and whole_numbers(real, real.min().item(), real.max().item())
    more: set[float] = set()
    if not kept:
        real, more = without_no_data(real)
    low, high = ends(real)
    return Ends(low, high, kept or whole_numbers(real, low, high), kept, tuple(more))
