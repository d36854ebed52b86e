"""Run-length masks: Kaggle's text, COCO's compressed counts, and the runs between them, without a dense frame anywhere.

Three conventions meet here, and mixing them up costs competitors everything. Kaggle's text is row-major and 1-based
("start length start length ..."); COCO's counts are column-major and alternate background and foreground; `Runs` are
row-major and 0-based. Runs are *canonical* when they are sorted, do not touch, and none crosses the end of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numba import njit
from pycocotools import mask as coco

SYNTAX, ORDER, RANGE, OVERLAP = 1, 2, 4, 8
"""What can be wrong with a Kaggle text, as bits: no pairs of positive numbers; not ascending; past the frame; a pixel
twice."""


class Runs(NamedTuple):
    """Masks as runs: mask i owns runs ptr[i]:ptr[i+1]; a run is `length` pixels from flat row-major index `start`."""

    ptr: np.ndarray  # int64, masks + 1
    start: np.ndarray  # int32, runs
    length: np.ndarray  # int32, runs

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.ptr) - 1


# ------------------------------------------------------------------------------------------------------ Kaggle's text


def from_kaggle(texts: Sequence[str], height: int, width: int) -> tuple[Runs, np.ndarray]:
    """Read Kaggle's texts into canonical runs of a height x width frame.

    Returns:
        The runs, mended as far as they can be (sorted, clipped to the frame, pixels named twice counted once), and for
        each text its faults, uint8 bits of SYNTAX, ORDER, RANGE and OVERLAP, 0 where it is sound. A text of broken
        syntax has no runs.
    """
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64) if encoded else np.zeros(0, np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    ptr, start, length, faults = _parse(data, ends)
    faults |= _order_and_range(ptr, start, length, height * width)
    return canonical(Runs(ptr, start, length), height, width), faults


def to_kaggle(runs: Runs) -> list[str]:
    """Write canonical runs as Kaggle's texts; runs that meet across a row's end become one, an empty mask no text."""
    out, ends = _write(runs.ptr, runs.start, runs.length)
    return _cut(out.tobytes().decode("ascii"), ends)


# ------------------------------------------------------------------------------------------- COCO's compressed counts


def to_coco(runs: Runs, height: int, width: int) -> list[bytes]:
    """Write canonical runs as COCO's compressed counts of a height x width frame, byte for byte as pycocotools does."""
    out, ends = _compress(runs.ptr, runs.start, runs.length, height, width)
    return _cut(out.tobytes(), ends)


def from_coco(counts: Sequence[bytes] | pd.Series, height: int, width: int) -> Runs:
    """Read COCO's compressed counts, such as a table's `rle` column, into canonical runs.

    Raises:
        ValueError: counts that are no run lengths of a height x width frame.
    """
    lying = from_coco_lying(counts, height, width)
    return Runs(*_turn(lying.ptr, lying.start, lying.length, width, height))


def from_coco_lying(counts: Sequence[bytes] | pd.Series, height: int, width: int) -> Runs:
    """Read COCO's compressed counts into canonical runs of the transposed frame: the masks lying on their side.

    That is COCO's own order, nothing has to be turned: five times faster, and enough for areas and overlaps.

    Raises:
        ValueError: counts that are no run lengths of a height x width frame.
    """
    ptr, start, length, broken = _decompress(*_end_to_end(counts), height, width)
    if broken >= 0:
        raise ValueError(f"mask {broken} holds no run lengths of a frame of {height} x {width} pixels")
    return Runs(ptr, start, length)


# ------------------------------------------------------------------------------------------------- dense, and polygons


def from_masks(masks: np.ndarray) -> Runs:
    """Return the canonical runs of dense masks, shape (n, height, width)."""
    masks = np.ascontiguousarray(masks).astype(bool)
    count, _, width = masks.shape
    edges = np.diff(masks.astype(np.int8), axis=2, prepend=0, append=0)
    begin, end = np.argwhere(edges == 1), np.argwhere(edges == -1)
    ptr = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(begin[:, 0], minlength=count), out=ptr[1:])
    start = begin[:, 1] * width + begin[:, 2]
    return Runs(ptr, start.astype(np.int32), (end[:, 2] - begin[:, 2]).astype(np.int32))


def to_masks(runs: Runs, height: int, width: int) -> np.ndarray:
    """Return dense masks, bool, shape (n, height, width): for pictures and tests."""
    masks = np.zeros((len(runs), height * width), bool)
    for index in range(len(runs)):
        for run in range(runs.ptr[index], runs.ptr[index + 1]):
            masks[index, runs.start[run] : runs.start[run] + runs.length[run]] = True
    return masks.reshape(-1, height, width)


def crop(runs: Runs, index: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return mask `index` of canonical runs within its own box, bool, and the box's left and top."""
    left, top, right, bottom = boxes(take(runs, [index]), width)[0]
    return _crop(runs.ptr, runs.start, runs.length, index, width, left, top, right, bottom), left, top


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> bytes:
    """Return the compressed counts of COCO polygons (x, y, x, y, ...), united."""
    return coco.merge(coco.frPyObjects([list(polygon) for polygon in polygons], height, width))["counts"]


def from_uncompressed(counts: Sequence[int], height: int, width: int) -> bytes:
    """Return the compressed counts of COCO's plain list of run lengths."""
    return coco.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)["counts"]


# ----------------------------------------------------------------------------------------------------- work on runs


def canonical(runs: Runs, height: int, width: int) -> Runs:
    """Sort and unite runs, cut them at the ends of rows, and drop what lies outside the frame."""
    return Runs(*_canonical(runs.ptr, runs.start, runs.length, height, width))


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
    return Runs(ptr, np.concatenate([part.start for part in parts]), np.concatenate([part.length for part in parts]))


def areas(runs: Runs) -> np.ndarray:
    """Return the masks' pixel counts, int32."""
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(runs.length, dtype=np.int64)])
    return np.diff(total[runs.ptr]).astype(np.int32)


def boxes(runs: Runs, width: int) -> np.ndarray:
    """Return the boxes of canonical runs, int32 (n, 4): left, top, and exclusive right, bottom; zeros if empty."""
    return _boxes(runs.ptr, runs.start, runs.length, width)


def union_area(runs: Runs) -> int:
    """Return how many pixels the masks cover together."""
    whole = Runs(np.array([0, len(runs.start)], np.int64), runs.start, runs.length)
    order = np.argsort(whole.start, kind="stable")
    return int(_covered(whole.start[order], whole.length[order]))


# ------------------------------------------------------------------------------------------------------------ kernels


def _cut(text: bytes | str, ends: np.ndarray) -> list:
    return [text[begin:end] for begin, end in pairwise([0, *ends.tolist()])]


def _end_to_end(counts: Sequence[bytes] | pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the joined bytes, and where each text ends; a column is read where it lies in Arrow's memory."""
    array = pa.array(counts, pa.binary())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends[1:] - ends[0]


@njit(cache=True, nogil=True)
def _parse(data, ends):
    """One pass over the joined texts; ends[i] is where text i ends. A run takes at least three bytes and a blank."""
    capacity = data.size // 4 + ends.size + 1
    start, length = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    ptr, faults = np.zeros(ends.size + 1, np.int64), np.zeros(ends.size, np.uint8)
    runs, at = 0, 0
    for text in range(ends.size):
        first = runs
        value, inside, second, sound = np.int64(0), False, False, True
        while at <= ends[text]:
            byte = data[at] if at < ends[text] else np.uint8(32)
            if 48 <= byte <= 57:
                value = min(value * 10 + (byte - 48), np.int64(2**31 - 1))
                inside = True
            elif byte == 32:
                if inside:
                    if value == 0:
                        sound = False
                    elif second:
                        length[runs] = value
                        runs += 1
                    else:
                        start[runs] = value - 1
                    second = not second
                value, inside = np.int64(0), False
            else:
                sound = False
            if at == ends[text]:
                break
            at += 1
        if second or not sound or runs == first:
            faults[text] = SYNTAX
            runs = first
        ptr[text + 1] = runs
    return ptr, start[:runs].copy(), length[:runs].copy(), faults


@njit(cache=True, nogil=True)
def _order_and_range(ptr, start, length, pixels):
    faults = np.zeros(ptr.size - 1, np.uint8)
    for i in range(ptr.size - 1):
        for r in range(ptr[i], ptr[i + 1]):
            if np.int64(start[r]) + length[r] > pixels:
                faults[i] |= RANGE
            if r > ptr[i] and start[r] < start[r - 1]:
                faults[i] |= ORDER
        order = ptr[i] + np.argsort(start[ptr[i] : ptr[i + 1]])
        for k in range(1, order.size):
            if start[order[k]] < np.int64(start[order[k - 1]]) + length[order[k - 1]]:
                faults[i] |= OVERLAP
    return faults


@njit(cache=True, nogil=True)
def _canonical(ptr, start, length, height, width):
    pixels = np.int64(height) * width
    bound = 0
    for r in range(start.size):
        bound += 2 + min(np.int64(length[r]), pixels) // width
    new_ptr = np.zeros(ptr.size, np.int64)
    new_start, new_length = np.empty(bound, np.int32), np.empty(bound, np.int32)
    m = 0
    for i in range(ptr.size - 1):
        order = ptr[i] + np.argsort(start[ptr[i] : ptr[i + 1]], kind="mergesort")
        done = np.int64(0)  # everything before this pixel is settled
        for k in range(order.size):
            x = max(np.int64(start[order[k]]), done)
            end = min(np.int64(start[order[k]]) + length[order[k]], pixels)
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
def _put_number(value, out, at):
    digits = 1
    power = 10
    while value >= power:
        digits += 1
        power *= 10
    for d in range(digits):
        out[at + digits - 1 - d] = 48 + value % 10
        value //= 10
    return at + digits


@njit(cache=True, nogil=True)
def _write(ptr, start, length):
    out, ends = np.empty(22 * start.size + 1, np.uint8), np.empty(ptr.size - 1, np.int64)
    at = 0
    for i in range(ptr.size - 1):
        r = ptr[i]
        while r < ptr[i + 1]:
            begin, end = start[r], start[r] + length[r]
            r += 1
            while r < ptr[i + 1] and start[r] == end:
                end += length[r]
                r += 1
            at = _put_number(begin + 1, out, at)
            out[at] = 32
            at = _put_number(end - begin, out, at + 1)
            if r < ptr[i + 1]:
                out[at] = 32
                at += 1
        ends[i] = at
    return out[:at].copy(), ends


@njit(cache=True, nogil=True)
def _put_count(value, out, at):
    """COCO's variable-length number: five bits a byte, low bits first, a sixth says that more follow."""
    while True:
        byte = value & 0x1F
        value >>= 5
        more = value != -1 if byte & 0x10 else value != 0
        out[at] = 48 + (byte | 0x20 if more else byte)
        at += 1
        if not more:
            return at


@njit(cache=True, nogil=True)
def _compress(ptr, start, length, height, width):
    """Turn each mask's runs into columns inside its own box, then write differences of every second count."""
    frame = _boxes(ptr, start, length, width)
    bound = 16
    for i in range(ptr.size - 1):
        bound += 14
        for r in range(ptr[i], ptr[i + 1]):
            bound += 14 * (length[r] + 1)
    out, ends = np.empty(bound, np.uint8), np.empty(ptr.size - 1, np.int64)
    window = np.zeros(4096, np.uint8)
    counts = np.empty(1024, np.int64)
    at = 0
    for i in range(ptr.size - 1):
        x0, y0 = frame[i, 0], frame[i, 1]
        w, h = frame[i, 2] - x0, frame[i, 3] - y0
        if window.size < w * h:
            window = np.zeros(2 * w * h, np.uint8)
        if counts.size < w * h + 3:
            counts = np.empty(2 * (w * h + 3), np.int64)
        window[: w * h] = 0
        for r in range(ptr[i], ptr[i + 1]):
            y = start[r] // width
            x = start[r] - y * width - x0
            for k in range(x, x + length[r]):
                window[k * h + y - y0] = 1
        n, settled, on, begin = 0, np.int64(0), False, np.int64(0)
        for x in range(w):
            column = np.int64(x0 + x) * height + y0
            for y in range(h):
                if window[x * h + y] != on:
                    if on:
                        counts[n], counts[n + 1] = begin - settled, column + y - begin
                        settled = column + y
                        n += 2
                    begin, on = column + y, not on
            if on and h < height:
                counts[n], counts[n + 1] = begin - settled, column + h - begin
                settled = column + h
                n += 2
                on = False
        if on:
            end = np.int64(x0 + w) * height
            counts[n], counts[n + 1] = begin - settled, end - begin
            settled = end
            n += 2
        if settled < np.int64(height) * width:
            counts[n] = np.int64(height) * width - settled
            n += 1
        for k in range(n):
            at = _put_count(counts[k] - counts[k - 2] if k > 2 else counts[k], out, at)
        ends[i] = at
    return out[:at].copy(), ends


@njit(cache=True, nogil=True)
def _decompress(data, ends, height, width):
    """Return column-major runs, cut at columns' ends, and the first mask whose counts do not fill the frame, or -1."""
    pixels = np.int64(height) * width
    ptr = np.zeros(ends.size + 1, np.int64)
    start, length = np.empty(data.size // 2 + 1024, np.int32), np.empty(data.size // 2 + 1024, np.int32)
    runs, at = 0, 0
    for i in range(ends.size):
        k, position, edge = 0, np.int64(0), np.int64(0)  # edge: where the column ends
        before, last = np.int64(0), np.int64(0)
        room = runs + (ends[i] - at) // 2 + width  # once a mask: in the inner loop it would treble the time
        if room > start.size:
            start = np.concatenate((start, np.empty(room, np.int32)))
            length = np.concatenate((length, np.empty(room, np.int32)))
        while at < ends[i]:
            value, shift, more = np.int64(0), 0, True
            while more:
                if at >= ends[i] or data[at] < 48 or data[at] > 111 or shift > 40:
                    return ptr, start, length, i
                byte = np.int64(data[at]) - 48
                value |= (byte & 0x1F) << shift
                more = (byte & 0x20) != 0
                shift += 5
                at += 1
                if not more and byte & 0x10:
                    value |= np.int64(-1) << shift
            if k > 2:
                value += before
            before, last = last, value
            if value < 0 or position + value > pixels:
                return ptr, start, length, i
            x, position = position, position + value
            if k % 2 and value:
                if x >= edge:
                    edge = (x // height + 1) * height
                elif runs > ptr[i] and start[runs - 1] + length[runs - 1] == x:
                    runs -= 1  # no background between them: one run after all
                    x = np.int64(start[runs])
                while x < position:
                    start[runs], length[runs] = x, min(position, edge) - x
                    x += length[runs]
                    runs += 1
                    edge += height if x < position else 0
            k += 1
        if position != pixels:
            return ptr, start, length, i
        ptr[i + 1] = runs
    return ptr, start[:runs].copy(), length[:runs].copy(), -1


@njit(cache=True, nogil=True)
def _turn(ptr, start, length, height, width):
    """Return the canonical runs of the transposed frame, each mask through a window of its own box."""
    frame = _boxes(ptr, start, length, width)
    new_ptr = np.zeros(ptr.size, np.int64)
    new_start, new_length = np.empty(start.size + 1024, np.int32), np.empty(start.size + 1024, np.int32)
    window = np.zeros(4096, np.uint8)
    runs = 0
    for i in range(ptr.size - 1):
        x0, y0 = frame[i, 0], frame[i, 1]
        w, h = frame[i, 2] - x0, frame[i, 3] - y0
        if window.size < w * h:
            window = np.zeros(2 * w * h, np.uint8)
        window[: w * h] = 0
        room = runs
        for r in range(ptr[i], ptr[i + 1]):
            y = start[r] // width
            x = start[r] - y * width - x0
            room += length[r]
            for k in range(x, x + length[r]):
                window[k * h + y - y0] = 1
        if room > new_start.size:
            new_start = np.concatenate((new_start, np.empty(room, np.int32)))
            new_length = np.concatenate((new_length, np.empty(room, np.int32)))
        for x in range(w):
            y = 0
            while y < h:
                if window[x * h + y]:
                    begin = y
                    while y < h and window[x * h + y]:
                        y += 1
                    new_start[runs], new_length[runs] = np.int64(x0 + x) * height + y0 + begin, y - begin
                    runs += 1
                else:
                    y += 1
        new_ptr[i + 1] = runs
    return new_ptr, new_start[:runs].copy(), new_length[:runs].copy()


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
def _crop(ptr, start, length, index, width, left, top, right, bottom):
    out = np.zeros((bottom - top, right - left), np.bool_)
    for r in range(ptr[index], ptr[index + 1]):
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
