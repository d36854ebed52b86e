"""Any samples to one grey plane of 8 or 16 bit, by rules that are stated here."""

from __future__ import annotations

import numpy as np

from neuroseg.readers.images.common_ends import Ends, ends_of
from neuroseg.readers.images.ends import MOST
from neuroseg.readers.images.nodata import lost

_NEARLY = 12 / 255
"""Channels that differ by at most this share of the range in use differ by a JPEG's noise, not by colour."""

_BITS = (8, 10, 12, 14, 16)
"""Depths of cameras whose values are stored in 16 bits or more."""

_COLOURED = 0.01
"""Up to this share of the pixels may be in colour on an otherwise grey image: a scale bar, a time stamp."""

_NARROW = 0.01
"""Numbers that differ by a smaller share of the highest are shown from the lowest on: few grey values would
be left of them otherwise."""

_ROWS = 512
"""So many rows are converted at once: a mosaic may have 400 million samples."""

_DARK = 24 / 255
"""Where most pixels are darker than this, the image is fluorescence on black; no pixel may be in colour."""

_OR_LEFT_OUT = "or leave out what is no photograph, in a folder of images with `exclude`"
"""How to mend an overlay or a figure among photographs, behind how to mend a photograph."""


class GreyError(ValueError):
    """Samples that give no grey plane: a check's name, and words."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check
        self.reason = reason


def in_colour(words: str) -> GreyError:
    """Return the refusal of an image in colour; the words say what tells it."""
    return GreyError(
        "image_channels", f"is in colour ({words}), save the grey plane of phase contrast, {_OR_LEFT_OUT}"
    )


def transparent() -> GreyError:
    """Return the refusal of an image whose opacity is not full."""
    return GreyError(
        "image_channels", f"is partly transparent, save it without an alpha channel, {_OR_LEFT_OUT}"
    )


def of_channels(number: int) -> GreyError:
    """Return the refusal of an image of several channels of which none is said to be phase contrast."""
    return GreyError("image_channels", f"holds {number} channels, save the one of phase contrast")


def grey(image: np.ndarray) -> np.ndarray:
    """Return the grey plane of samples (height, width) or (height, width, channels), uint8 or uint16.

    uint8 and uint16 stay as they are. Other numbers go by `whole`. Equal channels are one; channels that
    differ by little, or in few pixels, are averaged: little is measured by the range of the camera, which may
    have given fewer bits than 16. A last channel of two or four is opacity, which must be full.

    Raises:
        GreyError: colour, transparency, or samples that are no real numbers.
    """
    image = whole(image)
    if image.ndim == 2:
        return image
    samples = image.shape[2]
    if samples not in (1, 2, 3, 4):
        raise of_channels(samples)
    full = np.iinfo(image.dtype).max
    if samples in (2, 4):
        if (image[..., -1] != full).any():
            raise transparent()
        image = image[..., :-1]
    if (image == image[..., :1]).all():
        return np.ascontiguousarray(image[..., 0])
    bright = image.max(2)
    used = highest(np.quantile(bright, 1 - _COLOURED), 8 * image.itemsize)
    coloured = bright - image.min(2) > _NEARLY * used
    if coloured.mean() > (_COLOURED if np.median(bright) > _DARK * used else 0):
        raise in_colour(f"{100 * coloured.mean():.0f} % of its pixels")
    return np.rint(image.mean(2)).astype(image.dtype)


def whole(image: np.ndarray, between: Ends | None = None) -> np.ndarray:
    """Return samples of any real type as uint8 or uint16.

    1 bit becomes 0 and 255. Whole numbers from 0 to 65,535 keep their value, whatever type holds them. Of all
    others outliers are made the lowest or highest of the rest (`ends`). If these are no such whole numbers
    either, the lowest is made 0 where it is negative, or all lie within 1 % of the highest, and the highest
    is made 65,535. What is not finite, or no data (`nodata`), becomes 0, which measures leave out of the
    background.

    Args:
        image: the samples.
        between: the ends of all planes that the image belongs to; None if it is by itself.

    Raises:
        GreyError: samples that are no real numbers.
    """
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype in (np.uint8, np.uint16):
        return image
    if image.dtype == bool:
        return image * np.uint8(255)
    if image.dtype.kind not in "iuf":
        raise GreyError("image_bit_depth", f"holds {image.dtype} samples, which are no grey values")
    between = between or ends_of(lambda: [image])
    result = np.empty(image.shape, np.uint16)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        result[rows] = _spread(image[rows].astype(np.float64), between)
    return result


def _spread(values: np.ndarray, between: Ends) -> np.ndarray:
    missing = lost(values, between.no_data)
    if not between.kept:
        values = np.clip(values, between.low, between.high)
    if not between.whole:
        low, high = float(between.low), float(between.high)
        start = low if 0 < high - low < _NARROW * high else min(low, 0)
        values = np.rint((values - start) * (MOST / (between.high - start or 1)))
    return np.where(missing, 0, values)


def highest(value: float, bits: int) -> int:
    """Return the highest value of the camera that a value is from: 8 to 16 bits, or all `bits`."""
    return 2 ** next((fewer for fewer in _BITS if fewer < bits and value < 2**fewer), bits) - 1


def turned_over(image: np.ndarray, bits: int, high: float, declared: int = 0) -> np.ndarray:
    """Return an image, 1 bit, uint8 or uint16, whose zero is white with its zero black.

    White is the highest value that the bits give. Cameras of 8 to 14 bits are stored as 16 or more: white is
    then what the file declares, or the highest value of the fewest of 8, 10, 12, 14 and 16 bits that hold all
    samples. Outliers (`ends`) do not count and are made the lowest.

    Args:
        image: the samples.
        bits: how many bits of a sample the file says are used.
        high: the highest sample of all planes of the file's channel; of 16 bits and more.
        declared: the highest value that the file says its samples may have, 0 if it does not. It counts where
            it is that of 16 bits or fewer: some writers put the image's own highest value there.
    """
    if image.dtype == bool:
        return ~image
    white = 2**bits - 1
    if bits >= 16:
        sound = high <= declared <= MOST and declared & (declared + 1) == 0
        white = declared if sound and declared else highest(high, bits)
        image = np.minimum(image, np.array(min(white, high), image.dtype))
    return np.array(white, image.dtype) - np.minimum(image, np.array(white, image.dtype))


def exchanged(image: np.ndarray, between: Ends) -> np.ndarray:
    """Return what `whole` made of samples that have no fixed white with the highest and the lowest exchanged.

    Args:
        image: what `whole` made of them.
        between: the ends of all planes that are shown between the same ones.
    """
    low, high = whole(np.array([[between.low, between.high]], np.float64), between)[0].astype(np.int64)
    return (low + high - np.clip(image, low, high)).astype(np.uint16)


def inverted(image: np.ndarray, white: int) -> np.ndarray:
    """Return a grey plane, uint8 or uint16, with black and white exchanged.

    Args:
        image: the plane.
        white: what becomes 0, and values beyond it too; 0 for the highest that the type holds. It is not told
            from the image: images of one camera would be measured on scales of their own.
    """
    white = white or int(np.iinfo(image.dtype).max)
    return np.maximum(white - image.astype(np.int64), 0).astype(image.dtype)


def from_inks(image: np.ndarray) -> np.ndarray:
    """Return red, green, blue of cyan, magenta, yellow, black, shape (height, width, 4), in the same type."""
    full = np.iinfo(image.dtype).max
    light = 1 - image.astype(np.float64) / full
    return np.rint(light[..., :3] * light[..., 3:] * full).astype(image.dtype)


def from_tint(
    image: np.ndarray, bits: int, weights: tuple[float, ...] = (), ends: tuple[float, ...] = ()
) -> np.ndarray:
    """Return red, green, blue of brightness and two tints (YCbCr), (height, width, 3), in the same type.

    Args:
        image: the samples, whole numbers.
        bits: how many bits of a sample are used.
        weights: the shares of red, green, blue in brightness; empty for those of TIFF and JPEG.
        ends: black and white of brightness, then no tint and full tint of each; empty for all that `bits`
            give.
    """
    if image.dtype.kind != "u":
        raise GreyError("image_bit_depth", f"holds {image.dtype} samples of YCbCr, save it as grey")
    full, none = 2**bits - 1, 2 ** (bits - 1)
    red, green, blue = weights or (0.299, 0.587, 0.114)
    ends = ends or (0, full, none, full, none, full)
    low, high = np.array(ends[::2]), np.array(ends[1::2])
    light, blueness, redness = np.moveaxis(
        (image - low) / (high - low) * [full, full - none, full - none], 2, 0
    )
    r, b = light + 2 * (1 - red) * redness, light + 2 * (1 - blue) * blueness
    rgb = np.stack([r, (light - red * r - blue * b) / green, b], axis=2)
    return np.clip(np.rint(rgb), 0, full).astype(image.dtype)
