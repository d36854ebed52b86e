"""COCO's average precision of masks and of boxes, without COCO's cap of 100 detections an image.

pycocotools' COCOeval, whose figures these are, compares every mask with every other and unpacks each into
objects of Python. At thresholds from one half on, the few pairs that reach it tell as much: they come from
run lengths, as for the competition's score, and are matched by one loop: 60 images take 0.017 CPU s in place
of COCOeval's 8.2 (docs/benchmarks.md), for the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from neuroseg import tables
from neuroseg.metrics.overlaps import of_images, pairs_of

_LEVELS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds as it computes them, to the last bit; a pair reaches one that its IoU equals."""

_RECALLS = np.linspace(0.0, 1.0, 101)


class _Side(NamedTuple):
    """Instances of the images to score."""

    table: pd.DataFrame
    image: np.ndarray  # int64, positions in `held`
    kind: np.ndarray  # int64, categories


class _Overlaps(NamedTuple):
    """Pairs of a predicted and a true instance with IoU >= 1/2, ordered by `one`, then `other`."""

    one: np.ndarray
    other: np.ndarray
    iou: np.ndarray


def coco(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> dict[str, float]:
    """Return COCO's AP of the images of `held`; instances of other images are ignored.

    COCO's headline figure counts the 100 best detections of an image and so punishes whoever finds all cells
    of a crowded one; here every detection counts. As in COCO, AP is averaged over categories: the cell types,
    where each instance on both sides has one; otherwise all instances are of one category. Instances without
    a score rank as certain.

    Returns:
        mask_ap, mask_ap50, mask_ap75, box_ap, box_ap50, box_ap75; -1, as COCO writes it, where there is no
        truth.

    Raises:
        DataError: masks that do not fit their image's frame.
    """
    found, true = _sides(predicted, truth, held)
    score = found.table["score"].fillna(1.0).to_numpy(np.float64)
    order = np.lexsort((found.image, -score))  # equals in the order of their images, as COCO has them
    figures = {}
    for name, pairs in (("mask", _masks(found, true, held)), ("box", _boxes(found, true, len(held)))):
        precision = _precision(_hits(found, true, pairs, order), found, true, order)
        for suffix, part in (("", precision), ("50", precision[0]), ("75", precision[5])):
            figures[f"{name}_ap{suffix}"] = float(part.mean()) if part.size else -1.0
    return figures


def _sides(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> tuple[_Side, _Side]:
    parts = [of_images(side, held) for side in (predicted, truth)]
    types = pd.concat([table["cell_type"] for table, _ in parts])
    kinds = pd.factorize(types)[0] if types.notna().all() else np.zeros(len(types), np.int64)
    split = np.split(kinds, [len(parts[0][0])])
    found, true = (_Side(*part, kind) for part, kind in zip(parts, split, strict=True))
    return found, true


def _masks(predicted: _Side, truth: _Side, held: pd.DataFrame) -> _Overlaps:
    found = pairs_of(predicted.table, predicted.image, truth.table, truth.image, held)
    return _Overlaps(found.one, found.other, found.intersection / found.union)


def _boxes(predicted: _Side, truth: _Side, images: int) -> _Overlaps:
    corners = [tables.boxes(side.table).astype(np.float64) for side in (predicted, truth)]
    rows = np.argsort(truth.image, kind="stable")
    ptr = np.searchsorted(truth.image[rows], np.arange(images + 1))
    return _Overlaps(*_box_pairs(corners[0], predicted.image, corners[1], rows, ptr))


def _hits(predicted: _Side, truth: _Side, found: _Overlaps, order: np.ndarray) -> np.ndarray:
    """Return which predictions, in their order, are true positives, bool (thresholds, predictions)."""
    alike = predicted.kind[found.one] == truth.kind[found.other]
    one, other, iou = (field[alike] for field in found)
    ptr = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.bincount(one, minlength=len(order)), out=ptr[1:])
    return _match(order, ptr, other, iou, _LEVELS, len(truth.kind))


def _precision(hits: np.ndarray, predicted: _Side, truth: _Side, order: np.ndarray) -> np.ndarray:
    """Return precision at each threshold and recall of each category with truth, (10, 101, categories)."""
    kind, truths = predicted.kind[order], np.bincount(truth.kind)
    curves = [list(_curves(hits[:, kind == each], truths[each])) for each in np.flatnonzero(truths)]
    return np.array(curves).reshape(-1, len(_LEVELS), len(_RECALLS)).transpose(1, 2, 0).copy()


def _curves(hits: np.ndarray, truths: int) -> Iterator[np.ndarray]:
    """Yield for each threshold the best precision at each recall or higher, 0 where recall is not reached."""
    for tp in hits.cumsum(axis=1):
        precision = tp / (np.arange(1, tp.size + 1) + np.spacing(1))
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        yield best[np.searchsorted(tp / truths, _RECALLS)]


# ---------------------------------------------------------------------------------------------------- kernels


@njit(cache=True, nogil=True)
def _box_pairs(corners, image, true_corners, true_rows, ptr):
    """Compare predicted boxes with the true ones, which `true_rows` and `ptr` list image by image."""
    one, other, iou = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64)
    n = 0
    for i in range(image.size):
        begin, end = ptr[image[i]], ptr[image[i] + 1]
        if n + end - begin > one.size:
            room = one.size + end - begin
            one, other = np.append(one, np.empty(room, np.int64)), np.append(other, np.empty(room, np.int64))
            iou = np.append(iou, np.empty(room))
        x1, y1, x2, y2 = corners[i]
        own = (x2 - x1) * (y2 - y1)
        for row in true_rows[begin:end]:
            left, top, right, bottom = true_corners[row]
            across, down = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
            if across <= 0 or down <= 0:
                continue
            shared = across * down
            overlap = shared / (own + (right - left) * (bottom - top) - shared)
            if overlap >= 0.5:
                one[n], other[n], iou[n] = i, row, overlap
                n += 1
    return one[:n], other[:n], iou[:n]


@njit(cache=True, nogil=True)
def _match(order, ptr, truths, iou, levels, count):
    """Let each prediction in turn take the free truth that it overlaps most; of equals the last, as COCO."""
    hits = np.zeros((levels.size, order.size), np.bool_)
    for level in range(levels.size):
        taken = np.zeros(count, np.bool_)
        for place in range(order.size):
            best, most = -1, levels[level]
            for edge in range(ptr[order[place]], ptr[order[place] + 1]):
                if iou[edge] >= most and not taken[truths[edge]]:
                    best, most = truths[edge], iou[edge]
            if best >= 0:
                taken[best] = hits[level, place] = True
    return hits
