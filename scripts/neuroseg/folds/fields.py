"""Images of one field at different times, found by the images themselves where names tell no fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

_BLOCK = 8
"""Side, in pixels, of the squares whose roughness is compared: about a cell."""

_SHIFT = 6
"""Blocks by which a stage may miss its place when it comes back, either way along each axis."""


def joined(images: pd.DataFrame, load: Callable[[Path], np.ndarray], similarity: float) -> pd.DataFrame:
    """Return the images, groups joined that show one field, for a split that must not know held-out fields.

    Two images are similar as far as where they are rough correlates, at the best of small shifts: over hours
    cells change but hardly wander, and of unlike fields nothing corresponds. Of the 69 images of the
    competition that tests know, pairs of one field correlate by 0.75 to 0.92, others by at most 0.27; a day
    apart 0.6 were seen, three days apart 0.35. Only annotated images of equal size, outside the test subset,
    are compared. A joined group bears the alphabetically first of its groups' names.

    Args:
        images: Images table.
        load: Reads a grey image.
        similarity: Images that correlate by more than this belong together.
    """
    used = images[images["annotated"].astype(bool) & (images["subset"] != "test")]
    groups = dict.fromkeys(images["group"])
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    for _, alike in used.groupby(["height", "width"], sort=True):
        names = alike["group"].to_numpy(object)
        for one, other in zip(
            *np.nonzero(np.triu(_similarities(alike["path"], load) > similarity, 1)), strict=True
        ):
            first, second = sorted((root(names[one]), root(names[other])))
            parent[second] = first
    return images.assign(group=images["group"].map({group: root(group) for group in groups}))


def _similarities(paths: pd.Series, load: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Return how similar equally large images are, (n, n), from -1 to 1."""
    rough = np.stack([_roughness(load(Path(path))) for path in paths])
    rough -= rough.mean((1, 2), keepdims=True)
    rough /= np.maximum(np.sqrt((rough**2).mean((1, 2), keepdims=True)), 1e-6)
    height, width = rough.shape[1:]
    spectra = np.fft.rfft2(rough)
    near = np.r_[0 : _SHIFT + 1, -_SHIFT:0]
    rows, columns = np.unique(near % height), np.unique(near % width)
    result = np.empty((len(rough), len(rough)), np.float32)
    for place, spectrum in enumerate(spectra):
        correlation = np.fft.irfft2(spectrum.conj() * spectra, s=(height, width)) / (height * width)
        result[place] = correlation[:, rows][:, :, columns].max((1, 2))
    return result


def _roughness(image: np.ndarray) -> np.ndarray:
    """Return the logarithm of the grey values' deviation within each block, smoothed over its neighbours."""
    height, width = (max(side // _BLOCK, 1) for side in image.shape)
    whole = image[: height * _BLOCK, : width * _BLOCK].astype(np.float32)
    blocks = whole.reshape(height, whole.shape[0] // height, width, whole.shape[1] // width)
    padded = np.pad(np.log1p(blocks.std((1, 3))), 1, mode="edge")
    down = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 4
