"""What a TIFF's samples mean, by its tags: white as zero, inks, tints, palettes, extra samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC

from neuroseg.readers.images.common_ends import Ends, ends_of
from neuroseg.readers.images.grey import (
    exchanged,
    from_inks,
    from_tint,
    grey,
    in_colour,
    of_channels,
    transparent,
    turned_over,
    whole,
)
from neuroseg.readers.images.nodata import lost

_OWN = {
    **dict.fromkeys((PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.PALETTE), 1),
    **dict.fromkeys((PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR), 3),
    PHOTOMETRIC.SEPARATED: 4,
}
"""How many samples of a pixel show it; what follows is extra."""

_COLOUR = {
    *(PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB, PHOTOMETRIC.ITULAB),
    *(PHOTOMETRIC.LOGL, PHOTOMETRIC.LOGLUV, PHOTOMETRIC.CFA),
}

_KEEPING = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions (none, LZW, deflate, PackBits, LZMA, Zstandard) that give back brightness and tint as stored;
decoders of JPEG and its kind give red, green and blue."""


def own_samples(image: np.ndarray, axes: str, page: tifffile.TiffPage) -> np.ndarray:
    """Return the samples that show each pixel, (height, width) or (height, width, channels), as stored.

    Args:
        image: the samples as stored, (height, width), or with channels where `axes` says.
        axes: YX, YXS or SYX.
        page: the page that tells what they mean.

    Raises:
        GreyError: colour of a kind that is no phase contrast, or extra samples that show something.
    """
    if axes == "SYX":
        image = np.moveaxis(image, 0, 2)
    kind = PHOTOMETRIC(page.photometric)
    if kind in _COLOUR:
        raise in_colour(kind.name)
    if image.ndim == 3 and kind in _OWN:
        image = _without_extra(image, page.extrasamples, _OWN[kind])
    return image


class Meant(NamedTuple):
    """A plane as its writer meant it.

    Attributes:
        grey: the plane, (height, width), uint8 or uint16, with zero as black.
        between: the ends between which it is shown, None where samples of 8 and 16 bit keep their value.
        missing: which of its pixels are no data or not finite, None where none is.
    """

    grey: np.ndarray
    between: Ends | None = None
    missing: np.ndarray | None = None


def as_meant(image: np.ndarray, page: tifffile.TiffPage, of_all: Callable[[], Ends] | None) -> Meant:
    """Return a plane as its writer meant it.

    Args:
        image: the pixels' own samples.
        page: the page that tells what they mean.
        of_all: returns the ends of all planes that are shown between the same ones; None for one by itself.

    Raises:
        GreyError: colour, or samples that are no real numbers.
    """
    bits = page.bitspersample
    bits = bits if isinstance(bits, int) else bits[0]
    white_is_zero = page.photometric == PHOTOMETRIC.MINISWHITE
    narrow = image.dtype.kind == "b" or (image.dtype.kind == "u" and image.dtype.itemsize <= 2)
    between, missing, shown = None, None, image
    if image.dtype.kind in "iuf" and (not narrow or (white_is_zero and bits >= 16)):
        between = of_all() if of_all is not None else ends_of(lambda: [image])
    if not narrow:
        shown = whole(image, between)
        missing = lost(image, between.no_data if between else ())
    if between is not None and white_is_zero and not (image.dtype.kind == "u" and between.whole):
        shown = exchanged(shown, between)
    else:
        shown = _with_black_as_zero(shown, page, bits, between)
    if narrow:
        return Meant(grey(shown))
    if missing is None or not missing.any():
        return Meant(grey(shown), between)
    if white_is_zero:
        shown = np.where(missing, np.zeros((), shown.dtype), shown)
    return Meant(grey(shown), between, np.asarray(missing.reshape(*missing.shape[:2], -1).any(2)))


def _with_black_as_zero(
    image: np.ndarray, page: tifffile.TiffPage, bits: int, between: Ends | None
) -> np.ndarray:
    """Return samples of 1, 8 or 16 bit with black as zero, and colour as red, green and blue."""
    kind = PHOTOMETRIC(page.photometric)
    if kind == PHOTOMETRIC.MINISWHITE:
        declared = int(np.max(page.tags.valueof(281, 0)))
        return turned_over(image, bits, between.high if between else 0, declared)
    if kind == PHOTOMETRIC.SEPARATED and image.ndim == 3 and image.shape[2] == 4:
        return from_inks(image)
    if kind == PHOTOMETRIC.YCBCR and image.ndim == 3 and page.compression in _KEEPING:
        return from_tint(image, bits, _numbers(page, 529), _numbers(page, 532))
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None:
        return _from_palette(image, page.colormap)
    return image


def _without_extra(image: np.ndarray, told: tuple[int, ...], own: int) -> np.ndarray:
    """Return the samples that show a pixel, without opacity that is full or copies of a grey sample.

    Raises:
        GreyError: there are more, which show something else.
    """
    samples = image.shape[2]
    if samples <= own or not told:
        return image
    full = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    shown = image[..., 0] if own == 1 else image[..., :own]
    if samples == own + 1 and (image[..., own] == full).all():
        return shown
    if samples == own + 1 and told[0] != tifffile.EXTRASAMPLE.UNSPECIFIED:
        raise transparent()
    if own == 1 and (image == image[..., :1]).all():
        return shown
    raise of_channels(samples)


def _numbers(page: tifffile.TiffPage, tag: int) -> tuple[float, ...]:
    """Return a tag's fractions; none where the file has no such tag."""
    stored = np.asarray(page.tags.valueof(tag, ()), np.float64)
    return tuple((stored[::2] / stored[1::2]).tolist())


def _from_palette(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return what a palette shows, red, green and blue of 8 bit; the samples where each colour only rises.

    The samples are grey values then, which the palette tints. It has 16 bits; some writers give it values of
    8, which are known by none being higher.
    """
    rising = (np.diff(palette.astype(np.int64), axis=1) >= 0).all()
    shown = palette if palette.max() < 256 else palette >> 8
    return image if rising else shown.astype(np.uint8).T[image]
