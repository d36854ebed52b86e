"""Whether bright lines or dark ones are the sharper: halos tell phase contrast from an image turned over."""

from __future__ import annotations

import cv2
import numpy as np

_SMOOTHED = 1.5
"""Standard deviation, in pixels, of the smoothing that keeps noise out of what bends."""

_SIDE = 1024
_MARGIN = 8
"""Side of the windows looked at, and pixels around them and around blank areas that smoothing reaches."""

_WINDOWS = 16
"""Windows at most, evenly spread: an image may have 400 of them."""

_MOST = 6.0
"""Standard deviations at which a bend is cut off, so that text and scale bars do not decide."""


def halo_skewness(image: np.ndarray, blank: np.ndarray | None = None) -> float:
    """Return how much sharper the bright lines of a grey plane are than its dark ones.

    That is minus the skewness of the second derivative along the slope, which no level or gain of a camera
    changes and which turns its sign with the image. It is positive in phase contrast: halos are narrow.

    Args:
        image: Shape (height, width), uint8 or uint16.
        blank: Which pixels are not looked at.

    Returns:
        About -3 to 3; NaN where all is flat or blank.
    """
    total = weight = 0.0
    corners = [
        (top, left) for top in range(0, image.shape[0], _SIDE) for left in range(0, image.shape[1], _SIDE)
    ]
    for corner in corners[:: -(-len(corners) // _WINDOWS)]:
        window = tuple(slice(max(0, at - _MARGIN), at + _SIDE + _MARGIN) for at in corner)
        bends = _bends(image[window].astype(np.float32))
        if blank is not None:
            near = cv2.dilate(blank[window].astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
            bends = bends[near == 0]
        spread = float(bends.std()) if bends.size else 0.0
        if spread > 0:
            bends = np.clip(bends / spread, -_MOST, _MOST)
            total -= float((bends * bends * bends).sum(dtype=np.float64))  # six times as fast as ** 3
            weight += bends.size
    return total / weight if weight else np.nan


def _bends(image: np.ndarray) -> np.ndarray:
    """Return the second derivative along the slope, of the image's shape: 0 where it is flat."""
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHED)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *of, ksize=1) / 2 for of in ((1, 0), (0, 1)))
    twice_across, twice_down = (cv2.Sobel(smooth, cv2.CV_32F, *of, ksize=1) for of in ((2, 0), (0, 2)))
    both = cv2.Sobel(across, cv2.CV_32F, 0, 1, ksize=1) / 2
    bent = twice_across * across**2 + 2 * both * across * down + twice_down * down**2
    slope = across**2 + down**2
    return np.divide(bent, slope, out=np.zeros_like(bent), where=slope > 0)
