"""Grey levels of any export as detectors know them: 8 bit, background and contrast as learnt, no margins.

What looks as the images do that a detector has learnt from keeps its bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuroseg.readers.intensity.blank import content
from neuroseg.readers.intensity.looks import ORDINARY, Fault, Learnt, Look, fault, only_noise, with_blank

_NOISE = 8.0
"""Noise in grey values, about the most that ordinary images have: a contrast is not raised beyond it."""

_CUT = 0.25
"""Share of an image at its lowest value from which that is where the background was cut off."""

_ROOM = (8.0, 1.2)
"""How far a level, in grey values, and a contrast, as a factor, may lie beyond what was learnt from."""


class Done(NamedTuple):
    """What was done to an image so that a detector sees it as it has learnt; by default nothing.

    Attributes:
        blank: share of the image that was taken for background.
        level: grey values of the background before and after, None where the level is as it was meant.
        factor: by how much the contrast was multiplied, None where it follows from the level.
        cut: value at which the file cuts off what was darker than the background, None where it does not.
    """

    blank: float = 0.0
    level: tuple[float, float] | None = None
    factor: float | None = None
    cut: int | None = None

    @property
    def words(self) -> str:
        """The same in words, empty if nothing was done."""
        parts = []
        if self.blank:
            parts.append(f"{100 * self.blank:.0f} % blank")
        if self.level is not None:
            before, after = self.level
            was = f"{before:.0f}" if before >= 1000 else f"{before:.4g}"  # no powers of ten
            made = f"grey level {was} shown as {after:.4g}" if was != f"{after:.4g}" else ""
            contrast = f"contrast multiplied by {self.factor:.3g}" if self.factor is not None else ""
            if made or contrast:
                parts.append(", ".join(filter(None, [made, contrast])))
        if self.cut is not None:
            parts.append(f"what was darker than the background is cut off at {self.cut}")
            parts[-1] += ", export without subtraction"
        return "; ".join(parts)


class Shown(NamedTuple):
    """An image as detectors see it: uint8, the file's look, what was done, and where it is not all blank."""

    image: np.ndarray
    look: Look
    done: Done
    content: tuple[slice, slice]  # rows and columns


def to_uint8(image: np.ndarray, learnt: Learnt = ORDINARY) -> np.ndarray:
    """Return a grey plane, uint8 or uint16, as a detector sees it: see `shown`."""
    return shown(image, learnt).image


def shown(image: np.ndarray, learnt: Learnt = ORDINARY, one_contrast: bool = False) -> Shown:
    """Return a grey plane, shape (height, width), uint8 or uint16, as a detector sees it.

    1. Blank areas (a flat margin of one value, a dark surround) become background.
    2. 8 bit whose level and contrast are as learnt stays as it is. All else is multiplied so that the
       background gets the learnt level: phase contrast is a ratio to the background, and cameras fill 10, 12,
       14 or all 16 bits.
    3. Where that gives no contrast as learnt, the background was moved or taken off (an offset, a
       background-subtracted or stretched export): differences to the background are multiplied to the learnt
       contrast instead, noise to no more than 8 grey values, and an image that shows nothing but noise not at
       all.

    With `one_contrast`, 3. holds for every image, so that exports of a field that differ in contrast alone
    look the same. It is for detectors that were taught at many contrasts: to others contrast tells types.
    """
    found, blank = with_blank(image)
    level = found.level or float(image.max()) or 1.0
    target = learnt.level.middle
    part = content(image.shape, blank)
    near = learnt.level.low - _ROOM[0] <= found.level <= learnt.level.high + _ROOM[0]
    as_learnt = image.dtype == np.uint8 and near and _ordinary(found, 1.0, learnt)
    structured = found.contrast > 0 and not only_noise(found)
    one_contrast &= structured
    if as_learnt and not one_contrast:
        if blank is None:
            return Shown(image, found, Done(), part)
        return Shown(np.where(blank, np.uint8(round(level)), image), found, Done(found.blank), part)
    ratio = target / level
    plain = as_learnt or (not (found.level == 0 and structured) and _ordinary(found, ratio, learnt))
    multiplied = plain and not one_contrast
    factor = ratio if multiplied else _stretch(found, ratio, learnt)
    zero, start = (0.0, 0.0) if multiplied else (found.level, target)
    values = (np.arange(np.iinfo(image.dtype).max + 1, dtype=np.float32) - np.float32(zero)) * np.float32(
        factor
    )
    result = np.clip(np.rint(values + np.float32(start)), 0, 255).astype(np.uint8)[image]
    if blank is not None:
        result[blank] = round(target)
    as_meant = as_learnt or (plain and (image.dtype == np.uint16 or not found.level))
    used = slice(None) if blank is None else ~blank
    lowest = int(image[used].min())
    cut = not plain and (image[used] == lowest).mean() > _CUT
    done = Done(
        blank=found.blank,
        level=None if as_meant else (found.level, target),
        factor=None if plain else factor,
        cut=lowest if cut else None,
    )
    return Shown(result, found, done, part)


def unlike(found: Shown, learnt: Learnt = ORDINARY) -> str:
    """Return in words what of an image is unlike those learnt from: levels, contrast, sharpness; or ""."""
    look = found.look
    words: dict[Fault | None, str] = {
        "noise": "it shows nothing but noise",
        "overexposed": f"it is overexposed ({100 * look.clipped:.0f} % of its pixels have the highest value)",
        "blurred": f"it is blurred (sharpness {look.sharpness:.2g}, usual from {learnt.sharpness.low:.2g})",
        "inverted": "it looks turned over, as its halos are dark: see `invert` of the dataset file",
    }
    return "; ".join(filter(None, [found.done.words, words.get(fault(look, learnt), "")]))


def _ordinary(found: Look, factor: float, learnt: Learnt) -> bool:
    """Tell whether the contrast times the factor is as learnt; it counts so if it cannot be told or is noise.

    In an image of few cells the contrast is low and the peak is not.
    """
    if not np.isfinite(found.contrast):
        return True
    contrast, peak = found.contrast * factor, found.peak * factor
    pale = contrast * _ROOM[1] < learnt.contrast.low and peak * _ROOM[1] < learnt.peak.low
    return contrast <= learnt.contrast.high * _ROOM[1] and (not pale or only_noise(found))


def _stretch(found: Look, ratio: float, learnt: Learnt) -> float:
    """Return the factor that makes the contrast the learnt one."""
    if not found.contrast > 0 or only_noise(found):
        return ratio
    factor = min(learnt.contrast.middle / found.contrast, learnt.peak.middle / found.peak)
    return min(factor, max(_NOISE / found.noise, ratio)) if found.noise > 0 else factor
