"""Grey levels of any export as detectors know them: 8 bit, background and contrast as learnt, no margins.

Everything is measured on blocks of 16 x 16 pixels outside of blank areas, so that neither a black surround
nor the number of cells moves it. What looks as the images do that a detector has learnt from keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from neuroseg.readers.blank import counted, median, seen

_NOISE = 8.0
"""Noise in grey values, about the most that ordinary images have: a contrast is not raised beyond it."""

_STRUCTURE = 3.0
"""Contrast over noise below which nothing is to be seen, and nothing is stretched."""

_CUT = 0.25
"""Share of an image at its lowest value from which that is where the background was cut off."""

_BLURRED = 0.7
"""Share of the lowest sharpness learnt below which an image is blurred."""

_GRAINY = 1.35
"""Sharpness that no image of cells has; that of noise alone is the root of 2."""

_CLIPPED = 0.05
"""Share of an image at its highest value from which bright halos are lost; T98G's images have up to 0.025."""

_ENDS = frozenset((255, 1023, 4095, 16383, 65535, 65472, 65520, 65532))
"""Highest values of 8, 10, 12, 14 and 16 bit, the last three stored in the upper bits of 16."""

Fault = Literal["noise", "overexposed", "blurred", "grainy"]

_ROOM = (8.0, 1.2)
"""How far a level, in grey values, and a contrast, as a factor, may lie beyond what was learnt from."""


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
    """

    level: float
    contrast: float
    peak: float
    sharpness: float
    noise: float
    blank: float
    clipped: float


class Shown(NamedTuple):
    """An image as detectors see it: uint8, the file's look, and what was done in words, empty if nothing."""

    image: np.ndarray
    look: Look
    done: str


def to_uint8(image: np.ndarray, learnt: Learnt = ORDINARY) -> np.ndarray:
    """Return a grey plane, uint8 or uint16, as a detector sees it: see `shown`."""
    return shown(image, learnt).image


def shown(image: np.ndarray, learnt: Learnt = ORDINARY) -> Shown:
    """Return a grey plane, shape (height, width), uint8 or uint16, as a detector sees it.

    1. Blank areas (a flat margin of one value, a dark surround) become background.
    2. 8 bit whose level and contrast are as learnt stays as it is. All else is multiplied so that the
       background gets the learnt level: phase contrast is a ratio to the background, and cameras fill 10, 12,
       14 or all 16 bits.
    3. Where that gives no contrast as learnt, the background was moved or taken off (an offset, a
       background-subtracted or stretched export): differences to the background are multiplied to the learnt
       contrast instead, noise to no more than 8 grey values, and an image that shows nothing but noise not at
       all.
    """
    found, blank = _look(image)
    level = found.level or float(image.max()) or 1.0
    target = learnt.level.middle
    near = learnt.level.low - _ROOM[0] <= found.level <= learnt.level.high + _ROOM[0]
    if image.dtype == np.uint8 and near and _ordinary(found, 1.0, learnt):
        if blank is None:
            return Shown(image, found, "")
        return Shown(np.where(blank, np.uint8(round(level)), image), found, _words(found))
    ratio = target / level
    taken_off = found.level == 0 and found.contrast > 0 and not _only_noise(found)
    plain = not taken_off and _ordinary(found, ratio, learnt)
    factor = ratio if plain else _stretch(found, ratio, learnt)
    zero, start = (0.0, 0.0) if plain else (found.level, target)
    values = (np.arange(np.iinfo(image.dtype).max + 1, dtype=np.float32) - np.float32(zero)) * np.float32(
        factor
    )
    result = np.clip(np.rint(values + np.float32(start)), 0, 255).astype(np.uint8)[image]
    if blank is not None:
        result[blank] = round(target)
    as_meant = plain and (image.dtype == np.uint16 or not found.level)
    before = f"{found.level:.0f}" if found.level >= 1000 else f"{found.level:.4g}"  # no powers of ten
    said = "" if as_meant else f"level {before} made {target:.4g}"
    said += "" if plain else f", contrast multiplied by {factor:.3g}"
    used = slice(None) if blank is None else ~blank
    if not plain and (image[used] == image[used].min()).mean() > _CUT:
        said += f"; what was darker than the background is cut off at {image[used].min()}, "
        said += "export without subtraction"
    return Shown(result, found, _words(found, said))


def unlike(found: Shown, learnt: Learnt = ORDINARY) -> str:
    """Return in words what of an image is unlike those learnt from: levels, contrast, sharpness; or ""."""
    look = found.look
    words: dict[Fault | None, str] = {
        "noise": "it shows nothing but noise",
        "overexposed": f"it is overexposed ({100 * look.clipped:.0f} % of its pixels have the highest value)",
        "blurred": f"it is blurred (sharpness {look.sharpness:.2g}, usual from {learnt.sharpness.low:.2g})",
    }
    return "; ".join(filter(None, [found.done, words.get(fault(look, learnt), "")]))


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
    if _only_noise(found):
        return "noise"
    sharpness = found.sharpness / magnified
    if sharpness < _BLURRED * learnt.sharpness.low:
        return "blurred"
    return "grainy" if sharpness > min(2 * learnt.sharpness.high, _GRAINY) else None


def look(image: np.ndarray) -> Look:
    """Return what an 8- or 16-bit grey plane looks like, in its own grey values."""
    return _look(image)[0]


def learnt_from(images: Iterable[np.ndarray]) -> Learnt:
    """Return what images look like, 8 bit as trained on; a figure that none tells is the ordinary one."""
    looks = [look(image) for image in images]
    ranges = []
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
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from error
    numbers = np.array(ranges, np.float64)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (np.diff(numbers, axis=1) >= 0).all()):
        raise ValueError("its numbers must be finite, from 0 on, and ascend")
    return Learnt(*ranges)


def _ordinary(found: Look, factor: float, learnt: Learnt) -> bool:
    """Tell whether the contrast times the factor is as learnt; it counts so if it cannot be told or is noise.

    In an image of few cells the contrast is low and the peak is not.
    """
    if not np.isfinite(found.contrast):
        return True
    contrast, peak = found.contrast * factor, found.peak * factor
    pale = contrast * _ROOM[1] < learnt.contrast.low and peak * _ROOM[1] < learnt.peak.low
    return contrast <= learnt.contrast.high * _ROOM[1] and (not pale or _only_noise(found))


def _only_noise(found: Look) -> bool:
    return found.peak <= _STRUCTURE * found.noise


def _stretch(found: Look, ratio: float, learnt: Learnt) -> float:
    """Return the factor that makes the contrast the learnt one."""
    if not found.contrast > 0 or _only_noise(found):
        return ratio
    factor = min(learnt.contrast.middle / found.contrast, learnt.peak.middle / found.peak)
    return min(factor, max(_NOISE / found.noise, ratio)) if found.noise > 0 else factor


def _words(found: Look, done: str = "") -> str:
    blank = f"{100 * found.blank:.0f} % blank" if found.blank else ""
    return "; ".join(part for part in (blank, done) if part)


def _look(image: np.ndarray) -> tuple[Look, np.ndarray | None]:
    """Return an image's look, and which pixels are blank, None where none are."""
    blocks, blank = seen(image)
    if blocks is None:
        counts = counted(image)
        return Look(median(counts), np.nan, np.nan, np.nan, np.nan, 0.0, _at_top(counts)), None
    counts = counted(image, blank)
    contrast, peak = np.percentile(blocks.spread, (99, 99.9))
    return Look(
        level=median(counts),
        contrast=float(contrast),
        peak=float(peak),
        sharpness=float(np.percentile(blocks.step, 99) / contrast) if contrast else np.nan,
        noise=float(np.percentile(blocks.step, 10) / np.sqrt(2)),
        blank=float(blank.mean()) if blank is not None else 0.0,
        clipped=_at_top(counts),
    ), blank


def _at_top(counts: np.ndarray) -> float:
    """Return the share of the highest value where files or cameras end at it, else 0."""
    used = np.flatnonzero(counts)
    return float(counts[used[-1]] / counts.sum()) if len(used) and used[-1] in _ENDS else 0.0
