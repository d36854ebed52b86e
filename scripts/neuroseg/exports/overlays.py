"""Pictures: the outlines of the cells upon every image, in its own pixels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from neuroseg import files, rle
from neuroseg.exports.scenes import Scene, pixels_of

COLOURS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ],
    np.uint8,
)
"""Okabe and Ito's colours, told apart by colour-blind eyes; cells take them in turn, so neighbours differ."""

_SAMPLE = 2_000_000
"""Pixels, about, from which the range of greys is taken."""


def write(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `<name>_overlay.png` for every image.

    Raises:
        DataError: an image is gone or damaged, or has another size than its table says.
    """
    for scene in scenes:
        pixels = pixels_of(scene)
        with files.replacing(folder / f"{scene.name}_overlay.png") as path:
            Image.fromarray(drawn(pixels, scene.masks)).save(path, format="png")


def drawn(pixels: np.ndarray, masks: rle.Runs) -> np.ndarray:
    """Return an image in colour, uint8 (height, width, 3): each cell's outermost pixels in its colour.

    Greys are stretched so that the middle 99 % of them fill the range.
    """
    picture = np.repeat(_stretched(pixels)[..., None], 3, axis=2)
    for cell in range(len(masks)):
        mask, left, top = rle.crop(masks, cell, pixels.shape[1])
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        place = picture[top : top + mask.shape[0], left : left + mask.shape[1]]
        place[mask & ~inner] = COLOURS[cell % len(COLOURS)]
    return picture


def _stretched(pixels: np.ndarray) -> np.ndarray:
    step = max(1, int((pixels.size / _SAMPLE) ** 0.5))
    low, high = np.percentile(pixels[::step, ::step], (0.5, 99.5))
    greys = np.arange(np.iinfo(pixels.dtype).max + 1)
    return np.clip(np.rint((greys - low) * (255 / max(high - low, 1))), 0, 255).astype(np.uint8)[pixels]
