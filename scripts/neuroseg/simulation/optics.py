"""A phase-contrast microscope: from optical thickness to the grey levels of a camera.

The wave behind a transparent specimen is exp(i * phase). Zernike's ring in the objective delays the light
that the specimen did not deflect by a quarter of a wave, so that thickness becomes darkness. The ring has a
width: it catches what was deflected by little as well, and this one fact gives both artefacts by which
everyone knows phase contrast, the bright halo around a cell and the shade-off within it. What floats above
the dish is out of focus: its wave travels on before it meets the cells (Fresnel). The recorder then levels
each picture, as the one behind the competition's did.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

BACKGROUND = 128.0
"""Grey level of an empty field."""


class Microscope(NamedTuple):
    """One field's optics and recorder. Lengths are pixels; axial ways, pixels squared (way by wavelength)."""

    ring: float = 2.4  # reach of the halo: the reciprocal width of the phase ring
    blur: float = 0.38  # reach of the point spread
    tilt: tuple[float, float] = (0.2, -0.3)  # the ring's misfit (x, y), which casts a touch of relief
    defocus: float = 0.0  # of the dish's floor
    lift: float = 5.0  # of what floats above it
    shading: float = 0.12  # uneven illumination: how much darker a corner is
    levelling: tuple[tuple[float, float], ...] = ((1.4, 0.93), (24.0, 0.06))  # means subtracted: reach, share
    gain: float = 260.0  # grey levels per unit of intensity
    noise: float = 1.3  # grey levels


def photograph(
    dish: np.ndarray, floating: np.ndarray, microscope: Microscope, margin: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the picture, uint8, of two phase maps (radians) with `margin` pixels a side beyond the frame."""
    light = intensity(dish, floating, microscope) * _lamp(dish.shape, microscope.shading, rng)
    level = sum(share * (ndimage.gaussian_filter(light, reach) - 1) for reach, share in microscope.levelling)
    grey = microscope.gain * (light - 1 - level)[margin:-margin, margin:-margin]
    grey += microscope.noise * rng.standard_normal(grey.shape)
    return np.clip(np.rint(BACKGROUND + grey), 0, 255).astype(np.uint8)


def intensity(dish: np.ndarray, floating: np.ndarray, microscope: Microscope) -> np.ndarray:
    """Return the intensity behind the objective, an empty field being 1. The field wraps: add a margin."""
    height, width = dish.shape
    fy, fx = fft.fftfreq(height)[:, None], fft.fftfreq(width)[None, :]
    square = fx**2 + fy**2
    caught = np.exp(-2 * (np.pi * microscope.ring) ** 2 * square)
    caught = caught * np.exp(-2j * np.pi * (microscope.tilt[0] * fx + microscope.tilt[1] * fy))
    pupil = np.exp(-2 * (np.pi * microscope.blur) ** 2 * square) * _travel(square, microscope.defocus)
    above = fft.ifft2(fft.fft2(np.exp(1j * floating)) * _travel(square, microscope.lift))
    wave = fft.fft2(above * np.exp(1j * dish))
    return np.abs(fft.ifft2(wave * pupil * (1 - caught - 1j * caught))) ** 2


def _travel(square: np.ndarray, way: float) -> np.ndarray:
    """Fresnel's propagator over a way along the axis, at squared spatial frequencies."""
    return np.exp(-1j * np.pi * way * square)


def _lamp(shape: tuple[int, int], depth: float, rng: np.random.Generator) -> np.ndarray:
    """Illumination with a brightest point of its own, darker by about `depth` at the corners."""
    y, x = (np.linspace(-1, 1, side) for side in shape)
    cx, cy = rng.uniform(-0.4, 0.4, 2)
    lamp = 1 - depth * ((x[None, :] - cx) ** 2 + (y[:, None] - cy) ** 2) / 2
    return lamp / lamp.mean()
