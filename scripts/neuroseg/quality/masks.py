"""Checks on the masks of one image, and their repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import njit

from neuroseg import rle
from neuroseg.quality.checks import Limits, Settings

_EIGHT = np.ones((3, 3), bool)


class Finding(NamedTuple):
    """A check that complains about mask `at` of the image, and why."""

    check: str
    at: int
    message: str


class Inspected(NamedTuple):
    """The given masks after repair, which of them stay, and what was found."""

    masks: rle.Runs
    stays: np.ndarray  # bool, one per mask
    findings: list[Finding]


def inspect(masks: rle.Runs, names: list[str], height: int, width: int, settings: Settings) -> Inspected:
    """Check the canonical masks of one image, one by one and against each other.

    Shape is checked as given, size after repair, likeness last and among those that stay, so that masks which
    repair makes equal are found too. Pieces may touch by corners; a hole is background that reaches the
    outside by no side.

    Args:
        masks: the masks of one image.
        names: where each stands in the files.
        height: of the frame, pixels.
        width: of the frame, pixels.
        settings: policies and limits.
    """
    masks = rle.checked(masks, height, width)
    findings = list(_shapes(masks, width, settings.limits))
    masks = _mend(masks, findings, width, settings)
    areas = rle.areas(masks)
    findings += _sizes(areas, height * width, settings.limits)
    stays = np.ones(len(masks), bool)
    stays[[finding.at for finding in findings if settings.policies[finding.check] == "drop"]] = False
    for earlier, later, iou in _alike(masks, width, settings.limits.duplicate_iou):
        if stays[earlier] and stays[later]:
            check = "duplicate_mask" if iou == 1 else "near_duplicate"
            message = "is identical to" if iou == 1 else f"shares {100 * iou:.0f} % (IoU) with"
            findings.append(Finding(check, later, f"the mask {message} the one of {names[earlier]}"))
            stays[later] = settings.policies[check] != "drop"
    return Inspected(masks, stays, findings)


def overlap_share(masks: rle.Runs) -> float:
    """Return which share of the pixels under masks lies under more than one, 0 without masks."""
    if not len(masks.start):
        return 0.0
    ends = masks.start.astype(np.int64) + masks.length
    steps = np.zeros(int(ends.max()) + 1, np.int32)
    np.add.at(steps, masks.start, 1)
    np.add.at(steps, ends, -1)
    depth = np.cumsum(steps)
    return float((depth > 1).sum() / (depth > 0).sum())


def _shapes(masks: rle.Runs, width: int, limits: Limits) -> Iterator[Finding]:
    shape = _topology(masks.ptr, masks.start, masks.length, rle.boxes(masks, width), width)
    for at in np.flatnonzero((shape[:, 0] > 1) | (shape[:, 2] > 0)):
        pieces, largest, holes, gap, area = shape[at].tolist()
        if pieces > 1:
            yield Finding(
                "fragments",
                at,
                f"the mask is in {pieces} pieces, the largest has {largest} of its {area} pixels",
            )
        if holes:
            share = gap / (gap + area)
            check = "hollow_mask" if share > limits.hollow_share else "hole"
            words = (
                f"{_count(holes, 'hole')} of {_count(gap, 'pixel')}, {100 * share:.1f} % of the filled mask"
            )
            yield Finding(check, at, f"the mask has {words}")


def _mend(masks: rle.Runs, findings: list[Finding], width: int, settings: Settings) -> rle.Runs:
    """Return the masks with the findings that ask for it repaired, each within its own box."""
    repairs = [finding for finding in findings if settings.policies[finding.check] == "repair"]
    broken = sorted({finding.at for finding in repairs})
    if not broken:
        return masks
    mended = []
    for at in broken:
        mask, left, top = rle.crop(masks, at, width)
        for check in (finding.check for finding in repairs if finding.at == at):
            mask = _largest_piece(mask) if check == "fragments" else _filled(mask)
        mended.append(_placed(mask, left, top, width))
    order = np.arange(len(masks))
    order[broken] = len(masks) + np.arange(len(broken))
    return rle.take(rle.concatenate([masks, *mended]), order)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage  # here and below: its import takes long, and not all data need mending

    pieces, _ = ndimage.label(mask, _EIGHT)
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1


def _filled(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.binary_fill_holes(mask)


def _placed(mask: np.ndarray, left: int, top: int, width: int) -> rle.Runs:
    """Return the runs of one mask given within a box, in a frame of `width`."""
    runs = rle.from_masks(mask[None])
    rows, columns = np.divmod(runs.start, mask.shape[1])
    return rle.Runs(runs.ptr, ((rows + top) * width + columns + left).astype(np.int32), runs.length)


def _sizes(areas: np.ndarray, frame: int, limits: Limits) -> Iterator[Finding]:
    for at in np.flatnonzero((areas < max(limits.tiny_area, 1)) | (areas > limits.large_share * frame)):
        area = int(areas[at])
        if not area:
            yield Finding("empty_mask", at, "the mask has no pixel")
        elif area < limits.tiny_area:
            yield Finding(
                "tiny_mask", at, f"the mask has {_count(area, 'pixel')}, fewer than {limits.tiny_area:g}"
            )
        else:
            share = f"{100 * area / frame:.1f} %, more than {100 * limits.large_share:g} %"
            yield Finding("large_mask", at, f"the mask covers {area} pixels of the frame, {share}")


def _alike(masks: rle.Runs, width: int, limit: float) -> Iterator[tuple[int, int, float]]:
    """Yield (earlier, later, IoU) of masks alike by more than `limit`, by the later and then the earlier."""
    later, earlier, shared, union = rle.overlaps_of_runs(masks, masks, width)
    iou = shared / union
    for at in np.flatnonzero((earlier < later) & (iou > limit)):
        yield int(earlier[at]), int(later[at]), float(iou[at])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


# ------------------------------------- kernels: two calls of scipy for each cell would take ten times as long


@njit(cache=True, nogil=True)
def _topology(ptr, start, length, boxes, width):
    """Return per mask: pieces, pixels of the largest, holes, their pixels, area. Floods its box and a rim."""
    out = np.zeros((ptr.size - 1, 5), np.int64)
    window = np.zeros(4096, np.uint8)
    stack = np.zeros(4096, np.int64)
    for i in range(ptr.size - 1):
        left, top = boxes[i, 0] - 1, boxes[i, 1] - 1
        w, h = boxes[i, 2] - left + 1, boxes[i, 3] - top + 1
        if window.size < w * h:
            window, stack = np.zeros(2 * w * h, np.uint8), np.zeros(2 * w * h, np.int64)
        window[: w * h] = 0
        for r in range(ptr[i], ptr[i + 1]):
            y = start[r] // width
            first = (y - top) * w + start[r] - y * width - left
            window[first : first + length[r]] = 1
            out[i, 4] += length[r]
        _flood(window, stack, 0, w, h, 0)
        for p in range(w * h):
            if window[p] == 0:
                out[i, 2] += 1
                out[i, 3] += _flood(window, stack, p, w, h, 0)
            elif window[p] == 1:
                out[i, 0] += 1
                out[i, 1] = max(out[i, 1], _flood(window, stack, p, w, h, 1))
    return out


@njit(cache=True, nogil=True)
def _flood(window, stack, seed, w, h, value):
    """Mark what is joined to `seed` with `value` (0 by sides, 1 by corners too) as 2; return its pixels."""
    stack[0], depth, pixels = seed, 1, 0
    window[seed] = 2
    while depth:
        depth -= 1
        p = stack[depth]
        pixels += 1
        y, x = p // w, p % w
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if value == 0 and dy and dx:
                    continue
                if 0 <= y + dy < h and 0 <= x + dx < w and window[p + dy * w + dx] == value:
                    window[p + dy * w + dx] = 2
                    stack[depth] = p + dy * w + dx
                    depth += 1
    return pixels
