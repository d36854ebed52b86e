"""Masks as runs, and what can be done with them without a dense frame anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

LARGEST = 2**31 - 2
"""Most pixels of a frame: places are counted in 32 bits."""


class MaskError(ValueError):
    """A mask that cannot be: `mask` is its position among those given, `side` which of two lists holds it."""

    def __init__(self, mask: int, complaint: str, side: int = 0) -> None:
        super().__init__(f"mask {mask} {complaint}")
        self.mask, self.complaint, self.side = int(mask), complaint, side


class Runs(NamedTuple):
    """Masks as runs: mask i owns ptr[i]:ptr[i+1]; a run is `length` pixels from row-major index `start`."""

    ptr: np.ndarray  # int64, masks + 1
    start: np.ndarray  # int32, runs
    length: np.ndarray  # int32, runs

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.ptr) - 1


def check_frame(height: int, width: int) -> None:
    """Refuse a frame that no mask can have.

    Raises:
        ValueError: a side is no positive whole number, or there are more than LARGEST pixels.
    """
    if not (height == int(height) >= 1 and width == int(width) >= 1 and int(height) * int(width) <= LARGEST):
        raise ValueError(
            f"a frame of {height} x {width} pixels holds no masks: it needs 1 to {LARGEST} pixels"
        )


def checked(runs: Runs, height: int = 1, width: int = LARGEST) -> Runs:
    """Return runs as compiled loops take them, which ask nothing: contiguous, of the declared types, sound.

    Without a frame only what holds in any is asked for: runs that ascend and do not overlap.

    Raises:
        ValueError: the frame is none, or a mask's runs are not canonical ones within it.
    """
    check_frame(height, width)
    arrays = [np.asarray(field) for field in runs]
    if any(
        field.ndim != 1 or not (np.issubdtype(field.dtype, np.integer) or not field.size) for field in arrays
    ):
        raise ValueError("runs are three lists of whole numbers: ptr, start and length")
    ptr, start, length = arrays
    if not ptr.size or ptr[0] != 0 or start.size != length.size:
        raise ValueError("runs need as many starts as lengths, and where each mask's begin and the last end")
    sound = Runs(np.ascontiguousarray(ptr, np.int64), *(_narrow(field) for field in (start, length)))
    broken = _unsound(*sound, int(height) * int(width), int(width))
    if broken >= 0:
        where = "any frame" if width == LARGEST else f"a frame of {height} x {width} pixels"
        raise MaskError(broken, f"is no list of ascending runs, each on one row, within {where}")
    return sound


def from_masks(masks: np.ndarray) -> Runs:
    """Return the canonical runs of dense masks, shape (n, height, width)."""
    masks = np.ascontiguousarray(masks).astype(bool)
    count, height, width = masks.shape
    check_frame(height, width)
    edges = np.diff(masks.astype(np.int8), axis=2, prepend=0, append=0)
    begin, end = np.argwhere(edges == 1), np.argwhere(edges == -1)
    ptr = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(begin[:, 0], minlength=count), out=ptr[1:])
    start = begin[:, 1] * width + begin[:, 2]
    return Runs(ptr, start.astype(np.int32), (end[:, 2] - begin[:, 2]).astype(np.int32))


def to_masks(runs: Runs, height: int, width: int) -> np.ndarray:
    """Return dense masks, bool, shape (n, height, width): for pictures and tests."""
    runs = checked(runs, height, width)
    masks = np.zeros((len(runs), height * width), bool)
    for index in range(len(runs)):
        for run in range(runs.ptr[index], runs.ptr[index + 1]):
            masks[index, runs.start[run] : runs.start[run] + runs.length[run]] = True
    return masks.reshape(-1, height, width)


def crop(runs: Runs, index: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return mask `index` of canonical runs within its own box, bool, and the box's left and top."""
    one = take(runs, [index])
    left, top, right, bottom = boxes(one, width)[0]
    return _crop(one.start, one.length, width, left, top, right, bottom), left, top


def canonical(runs: Runs, height: int, width: int) -> Runs:
    """Sort and unite runs, cut them at the ends of rows, and drop what lies outside the frame."""
    check_frame(height, width)
    ptr, start, length = (np.ascontiguousarray(field, np.int64) for field in runs)
    if not (ptr.size and ptr[0] == 0 and ptr[-1] == start.size == length.size and (np.diff(ptr) >= 0).all()):
        raise ValueError("runs need as many starts as lengths, and where each mask's begin and the last end")
    return Runs(*_canonical(ptr, start, length, int(height), int(width)))


def take(runs: Runs, indices: Sequence[int] | np.ndarray) -> Runs:
    """Return the masks of `indices`, in that order."""
    indices = np.asarray(indices, np.int64)
    counts = (runs.ptr[1:] - runs.ptr[:-1])[indices]
    ptr = np.zeros(len(indices) + 1, np.int64)
    np.cumsum(counts, out=ptr[1:])
    chosen = np.arange(ptr[-1]) + np.repeat(runs.ptr[indices] - ptr[:-1], counts)
    return Runs(ptr, runs.start[chosen], runs.length[chosen])


def concatenate(parts: Sequence[Runs]) -> Runs:
    """Return the masks of all parts, one after another."""
    if not parts:
        return Runs(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
    counts = np.concatenate([np.diff(part.ptr) for part in parts])
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    return Runs(
        ptr, np.concatenate([part.start for part in parts]), np.concatenate([part.length for part in parts])
    )


def areas(runs: Runs) -> np.ndarray:
    """Return the masks' pixel counts, int32."""
    runs = checked(runs)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(runs.length, dtype=np.int64)])
    return np.diff(total[runs.ptr]).astype(np.int32)


def boxes(runs: Runs, width: int) -> np.ndarray:
    """Return boxes of canonical runs, int32 (n, 4): left, top, exclusive right, bottom; zeros if empty."""
    check_frame(1, width)
    return _boxes(*checked(runs, LARGEST // int(width), width), width)


def cut(text: bytes | str, ends: np.ndarray) -> list:
    """Cut a text in pieces; ends[i] is where piece i ends."""
    return [text[begin:end] for begin, end in pairwise([0, *ends.tolist()])]


def _narrow(places: np.ndarray) -> np.ndarray:
    """Return whole numbers as int32; such as it cannot hold become -1, which no frame has."""
    if places.dtype != np.int32:
        places = np.where((places >= 0) & (places <= LARGEST), places, -1)
    return np.ascontiguousarray(places, np.int32)


def union_area(runs: Runs) -> int:
    """Return how many pixels the masks cover together."""
    runs = checked(runs)
    whole = Runs(np.array([0, len(runs.start)], np.int64), runs.start, runs.length)
    order = np.argsort(whole.start, kind="stable")
    return int(_covered(whole.start[order], whole.length[order]))


# ---------------------------------------------------------------------------------------------------- kernels


@njit(cache=True, nogil=True)
def _unsound(ptr, start, length, pixels, width):
    """Return the first mask whose runs are not canonical within the frame, or -1; touching runs may pass."""
    before = np.int64(0)
    for i in range(ptr.size - 1):
        if ptr[i] != before or not before <= ptr[i + 1] <= start.size:
            return i
        done, edge, before = np.int64(0), np.int64(width), ptr[i + 1]  # edge: where the next row begins
        for r in range(ptr[i], ptr[i + 1]):
            x, pieces = np.int64(start[r]), np.int64(length[r])
            if x < done or not 1 <= pieces <= width or x > pixels:
                return i
            if x >= edge:
                edge += width
                if x >= edge:
                    edge = (x // width + 1) * width
            done = x + pieces
            if done > edge:
                return i
        if done > pixels:
            return i
    return np.int64(-1) if before == start.size else ptr.size - 1


@njit(cache=True, nogil=True)
def _canonical(ptr, start, length, height, width):
    pixels = np.int64(height) * width
    bound = 0
    for i in range(ptr.size - 1):
        pieces = 0
        for r in range(ptr[i], ptr[i + 1]):
            pieces += 2 + min(max(length[r], 0), pixels) // width
        bound += min(pieces, height + ptr[i + 1] - ptr[i])  # each ends where a row does, or a run
    new_ptr = np.zeros(ptr.size, np.int64)
    new_start, new_length = np.empty(bound, np.int32), np.empty(bound, np.int32)
    m = 0
    for i in range(ptr.size - 1):
        order = ptr[i] + np.argsort(start[ptr[i] : ptr[i + 1]], kind="mergesort")
        done = np.int64(0)  # everything before this pixel is settled
        for k in range(order.size):
            x = max(start[order[k]], done)
            end = min(start[order[k]] + min(length[order[k]], pixels + pixels), pixels)
            while x < end:
                stop = min(end, (x // width + 1) * width)
                if m > new_ptr[i] and new_start[m - 1] + new_length[m - 1] == x and x % width:
                    new_length[m - 1] += stop - x
                else:
                    new_start[m], new_length[m] = x, stop - x
                    m += 1
                x = stop
            done = max(done, end)
        new_ptr[i + 1] = m
    return new_ptr, new_start[:m].copy(), new_length[:m].copy()


@njit(cache=True, nogil=True)
def _boxes(ptr, start, length, width):
    out = np.zeros((ptr.size - 1, 4), np.int32)
    for i in range(ptr.size - 1):
        if ptr[i] == ptr[i + 1]:
            continue
        x0, x1 = width, 0
        for r in range(ptr[i], ptr[i + 1]):
            x = start[r] % width
            x0, x1 = min(x0, x), max(x1, x + length[r])
        out[i, 0], out[i, 1] = x0, start[ptr[i]] // width
        out[i, 2], out[i, 3] = x1, start[ptr[i + 1] - 1] // width + 1
    return out


@njit(cache=True, nogil=True)
def _crop(start, length, width, left, top, right, bottom):
    out = np.zeros((bottom - top, right - left), np.bool_)
    for r in range(start.size):
        y = start[r] // width
        x = start[r] - y * width - left
        out[y - top, x : x + length[r]] = True
    return out


@njit(cache=True, nogil=True)
def _covered(start, length):
    total, done = np.int64(0), np.int64(0)
    for r in range(start.size):
        end = np.int64(start[r]) + length[r]
        total += max(end - max(np.int64(start[r]), done), 0)
        done = max(done, end)
    return total
