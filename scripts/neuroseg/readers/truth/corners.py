"""What the corners of an outline say of the frame that they were drawn on, in every format alike."""

from __future__ import annotations

import numpy as np

_SLACK = 1.0
"""Polygons are drawn on pixel corners or centres; a vertex this far past the frame is a habit, no fault."""

_SHARE_SLACK = 0.05
"""How far shares of a frame may go past it, as outlines drawn over its border do."""


def beyond(corners: np.ndarray, height: int, width: int) -> str | None:
    """Return that corners, shape (corners, 2), reach past their frame; None where they are within, or nearly.

    Outlines of the image at another size, or of a crop of it, do so.
    """
    if (corners >= -_SLACK).all() and (corners <= np.array([width, height]) + _SLACK).all():
        return None
    return (
        f"the outline reaches past the frame of {height} x {width} pixels, to "
        f"x {_extent(corners[:, 0])}, y {_extent(corners[:, 1])}, "
        "as outlines do that were drawn on the image at another size, or on a crop of it"
    )


def normalised(corners: np.ndarray, height: int, width: int) -> str | None:
    """Return that corners, shape (corners, 2), look like shares of the frame, and the cure; None if not.

    Shares lie between 0 and 1, and not all on the corners of a pixel.
    """
    inside = (corners >= -_SHARE_SLACK).all() and (corners <= 1 + _SHARE_SLACK).all()
    if not inside or (corners % 1 == 0).all():
        return None
    return (
        "all corners of the outline lie between 0 and 1: they look like shares of the frame (normalised); "
        f"write them in pixels, x times the width ({width}) and y times the height ({height})"
    )


def _extent(values: np.ndarray) -> str:
    return f"{values.min():g} to {values.max():g}"
