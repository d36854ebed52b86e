"""Kaggle's text of a mask: "start length start length ...", row-major and counted from 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from neuroseg.rle.runs import Runs, canonical, check_frame, checked, cut

SYNTAX, ORDER, RANGE, OVERLAP = 1, 2, 4, 8
"""What can be wrong with a Kaggle text, as bits: no pairs of positive numbers; not ascending; past the frame;
a pixel twice."""


def from_kaggle(texts: Sequence[str], height: int, width: int) -> tuple[Runs, np.ndarray]:
    """Read Kaggle's texts into canonical runs of a height x width frame.

    Returns:
        The runs, mended as far as they can be (sorted, clipped to the frame, pixels named twice counted
        once), and for each text its faults, uint8 bits of SYNTAX, ORDER, RANGE and OVERLAP, 0 where it is
        sound. A text of broken syntax has no runs.

    Raises:
        ValueError: the frame has no pixels, or too many (see `check_frame`).
    """
    check_frame(height, width)
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64) if encoded else np.zeros(0, np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    ptr, start, length, faults = _parse(data, ends)
    faults |= _order_and_range(ptr, start, length, height * width)
    return canonical(Runs(ptr, start, length), height, width), faults


def to_kaggle(runs: Runs) -> list[str]:
    """Write canonical runs as Kaggle's texts; runs that meet at rows' ends join, an empty mask no text."""
    out, ends = _write(*checked(runs))
    return cut(str(out, "ascii"), ends)


# ---------------------------------------------------------------------------------------------------- kernels


@njit(cache=True, nogil=True)
def _parse(data, ends):
    """One pass over the joined texts; text i ends at ends[i]. A run is at least three bytes and a blank."""
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
def _put_number(value, out, at):
    """Write a number's digits from `at`; return where they end. Unsigned: signed division is half as fast."""
    ten, end = np.uint32(10), at + np.uint64(1)
    power = np.uint64(10)
    while value >= power:
        power *= np.uint64(10)
        end += np.uint64(1)
    place = end
    while place > at:
        place -= np.uint64(1)
        out[place] = np.uint32(48) + value % ten
        value //= ten
    return end


@njit(cache=True, nogil=True)
def _write(ptr, start, length):
    out, ends = np.empty(22 * start.size + 1, np.uint8), np.empty(ptr.size - 1, np.int64)
    at = np.uint64(0)
    for i in range(ptr.size - 1):
        r = ptr[i]
        while r < ptr[i + 1]:
            begin, end = start[r], start[r] + length[r]
            r += 1
            while r < ptr[i + 1] and start[r] == end:
                end += length[r]
                r += 1
            at = _put_number(np.uint32(begin + 1), out, at)
            out[at] = 32
            at = _put_number(np.uint32(end - begin), out, at + np.uint64(1))
            if r < ptr[i + 1]:
                out[at] = 32
                at += np.uint64(1)
        ends[i] = at
    return out[:at], ends
