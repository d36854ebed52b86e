"""Views of an image: mirrored, magnified, or both."""

from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np

from neuroseg.errors import DataError

MIRRORS: dict[str, tuple[bool, bool]] = {
    "none": (False, False),
    "hflip": (True, False),
    "vflip": (False, True),
    "hvflip": (True, True),
}
"""Whether left and right, and top and bottom, change places."""

SCALES = (0.25, 4.0)
"""The least and the greatest magnification: beyond, cells of 10 to 60 pixels leave every model's anchors."""

_NAME = re.compile(r"(?:(none|hflip|vflip|hvflip)|(?:(hflip|vflip|hvflip)_)?x(\d+(?:\.\d+)?))")


class View(NamedTuple):
    """A mirror and a magnification."""

    across: bool
    down: bool
    scale: float


def read_view(name: str) -> View:
    """Return the view of a name: a mirror (none, hflip), a magnification (x1.5), or both (hflip_x1.5).

    Raises:
        DataError: the name says nothing of the kind, or the magnification is out of range.
    """
    parts, (least, greatest) = _NAME.fullmatch(name), SCALES
    scale = float(parts[3] or 1) if parts else 0.0
    if parts is None or not least <= scale <= greatest:
        raise DataError(
            f"view {name}: there is no such view; choose among {', '.join(MIRRORS)}, a magnification "
            f"from x{least:g} to x{greatest:g} such as x1.5, or both joined, such as hflip_x1.5."
        )
    return View(*MIRRORS[parts[1] or parts[2] or "none"], scale)


def show(image: np.ndarray, view: View, sharp: bool = False) -> np.ndarray:
    """Return a grey image as the view shows it: sides scaled and rounded to whole pixels, then mirrored.

    Args:
        image: uint8, (height, width).
        view: What to do to it.
        sharp: Whether edges keep their contrast where it is magnified, by a cubic: of T98G stored at 0.4 of
            its size, the starter then finds 136 cells instead of 131, and 147 at full size.
    """
    size = tuple(max(1, round(side * view.scale)) for side in image.shape)
    if size != image.shape:
        method = cv2.INTER_AREA if view.scale < 1 else cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
        image = cv2.resize(image, size[::-1], interpolation=method)
    return mirror(image, view)


def mirror(array: np.ndarray, view: View) -> np.ndarray:
    """Mirror the last two axes as the view does; twice gives the array back."""
    return np.ascontiguousarray(array[..., :: -1 if view.down else 1, :: -1 if view.across else 1])
