"""Planes of noise and how they are read, for the tests of grey values."""

import numpy as np

from neuroseg import readers

NOISE = np.random.default_rng(0).integers(90, 170, (64, 80)).astype(np.uint8)
DEEP = NOISE.astype(np.uint16) * 24 + 3
"""As a 12-bit camera gives it: 2163 to 4059."""


def read(path) -> np.ndarray:
    return readers.read_image(path)
