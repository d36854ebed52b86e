"""Synthetic data sets with Sartorius' statistics: as many cells per type, as large, seen by many detectors.

A cell is a blob (a circle whose radius waves) joined with limbs. Its *depth* at a point is how many pixels
the point lies within its outline, negative outside; truth is where depth is positive, cut to be disjoint but
for a few cells that overlap or come twice, as in the real annotations. A detector sees a cell through 28 x 28
samples of depth, disturbed by a smooth field of its own, over a box that it shifted and stretched; it misses
some cells, and invents others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator

from benchmarks.depths import patches, raster, sample
from neuroseg import rle, segmentation, tables

HEIGHT, WIDTH = 520, 704
WAVES, LIMBS = 4, 4


class Kind(NamedTuple):
    """A cell type: its share of images, cells an image (mean, deviation), and a cell's shape, in pixels."""

    share: float
    cells: float
    spread: float
    radius: float
    radius_spread: float
    wave: float
    limbs: float
    limb: float
    thickness: float


KINDS = {
    "shsy5y": Kind(0.256, 345.0, 130.0, 5.6, 0.22, 0.16, 2.2, 16.0, 1.35),
    "cort": Kind(0.515, 34.5, 18.0, 8.6, 0.20, 0.07, 0.5, 7.0, 1.5),
    "astro": Kind(0.229, 82.0, 35.0, 13.0, 0.28, 0.17, 3.2, 24.0, 2.6),
}
"""Counted in the competition's 606 images: 155 shsy5y, 312 cort and 139 astro, 337, 34 and 80 cells in the
mean, of (median) 188, 222 and 625 pixels."""


class Cells(NamedTuple):
    """Shapes: centre (n, 2), radius (n,), waves (n, WAVES, 2), limbs (n, LIMBS, 3): end and half width."""

    centre: np.ndarray
    radius: np.ndarray
    waves: np.ndarray
    limbs: np.ndarray


class Scene(NamedTuple):
    """One image: its type, its true masks, and the detections of each set."""

    cell_type: str
    truth: rle.Runs
    sets: list[pd.DataFrame]


def draw(seed: int, number: int, sets: int) -> Scene:
    """Draw image `number` of a data set."""
    rng = np.random.default_rng([seed, number])
    name = str(rng.choice(list(KINDS), p=[kind.share for kind in KINDS.values()]))
    kind = KINDS[name]
    count = int(np.clip(rng.normal(kind.cells, kind.spread), 4, 790))
    cells = shapes(rng, kind, count)
    runs, boxes = raster(*cells, HEIGHT, WIDTH)
    kept, *claimed = segmentation.claim(*runs, rng.permutation(count), HEIGHT, WIDTH, 25, 0.6)
    again = rle.take(rle.Runs(*runs), rng.choice(kept, rng.poisson(0.01 * len(kept))))  # overlapping truth
    depth = sample(*cells, boxes)
    present = np.sort(kept)
    seen = [detect(rng, depth, boxes, present).assign(cell_type=name) for _ in range(sets)]
    return Scene(name, rle.concatenate([rle.Runs(*claimed), again]), seen)


def shapes(rng: Generator, kind: Kind, count: int) -> Cells:
    """Draw cells, two fifths of them in clumps."""
    frame = np.array([WIDTH, HEIGHT])
    clump = rng.uniform(0, frame, (6, 2))[rng.integers(0, 6, count)] + rng.normal(0, 60, (count, 2))
    clumped = (rng.random(count) < 0.4)[:, None]
    centre = np.clip(np.where(clumped, clump, rng.uniform(0, frame, (count, 2))), 2, frame - 3)
    radius = kind.radius * np.exp(rng.normal(0, kind.radius_spread, count))
    waves = rng.normal(0, kind.wave, (count, WAVES, 2)) / (1 + 0.35 * np.arange(WAVES)[:, None])
    angle, long = rng.uniform(0, 2 * np.pi, (2, count, LIMBS)), np.exp(rng.normal(0, 0.4, (count, LIMBS)))
    reach = 0.6 * radius[:, None] + kind.limb * long
    half = kind.thickness * np.exp(rng.normal(0, 0.2, (count, LIMBS)))
    half *= np.arange(LIMBS) < rng.poisson(kind.limbs, count)[:, None]
    limbs = np.stack([reach * np.cos(angle[0]), reach * np.sin(angle[0]), half], axis=2)
    return Cells(centre, radius, waves, limbs)


def detect(rng: Generator, depth: np.ndarray, boxes: np.ndarray, present: np.ndarray) -> pd.DataFrame:
    """Return one detector's detections: most cells present, more or less well, and some that are not."""
    hard = rng.gamma(2.0, 0.35, len(present))  # how badly it sees each cell
    found = rng.random(len(present)) > 0.02 + 0.1 * np.clip(hard, 0, 2)
    invented = rng.integers(0, len(boxes), rng.poisson(0.22 * len(present)))
    rows = np.concatenate([present[found], invented])
    off = np.concatenate([hard[found], rng.gamma(2.0, 0.35, len(invented))])[:, None]
    box = boxes[rows].astype(np.float64)
    side = np.maximum(box[:, 2:] - box[:, :2], 4.0)
    middle = (box[:, :2] + box[:, 2:]) / 2 + rng.normal(0, 0.05, side.shape) * off * side
    middle[found.sum() :] = rng.uniform((0, 0), (WIDTH, HEIGHT), (len(invented), 2))
    half = side * np.exp(rng.normal(0.02, 0.06, side.shape) * off) / 2
    first, last = np.maximum(middle - half, 0), np.minimum(middle + half, (WIDTH, HEIGHT))
    corners = np.concatenate([first, last], axis=1).T.astype(np.float32)
    score = np.clip(0.97 - 0.28 * off[:, 0] + rng.normal(0, 0.08, len(rows)), 0.05, 0.999)
    score[found.sum() :] = rng.beta(2, 4, len(invented))
    bumps = rng.normal(0, 0.7, (len(rows), 5, 5)).astype(np.float32) * off[:, None].astype(np.float32)
    return pd.DataFrame(
        {
            "score": score.astype(np.float32),
            **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)),
            "mask": tables.patch_column(patches(depth, rows, bumps)),
        }
    )
