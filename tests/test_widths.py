"""Pixel sizes by which cells would be as wide as no cell is."""

import numpy as np
import pandas as pd
import pytest

from neuroseg.segmentation import doubts


def cells(width: float, count: int, image: str = "a") -> pd.DataFrame:
    return pd.DataFrame({"image_id": [image] * count, "area": round(np.pi * width**2 / 4)})


@pytest.mark.parametrize(
    ("size", "doubted"), [(0.05, True), (0.31, False), (1.24, False), (4.4, False), (6.45, True)]
)
def test_cells_of_twenty_pixels_tell_which_pixel_sizes_cannot_be(size, doubted):
    images = pd.DataFrame({"image_id": ["a"], "pixel_size_um": [size]})
    told = doubts(cells(20, 30), images)
    assert len(told) == doubted
    assert all(f"would be {20 * size:.3g} µm wide" in each for each in told)


def test_few_cells_and_unknown_pixel_sizes_are_not_doubted():
    images = pd.DataFrame({"image_id": ["a", "b"], "pixel_size_um": [6.45, None]})
    assert doubts(cells(20, 9), images) == []
    assert doubts(cells(20, 99, "b"), images) == []


def test_each_pixel_size_is_doubted_by_itself():
    images = pd.DataFrame({"image_id": ["a", "b", "c"], "pixel_size_um": [6.45, 0.65, 6.45]})
    (told,) = doubts(pd.concat([cells(20, 30), cells(20, 30, "b"), cells(20, 10, "c")]), images)
    assert "6.45 µm a pixel (2)" in told
    assert "median of 40" in told
