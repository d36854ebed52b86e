"""Patches of 15 sets to averaged, disjoint masks to counts, on a crowded image: beside crops, full frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pycocotools import mask as coco
from scipy import ndimage

from benchmarks import data
from benchmarks.measuring import Row, agree, once, peak, race, ratio
from benchmarks.scenes import HEIGHT, WIDTH
from neuroseg import fusion, rle, segmentation, tables
from neuroseg.fusion import Fusion, Recipe
from neuroseg.tables import PATCH

LEAST, MASK, AREA = 0.3, 0.5, 30
FEW = 12
"""Clusters that full frames are given."""

MEMORY = """
from benchmarks import masks
def prepare():
    case = masks.crowded()
    masks.ours(*case)  # compiled, and every module loaded
    return case
def work(prepared):
    masks.ours(*prepared)
"""


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of masks."""
    case = crowded()
    clusters = len(case[-1])
    agree(ours(*case) == crops(*case), "masks")
    times = race({"peer": lambda: crops(*case), "ours": lambda: ours(*case)}, rounds)
    name = f"patches to counts, {clusters} clusters, {int((case[3] >= 0).sum())} members"
    reached = ratio(times["peer"], times["ours"])
    yield Row(name, "numpy crops", times["peer"], times["ours"], ">= 25x", reached, "same masks")
    taken, _ = once(lambda: full_frames(*case, FEW))
    taken *= clusters / FEW
    note = f"another algorithm, timed on {FEW} clusters and scaled"
    yield Row("the same", "full frames", taken, times["ours"], ">= 1000x", ratio(taken, times["ours"]), note)
    yield Row("memory of that", "the data alone", None, None, "< 10 MiB", f"{peak(MEMORY):.1f} MiB")


def crowded() -> tuple[np.ndarray, ...]:
    """Return patches, boxes, weights and owners of a crowded image's members, and fused boxes, best first."""
    folder = data.folder(60)
    counts = data.truth(60)["image_id"].value_counts()
    image = (counts - 340).abs().idxmin()
    paths = [folder / f"set_{m:02d}.parquet" for m in range(data.SETS)]
    members, _ = fusion.gather(paths, Recipe(members={f"m{m}": 1.0 for m in range(data.SETS)}))
    parts = [tables.read("detections", path, [image]) for path in paths]
    detections = pd.concat(parts, ignore_index=True)
    boxes, scores = tables.boxes(detections), detections["score"].to_numpy(float)
    lists = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    given = fusion.Candidates(
        boxes.astype(float), scores, np.zeros(len(detections), int), lists, np.ones(len(members))
    )
    fused = fusion.wbf(given, Fusion())
    kept = int((fused.scores >= LEAST).sum())
    owner = np.where(fused.owner < kept, fused.owner, -1)
    return tables.patches(detections), boxes, scores, owner, fused.boxes[:kept].astype(np.float32)


def ours(
    patches: np.ndarray, boxes: np.ndarray, weights: np.ndarray, owner: np.ndarray, fused: np.ndarray
) -> list[bytes]:
    """Return the counts as the stages `ensemble` and `segment` make them."""
    masks = fusion.average(patches, boxes, weights, owner, fused)
    *runs, _ = segmentation.paste(masks, fused, np.arange(len(fused)), HEIGHT, WIDTH, MASK)
    _, *claimed = segmentation.claim(*runs, np.arange(len(fused)), HEIGHT, WIDTH, AREA, 0.5)
    return rle.to_coco(rle.Runs(*claimed), HEIGHT, WIDTH)


def crops(
    patches: np.ndarray, boxes: np.ndarray, weights: np.ndarray, owner: np.ndarray, fused: np.ndarray
) -> list[bytes]:
    """Do the same in numpy, each cluster within its own box."""
    taken, out = np.zeros((HEIGHT, WIDTH), bool), []
    members = np.argsort(owner, kind="stable")
    ptr = np.searchsorted(owner[members], np.arange(len(fused) + 1))
    for k, box in enumerate(fused.astype(np.float64)):
        field, whole = np.zeros((PATCH, PATCH), np.float32), 0.0
        for i in members[ptr[k] : ptr[k + 1]]:
            whole += weights[i]
            field += resampled(patches[i], boxes[i].astype(np.float64), box, np.float32(weights[i]))
        patch = np.minimum(field / whole + 0.5, 255.0).astype(np.uint8)
        mask, left, top = pasted(patch, box)
        window = taken[top : top + mask.shape[0], left : left + mask.shape[1]]
        free = mask & ~window
        if not free.any() or (mask & window).sum() > 0.5 * mask.sum():
            continue
        fragments, _ = ndimage.label(free, np.ones((3, 3)))
        free = fragments == 1 + np.argmax(np.bincount(fragments.ravel())[1:])
        if free.sum() >= AREA:
            window |= free
            frame = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
            frame[top : top + mask.shape[0], left : left + mask.shape[1]] = free
            out.append(coco.encode(frame)["counts"])
    return out


def places(points: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return after which sample of a side (0 is padding) points lie, and how far on."""
    place = np.clip((points - low) * (PATCH / (high - low)) + 0.5, 0.0, PATCH + 1.0)
    return place.astype(int), (place - place.astype(int)).astype(np.float32)


def resampled(patch: np.ndarray, own: np.ndarray, box: np.ndarray, weight: np.float32) -> np.ndarray:
    """Return a member's patch at the samples of a fused box, times its weight."""
    padded = np.zeros((PATCH + 3, PATCH + 3), np.float32)
    padded[1 : PATCH + 1, 1 : PATCH + 1] = patch
    steps = np.arange(PATCH) + 0.5
    column, along = places(box[0] + steps * (box[2] - box[0]) / PATCH, own[0], own[2])
    row, down = places(box[1] + steps * (box[3] - box[1]) / PATCH, own[1], own[3])
    of_above, of_below = weight * (np.float32(1) - down), weight * down
    rows = of_above[:, None] * padded[row] + of_below[:, None] * padded[row + 1]
    return rows[:, column] + (rows[:, column + 1] - rows[:, column]) * along


def pasted(patch: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return where a patch reaches MASK, within its reach, and that window's left and top."""
    padded = np.zeros((PATCH + 3, PATCH + 3), np.float32)
    padded[1 : PATCH + 1, 1 : PATCH + 1] = patch.astype(np.float32) / np.float32(255)
    x0, y0, x1, y1 = box
    margin = (box[2:] - box[:2]) / (2 * PATCH) + 1
    left, right = (int(np.clip(edge, 0, WIDTH)) for edge in (x0 - margin[0], x1 + margin[0]))
    top, bottom = (int(np.clip(edge, 0, HEIGHT)) for edge in (y0 - margin[1], y1 + margin[1]))
    column, along = spots(left, right, x0, x1)
    row, down = spots(top, bottom, y0, y1)
    rows = padded[row] + (padded[row + 1] - padded[row]) * down[:, None]
    return rows[:, column] + (rows[:, column + 1] - rows[:, column]) * along >= np.float32(MASK), left, top


def spots(first: int, last: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `places` for the centres of pixels."""
    place = np.clip((np.arange(first, last) + 0.5 - low) * PATCH / (high - low) + 0.5, 0.0, PATCH + 1.0)
    return place.astype(int), (place - place.astype(int)).astype(np.float32)


def full_frames(
    patches: np.ndarray,
    boxes: np.ndarray,
    weights: np.ndarray,
    owner: np.ndarray,
    fused: np.ndarray,
    few: int,
) -> list[bytes]:
    """Paste every member into a whole frame and average there, as ensembles of masks do."""
    taken, out = np.zeros((HEIGHT, WIDTH), bool), []
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for k in np.linspace(0, len(fused) - 1, few).astype(int):
        members = np.flatnonzero(owner == k)
        mean = np.zeros((HEIGHT, WIDTH), np.float32)
        for i in members:
            x0, y0, x1, y1 = boxes[i]
            at = (rows - y0) / (y1 - y0) * PATCH - 0.5, (columns - x0) / (x1 - x0) * PATCH - 0.5
            mean += np.float32(weights[i]) * ndimage.map_coordinates(
                patches[i].astype(np.float32), at, order=1, mode="grid-constant"
            )
        mask = (mean / np.float32(weights[members].sum() * 255) >= MASK) & ~taken
        taken |= mask
        out.append(coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"])
    return out
