"""Which pixels are numbers of cells, or black and white, rather than a photograph's grey values."""

from __future__ import annotations

import numpy as np

_SAME, _SAME_WITHIN = 0.8, 0.6
"""Where larger shares of all pixels, and of those that are not 0, equal their left neighbour, cells are
numbers: of photographs at most about half do, but for what is cut off at black or white."""

_ROWS = 1000
"""About so many rows, evenly spread, are looked at."""


def is_numbered(image: np.ndarray) -> bool:
    """Tell whether an image, (height, width), is a label image, a black and white mask, or all 0."""
    image = image[:: max(len(image) // _ROWS, 1)]
    same = image[:, 1:] == image[:, :-1]
    if not same.size or image.min() != 0 or same.mean() <= _SAME:
        return False
    two_values = ((image == 0) | (image == image.max())).all()
    return bool(two_values or same[image[:, 1:] != 0].mean() > _SAME_WITHIN)
