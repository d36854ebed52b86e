"""What images look like: level, contrast, sharpness and noise of grey values, and what is wrong with them.

Everything is measured on blocks of 16 x 16 pixels outside of blank areas, so that neither a black surround
nor the number of cells moves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from neuroseg.readers.intensity.blank import counted, median, seen
from neuroseg.readers.intensity.halos import halo_skewness

_STRUCTURE = 3.0
"""Contrast over noise below which nothing is to be seen, and nothing is stretched."""

_BLURRED = 0.7
"""Share of the lowest sharpness learnt below which an image is blurred."""

_GRAINY = 1.35
"""Sharpness that no image of cells has; that of noise alone is the root of 2."""

_CLIPPED = 0.05
"""Share of an image at its highest value from which bright halos are lost; T98G's images have up to 0.025."""

_ENDS = frozenset((255, 1023, 4095, 16383, 65535, 65472, 65520, 65532))
"""Highest values of 8, 10, 12, 14 and 16 bit, the last three stored in the upper bits of 16."""

_SHOWN, _FAINT = 3.0, 6.0
"""A block shows structure if its spread is beyond so many times the noise, and that part of the contrast."""

_TURNED = -0.15
"""Skewness of halos below which an image is turned over. Of 191 images of Sartorius, LIVECell and T98G,
and of simulated ones, none has less than 0.08; turned over, 189 lie below."""

Fault = Literal["noise", "overexposed", "blurred", "grainy", "inverted"]


class Range(NamedTuple):
    """The lowest, the median and the highest of a figure among the images learnt from."""

    low: float
    middle: float
    high: float


class Learnt(NamedTuple):
    """What the images look like that a detector learnt from, in 8-bit grey values: the ranges of `Look`."""

    level: Range
    contrast: Range
    peak: Range
    sharpness: Range


ORDINARY = Learnt(Range(98, 128, 139), Range(15, 35, 85), Range(20, 46, 125), Range(0.35, 1.0, 1.3))
"""What phase contrast in 8 bit looks like, for images to learn from, and for detectors that do not tell.

The ranges hold Sartorius, LIVECell and T98G; the middle is that of the Incucyte, which took the first two.
"""


class Look(NamedTuple):
    """What an image looks like outside of its blank areas.

    Attributes:
        level: grey value of the background, the median.
        contrast: standard deviation of the grey values in lively blocks (the 99th percentile), NaN if too
            few.
        peak: the same in the liveliest (the 99.9th percentile), which tells a sparse image from a pale one.
        sharpness: root mean square difference of neighbouring pixels in lively blocks, as a share of the
            contrast.
        noise: such differences in calm blocks (the 10th percentile), as the standard deviation of a pixel.
        blank: share of the image that is blank.
        clipped: share of the other pixels at the value where the file or the camera ends.
        halos: how much sharper bright lines are than dark ones, a skewness: negative if turned over; NaN if
            too little is seen.
        structure: share of the blocks, blank ones aside, that show more than noise and than faint shadows.
    """

    level: float
    contrast: float
    peak: float
    sharpness: float
    noise: float
    blank: float
    clipped: float
    halos: float
    structure: float


def fault(found: Look, learnt: Learnt, magnified: float = 1.0) -> Fault | None:
    """Return what is wrong with an image even at learnt levels, None if nothing or if it cannot be told.

    Args:
        found: what the image looks like.
        learnt: what was learnt from.
        magnified: by how much the image is before it is seen; so much less its neighbouring pixels differ.
    """
    if not np.isfinite(found.contrast):
        return None
    if found.clipped > _CLIPPED:
        return "overexposed"
    if only_noise(found):
        return "noise"
    sharpness, lowest = found.sharpness / magnified, _BLURRED * learnt.sharpness.low
    if found.halos < _TURNED and found.sharpness >= lowest:
        return "inverted"
    if sharpness < lowest:
        return "blurred"
    return "grainy" if sharpness > min(2 * learnt.sharpness.high, _GRAINY) else None


def look(image: np.ndarray) -> Look:
    """Return what an 8- or 16-bit grey plane looks like, in its own grey values."""
    return with_blank(image)[0]


def learnt_from(seen: Iterable[Look]) -> Learnt:
    """Return what images as trained on look like; a figure that none tells is the ordinary one."""
    looks, ranges = list(seen), []
    for name, usual in zip(Learnt._fields, ORDINARY, strict=True):
        values = np.array([value for value in (getattr(each, name) for each in looks) if np.isfinite(value)])
        three = (values.min(), np.median(values), values.max()) if len(values) else usual
        ranges.append(Range(*(round(float(value), 4) for value in three)))
    return Learnt(*ranges)


def plain(learnt: Learnt) -> dict[str, list[float]]:
    """Return what was learnt from as plain lists, for a file."""
    return {name: list(values) for name, values in learnt._asdict().items()}


def from_plain(content: Mapping[str, Iterable[float]]) -> Learnt:
    """Return what `plain` made lists of.

    Raises:
        ValueError: it is something else.
    """
    try:
        ranges = [Range(*content[name]) for name in Learnt._fields]
        numbers = np.array(ranges, np.float64)
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error
    except (TypeError, ValueError):
        raise ValueError("each must be three numbers: lowest, median, highest") from None
    if not (((numbers >= 0) & (numbers <= 255)).all() and (np.diff(numbers, axis=1) >= 0).all()):
        raise ValueError("the numbers must lie within 0 and 255, and ascend")
    return Learnt(*ranges)


def only_noise(found: Look) -> bool:
    """Tell whether an image shows nothing but noise."""
    return found.peak <= _STRUCTURE * found.noise


def with_blank(image: np.ndarray) -> tuple[Look, np.ndarray | None]:
    """Return an image's look, and which pixels are blank, None where none are."""
    blocks, blank = seen(image)
    if blocks is None:
        counts = counted(image)
        return Look(median(counts), np.nan, np.nan, np.nan, np.nan, 0.0, _at_top(counts), np.nan, 0.0), None
    counts = counted(image, blank)
    contrast, peak = np.percentile(blocks.spread, (99, 99.9))
    noise = float(np.percentile(blocks.step, 10) / np.sqrt(2))
    return Look(
        level=median(counts),
        contrast=float(contrast),
        peak=float(peak),
        sharpness=float(np.percentile(blocks.step, 99) / contrast) if contrast else np.nan,
        noise=noise,
        blank=float(blank.mean()) if blank is not None else 0.0,
        clipped=_at_top(counts),
        halos=halo_skewness(image, blank),
        structure=float((blocks.spread > max(_SHOWN * noise, contrast / _FAINT)).mean()),
    ), blank


def _at_top(counts: np.ndarray) -> float:
    """Return the share of the highest value where files or cameras end at it, else 0."""
    used = np.flatnonzero(counts)
    return float(counts[used[-1]] / counts.sum()) if len(used) and used[-1] in _ENDS else 0.0
