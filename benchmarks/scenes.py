"""Synthetic data sets with Sartorius' statistics: as many cells per type, as large, seen by many detectors.

A cell is a blob (a circle whose radius waves) joined with limbs. Its *depth* at a point is how many pixels
the point lies within its outline, negative outside; truth is where depth is positive, cut to be disjoint but
for a few cells that overlap or come twice, as in the real annotations. A detector sees a cell through 28 x 28
samples of depth, disturbed by a smooth field of its own, over a box that it shifted and stretched; it misses
some cells, and invents others.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.random import Generator

from neuroseg import rle, segmentation, tables

HEIGHT, WIDTH = 520, 704
WAVES, LIMBS = 4, 4
BATCH = 32
"""Images drawn and written at a time."""


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


def write(folder: Path, images: int, sets: int, seed: int = 0) -> Path:
    """Write a data set as the stages would: images, instances and folds, and a detections file for each set.

    A folder that holds it already is left as it is: the same arguments give the same data.
    """
    done = folder / "folds.parquet"
    if done.exists():
        return folder
    ids = [f"image_{number:05d}" for number in range(images)]
    kinds = []
    with ExitStack() as stack:
        truth = stack.enter_context(tables.writing("instances", folder / "instances.parquet"))
        coverages = [tables.Coverage(tuple(ids), (f"m{m}/fold_0/plain",)) for m in range(sets)]
        files = [
            stack.enter_context(tables.writing("detections", folder / f"set_{m:02d}.parquet", coverage))
            for m, coverage in enumerate(coverages)
        ]
        for begin in range(0, images, BATCH):
            batch = ids[begin : begin + BATCH]
            scenes = [draw(seed, begin + number, sets) for number in range(len(batch))]
            kinds += [scene.cell_type for scene in scenes]
            truth(pd.concat([instances(scene, image) for scene, image in zip(scenes, batch, strict=True)]))
            for m, append in enumerate(files):
                found = [
                    scene.sets[m].assign(image_id=image) for scene, image in zip(scenes, batch, strict=True)
                ]
                append(pd.concat(found, ignore_index=True).assign(source=f"m{m}/fold_0/plain"))
    tables.write("images", listed(ids, kinds), folder / "images.parquet")
    fold = pd.DataFrame({"image_id": ids, "fold": (np.arange(images) % 5).astype(np.int8)})
    tables.write("folds", fold, done)
    return folder


def repeat(source: Path, folder: Path, times: int, sets: int) -> Path:
    """Write the first sets of a data set several times over, its images under new names."""
    done = folder / "folds.parquet"
    if done.exists():
        return folder
    images = tables.read("images", source / "images.parquet")
    for name in ("images", "instances", "folds"):
        table = tables.read(name, source / f"{name}.parquet")
        tables.write(
            name, pd.concat([renamed(table, copy) for copy in range(times)]), folder / f"{name}.parquet"
        )
    names = tuple(f"{image}_{copy}" for copy in range(times) for image in images["image_id"])
    for m in range(sets):
        name = f"set_{m:02d}.parquet"
        coverage = tables.Coverage(names, (f"m{m}/fold_0/plain",))
        found = tables.read("detections", source / name)
        with tables.writing("detections", folder / name, coverage) as append:
            for copy in range(times):
                append(renamed(found, copy))
    return folder


def renamed(table: pd.DataFrame, copy: int) -> pd.DataFrame:
    """Return a table whose images have other names."""
    return table.assign(image_id=table["image_id"] + f"_{copy}")


def listed(ids: list[str], kinds: list[str]) -> pd.DataFrame:
    """Return the images table."""
    empty = tables.empty("images").reindex(range(len(ids)))
    given = {"image_id": ids, "path": ids, "height": HEIGHT, "width": WIDTH, "cell_type": kinds, "group": ids}
    return empty.assign(**given, subset="train", annotated=True)


def instances(scene: Scene, image: str) -> pd.DataFrame:
    """Return a scene's true masks as an instances table."""
    return pd.DataFrame(
        {
            "image_id": image,
            "instance_id": np.arange(len(scene.truth), dtype=np.int32),
            "cell_type": scene.cell_type,
            **dict(
                zip(("x1", "y1", "x2", "y2"), rle.boxes(scene.truth, WIDTH).T.astype(np.float32), strict=True)
            ),
            "area": rle.areas(scene.truth),
            "rle": tables.rle_column(rle.to_coco(scene.truth, HEIGHT, WIDTH)),
            "score": np.full(len(scene.truth), np.nan, np.float32),
        }
    )


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
    corners = np.concatenate(
        [np.maximum(middle - half, 0), np.minimum(middle + half, (WIDTH, HEIGHT))], axis=1
    )
    score = np.clip(0.97 - 0.28 * off[:, 0] + rng.normal(0, 0.08, len(rows)), 0.05, 0.999)
    score[found.sum() :] = rng.beta(2, 4, len(invented))
    bumps = rng.normal(0, 0.7, (len(rows), 5, 5)).astype(np.float32) * off[:, None].astype(np.float32)
    return pd.DataFrame(
        {
            "score": score.astype(np.float32),
            **dict(zip(("x1", "y1", "x2", "y2"), corners.T.astype(np.float32), strict=True)),
            "mask": tables.patch_column(patches(depth, rows, bumps)),
        }
    )


# ---------------------------------------------------------------------------------------------------- kernels


@njit(cache=True, nogil=True)
def _depth(x, y, radius, waves, limbs):
    """Return how many pixels a point, relative to the cell's centre, lies within its outline."""
    far = np.sqrt(x * x + y * y)
    c1, s1 = (x / far, y / far) if far > 0 else (1.0, 0.0)
    c, s, edge = c1, s1, 1.0
    for wave in range(waves.shape[0]):
        edge += waves[wave, 0] * c + waves[wave, 1] * s
        c, s = c * c1 - s * s1, s * c1 + c * s1
    deepest = radius * max(edge, 0.2) - far
    for limb in range(limbs.shape[0]):
        u, v, half = limbs[limb]
        if half > 0:
            along = min(max((x * u + y * v) / (u * u + v * v), 0.0), 1.0)
            deepest = max(deepest, half - np.hypot(x - along * u, y - along * v))
    return deepest


@njit(cache=True, nogil=True)
def raster(centre, radius, waves, limbs, height, width):
    """Return the runs (ptr, start, length) and the boxes, int32 (n, 4), of cells drawn into the frame."""
    ptr, boxes = np.zeros(radius.size + 1, np.int64), np.zeros((radius.size, 4), np.int32)
    start, length = np.empty(4096, np.int32), np.empty(4096, np.int32)
    runs = 0
    for i in range(radius.size):
        reach = radius[i] * (1 + np.abs(waves[i]).sum()) + 1
        for limb in range(limbs.shape[1]):
            reach = max(reach, np.hypot(limbs[i, limb, 0], limbs[i, limb, 1]) + limbs[i, limb, 2] + 1)
        x0, x1 = max(int(centre[i, 0] - reach), 0), min(int(centre[i, 0] + reach) + 1, width)
        y0, y1 = max(int(centre[i, 1] - reach), 0), min(int(centre[i, 1] + reach) + 1, height)
        left, right, top, bottom = x1, x0 + 1, y1, y0 + 1
        for y in range(y0, y1):
            if runs + x1 - x0 > start.size:
                start, length = np.concatenate((start, start)), np.concatenate((length, length))
            inside = False
            for x in range(x0, x1):
                if _depth(x + 0.5 - centre[i, 0], y + 0.5 - centre[i, 1], radius[i], waves[i], limbs[i]) > 0:
                    if not inside:
                        start[runs], length[runs], inside = y * width + x, 0, True
                        runs += 1
                    length[runs - 1] += 1
                    left, right, top, bottom = (
                        min(left, x),
                        max(right, x + 1),
                        min(top, y),
                        max(bottom, y + 1),
                    )
                else:
                    inside = False
        ptr[i + 1] = runs
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = (
            min(left, right - 1),
            min(top, bottom - 1),
            right,
            bottom,
        )
    return (ptr, start[:runs].copy(), length[:runs].copy()), boxes


@njit(cache=True, nogil=True)
def sample(centre, radius, waves, limbs, boxes):
    """Return each cell's depth at 28 x 28 points of its box, float32."""
    side = tables.PATCH
    out = np.empty((radius.size, side, side), np.float32)
    for i in range(radius.size):
        for row in range(side):
            y = boxes[i, 1] + (row + 0.5) / side * (boxes[i, 3] - boxes[i, 1]) - centre[i, 1]
            for column in range(side):
                x = boxes[i, 0] + (column + 0.5) / side * (boxes[i, 2] - boxes[i, 0]) - centre[i, 0]
                out[i, row, column] = _depth(x, y, radius[i], waves[i], limbs[i])
    return out


@njit(cache=True, nogil=True)
def patches(depth, rows, bumps):
    """Return probabilities, uint8 (m, 28, 28): logistic in depth, disturbed by bumps on a 5 x 5 grid."""
    side = tables.PATCH
    out = np.empty((rows.size, side, side), np.uint8)
    for m in range(rows.size):
        for row in range(side):
            v = row * 4.0 / side
            r, down = int(v), np.float32(v - int(v))
            for column in range(side):
                u = column * 4.0 / side
                c, along = int(u), np.float32(u - int(u))
                above = bumps[m, r, c] + (bumps[m, r, c + 1] - bumps[m, r, c]) * along
                below = bumps[m, r + 1, c] + (bumps[m, r + 1, c + 1] - bumps[m, r + 1, c]) * along
                logit = 1.5 * depth[rows[m], row, column] + above + (below - above) * down
                out[m, row, column] = np.uint8(255 / (1 + np.exp(-logit)) + 0.5)
    return out
