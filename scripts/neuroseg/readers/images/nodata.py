"""Values that stand for no data, as around the tiles of a mosaic: -9999, -32768, -3.4e38 and the like."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuroseg.readers.images.ends import MOST, ends, whole_numbers

_OUT_OF = 1000
"""More than one sample in so many must have a value for it to stand for no data."""

_FEWEST = 16
"""At least so many must have it."""


SATURATED = frozenset([1, 255, 4095, 16383, 32767])
"""Full scales, where a camera or a program cuts off what is brighter: such pixels are white, not no data."""


def without_no_data(real: np.ndarray) -> tuple[np.ndarray, set[float]]:
    """Return finite samples without those of no data, and the values that stand for it.

    Such is a value at either end that at least 16 samples and more than one in 1,000 have, if it is `far`
    from the others, outliers aside; `SATURATED` ones are among them. Fewer samples that lie beyond it are
    left out, too.

    Args:
        real: the samples, shape (count,); their order is not kept.
    """
    found: set[float] = set()
    while True:
        rest, gone = _without_outermost(real)
        if not gone:
            return real, found
        real, found = rest, found | gone


def far(value: float, low: float, high: float, whole: bool) -> bool:
    """Tell whether a value is further from all others than these are from one another.

    So it is too if these alone are whole numbers from 0 to 65,535.

    Args:
        value: the value.
        low: the lowest of the others.
        high: the highest.
        whole: whether the others are all whole numbers from 0 to 65,535.
    """
    gap = low - value if value < low else value - high
    return high > low and (gap > high - low or (whole and gap > 0 and not 0 <= value <= MOST))


def lost(image: np.ndarray, no_data: Iterable[float]) -> np.ndarray:
    """Return which samples are no data or not finite."""
    found = ~np.isfinite(image)
    for value in no_data:
        found |= image == value
    return found


def _without_outermost(real: np.ndarray) -> tuple[np.ndarray, set[float]]:
    """Return the samples without the outermost values of no data: at both ends, or else at one of them."""
    share = max(_FEWEST, real.size // _OUT_OF + 1)
    if real.size <= 2 * share:
        return real, set()
    real.partition([share - 1, real.size - share])
    low, high = real[share - 1].item(), real[-share].item()
    at_low, at_high = (np.count_nonzero(real == value) >= share for value in (low, high))
    for lowest, highest in ((at_low, at_high), (at_low, False), (False, at_high)):
        values = {value for value, there in ((low, lowest), (high, highest)) if there}
        if not values:
            continue
        used = np.ones(real.shape, bool)
        if lowest:
            used &= real > low
        if highest:
            used &= real < high
        rest = real[used]
        if not rest.size:
            continue
        between = ends(rest)
        if all(far(value, *between, whole_numbers(rest, *between)) for value in values):
            return rest, values
    return real, set()
