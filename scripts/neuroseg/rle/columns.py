"""The loops between rows and columns, compiled: COCO's numbers, runs turned on their side, and masks as bits.

A line is a row of the frame, or a column where masks lie on their side. On their way masks are taken apart
into `lines`, `firsts` and `lengths`: of each run the line, the first pixel on it and the length, int32, with
room for more; mask i owns those from ptr[i] to ptr[i + 1]. Then they are *bits*: a mask owns words at[i]:at[i
+ 1] (uint64), those of its box's lines in turn, each line beginning at the box's edge; boxes (n, 4) are first
line, first pixel on a line, and exclusive last ones, 0 if empty.

The loops stay in one file because numba keeps what it compiled until the file of the calling loop changes.
Each does one thing to an image's masks: few calls, and few values that the processor has to keep at hand. In
hot loops places are unsigned or counted from a slice's begin: of others numba asks whether they are negative,
at every step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EVERY, ONE, EIGHT = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(1), np.uint64(8)

ZEROS, LONG = np.uint64(0x3030303030303030), np.uint64(0xE0E0E0E0E0E0E0E0)
"""Eight of COCO's digits 0, and what tells of eight bytes less these that one is no whole number."""

BLOCK = 256
"""Masks that are unpacked at a time, where there may be many."""


@njit(cache=True, nogil=True)
def decompress(
    data: np.ndarray, offset: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return column-major runs, cut by column, and the first mask whose counts do not fill a frame, or -1."""
    masks = offset.size - 1
    all_rows, ptr = np.arange(masks), np.zeros(masks + 1, np.int64)
    start: np.ndarray
    length: np.ndarray
    start, length = np.empty(data.size // 2 + 1024, np.int32), np.empty(data.size // 2 + 1024, np.int32)
    runs = 0
    for first in range(0, masks, BLOCK):
        rows = all_rows[first : first + BLOCK]
        own, lines, firsts, lengths, _, _, broken = _decode(data, offset, rows, height, width)
        if broken >= 0:
            return ptr, start, length, broken
        count = own[rows.size]
        if runs + count > start.size:
            start = np.concatenate((start, np.empty(runs + count, np.int32)))
            length = np.concatenate((length, np.empty(runs + count, np.int32)))
        for r in range(count):
            start[runs + r], length[runs + r] = lines[r] * height + firsts[r], lengths[r]
        ptr[first : first + rows.size + 1] = runs + own
        runs += count
    return ptr, start[:runs].copy(), length[:runs].copy(), -1


@njit(cache=True, nogil=True)
def overlaps(
    a_data: np.ndarray,
    a_offset: np.ndarray,
    a_rows: np.ndarray,
    a_image: np.ndarray,
    b_data: np.ndarray,
    b_offset: np.ndarray,
    b_rows: np.ndarray,
    b_image: np.ndarray,
    sizes: np.ndarray,
) -> tuple[np.ndarray, np.int64, np.int64]:
    """Find the pairs of masks of one image with IoU >= 1/2: of each both rows, pixels shared, and union.

    Args:
        a_data: the compressed counts of one side, end to end.
        a_offset: where those of each row begin, and the last end.
        a_rows: the rows, image by image.
        a_image: where the rows of each image begin among them, and the last end.
        b_data: the same of the other side.
        b_offset: the same.
        b_rows: the same.
        b_image: the same.
        sizes: (images, 2), height and width.

    Returns:
        Pairs, int64 (n, 4); the first side's and the other side's first broken row, or -1. Nothing broken is
        ever laid out as bits.
    """
    found, n = np.empty((a_rows.size + 16, 4), np.int64), 0
    a_words, b_words = np.empty(4096, np.uint64), np.empty(4096, np.uint64)
    for image in range(sizes.shape[0]):
        height, width = sizes[image]
        of_a, of_b = a_rows[a_image[image] : a_image[image + 1]], b_rows[b_image[image] : b_image[image + 1]]
        ptr, lines, firsts, lengths, a_box, a_area, a_broken = _decode(a_data, a_offset, of_a, height, width)
        if a_broken >= 0:
            return found[:0], a_broken, np.int64(-1)
        a_at, a_words = _bits(ptr, lines, firsts, lengths, a_box, a_words)
        ptr, lines, firsts, lengths, b_box, b_area, b_broken = _decode(b_data, b_offset, of_b, height, width)
        if b_broken >= 0:
            return found[:0], np.int64(-1), b_broken
        b_at, b_words = _bits(ptr, lines, firsts, lengths, b_box, b_words)
        first = n
        found, n = _search(a_at, a_words, a_box, a_area, b_at, b_words, b_box, b_area, found, n)
        for k in range(first, n):
            found[k, 0], found[k, 1] = of_a[found[k, 0]], of_b[found[k, 1]]
    return found[:n].copy(), np.int64(-1), np.int64(-1)


@njit(cache=True, nogil=True)
def overlaps_of_runs(
    a_ptr: np.ndarray,
    a_start: np.ndarray,
    a_length: np.ndarray,
    b_ptr: np.ndarray,
    b_start: np.ndarray,
    b_length: np.ndarray,
    width: int,
) -> np.ndarray:
    """Find the pairs of one image's masks, given as canonical runs: (n, 4) as `overlaps` does."""
    lines, firsts, lengths = _take_apart(a_start, a_length, width)
    a_box, a_area = _measure(a_ptr, lines, firsts, lengths)
    a_at, a_words = _bits(a_ptr, lines, firsts, lengths, a_box, np.empty(0, np.uint64))
    lines, firsts, lengths = _take_apart(b_start, b_length, width)
    b_box, b_area = _measure(b_ptr, lines, firsts, lengths)
    b_at, b_words = _bits(b_ptr, lines, firsts, lengths, b_box, np.empty(0, np.uint64))
    found = np.empty((a_ptr.size + 16, 4), np.int64)
    found, n = _search(a_at, a_words, a_box, a_area, b_at, b_words, b_box, b_area, found, 0)
    return found[:n].copy()


@njit(cache=True, nogil=True)
def turn(
    ptr: np.ndarray, start: np.ndarray, length: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the canonical runs of the transposed frame.

    Where a line's bits differ from those of the line before, runs across the lines begin and end.
    """
    new_ptr = np.zeros(ptr.size, np.int64)
    new_start: np.ndarray
    new_length: np.ndarray
    new_start, new_length = np.empty(start.size + 1024, np.int32), np.empty(start.size + 1024, np.int32)
    lines, firsts, lengths = _take_apart(start, length, width)
    box, _ = _measure(ptr, lines, firsts, lengths)
    at = _places(box)
    words, slot, zero = np.empty(1024, np.uint64), np.zeros(width + 64, np.int64), np.uint64(0)
    for i in range(ptr.size - 1):
        size, wide = at[i + 1] - at[i], _wide(box, i)
        words = _with_room(words, size)
        _lay(ptr, lines, firsts, lengths, box, at, i, i + 1, words)

        slot[: 64 * wide] = 0
        for w in range(size):
            fresh, column = (
                words[w] & ~(words[w - wide] if w >= wide else zero),
                64 * (w % wide if wide > 1 else 0),
            )
            while fresh:
                slot[np.uint64(column + _lowest(fresh))] += 1
                fresh &= fresh - ONE
        runs = new_ptr[i]
        for x in range(64 * wide):
            slot[x], runs = runs, runs + slot[x]
        new_ptr[i + 1] = runs
        if runs > new_start.size:
            new_start = np.concatenate((new_start, np.empty(runs, np.int32)))
            new_length = np.concatenate((new_length, np.empty(runs, np.int32)))
        for w in range(size + wide):
            now, before = words[w] if w < size else zero, words[w - wide] if w >= wide else zero
            line, column = (w // wide, 64 * (w % wide)) if wide > 1 else (w, 0)
            corner, begins, ends = (
                (box[i, 1] + column) * height + box[i, 0] + line,
                now & ~before,
                before & ~now,
            )
            while begins:
                bit = _lowest(begins)
                new_start[np.uint64(slot[np.uint64(column + bit)])] = corner + bit * height
                begins &= begins - ONE
            while ends:
                bit = _lowest(ends)
                place = np.uint64(column + bit)
                run = np.uint64(slot[place])
                new_length[run] = corner + bit * height - new_start[run]
                slot[place] += 1
                ends &= ends - ONE
    runs = new_ptr[-1]
    return new_ptr, new_start[:runs].copy(), new_length[:runs].copy()


@njit(cache=True, nogil=True)
def compress(
    ptr: np.ndarray, start: np.ndarray, length: np.ndarray, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Write the counts of column-major runs, and where each mask's end."""
    out, ends = np.empty(14 * start.size + 7 * ptr.size, np.uint8), np.empty(ptr.size - 1, np.int64)
    at = 0
    for i in range(ptr.size - 1):
        settled, gap, run, pairs = 0, 0, 0, 0
        r = ptr[i]
        while r < ptr[i + 1]:
            begin, end = start[r], start[r] + length[r]
            r += 1
            while r < ptr[i + 1] and start[r] == end:  # a column's end is no end to COCO
                end += length[r]
                r += 1
            at = _put_count(begin - settled - (gap if pairs > 1 else 0), out, at)
            at = _put_count(end - begin - (run if pairs > 0 else 0), out, at)
            gap, run, settled = begin - settled, end - begin, end
            pairs += 1
        if settled < pixels:
            at = _put_count(pixels - settled - (gap if pairs > 1 else 0), out, at)
        ends[i] = at
    return out[:at].copy(), ends


@njit(cache=True, nogil=True)
def write(counts: np.ndarray) -> np.ndarray:
    """Write a mask's counts, int64, as they stand; from the fourth on, as differences to the last but one."""
    out, at = np.empty(7 * counts.size, np.uint8), 0
    for i in range(counts.size):
        at = _put_count(counts[i] - (counts[i - 2] if i > 2 else 0), out, at)
    return out[:at].copy()


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
def _decode(data, offset, rows, height, width):
    """Read rows' counts into runs, cut at columns' ends; return ptr, runs, boxes, areas, a broken row or -1.

    Broken are counts that do not fill the frame, or one of which is negative or beyond it, so that their sum
    can never leave 64 bits; told is the first such row. Nothing in the loop makes the processor
    guess, which is what unpacking would otherwise spend its time on; what few masks have is mended
    afterwards. `x` is the place on the line.
    """
    values, begin, broken = _numbers(data, offset, rows)
    ptr, end, odd = np.zeros(rows.size + 1, np.int64), np.uint64(0), False
    lines, firsts, lengths = _runs(values.size // 2)
    box, area = np.zeros((rows.size, 4), np.int32), np.zeros(rows.size, np.int32)
    for i in range(rows.size if broken < 0 else broken):
        v, count = np.uint64(begin[i]), begin[i + 1] - begin[i]
        line, gap, run = values[v] // height, np.int64(0), np.int64(0)
        x = values[v] - line * height - 1
        values[v] = 1
        if count > 2:
            values[v + np.uint64(2)] -= 1  # each count adds to the last but one, but for the third
        low, high, least, pixels = height, np.int64(0), np.int64(1), np.int64(0)
        every = line  # the bits of all counts: of one negative or too long, some beyond the frame's 31
        for _ in range(count // 2):
            gap += values[v]
            run += values[v + ONE]
            x += gap
            further = np.int64(x >= height)
            line, x = line + further, x - (height & -further)
            lines[end], firsts[end], lengths[end] = line, x, run
            low, pixels = min(low, x), pixels + run
            x += run
            high, least, every = max(high, x), min(least, gap, run), every | gap | run
            v, end = v + np.uint64(2), end + ONE
        if count > 1:
            box[i, 0], box[i, 1], box[i, 2], box[i, 3] = lines[np.uint64(ptr[i])], low, line + 1, high
            area[i] = pixels
        if count & 1:
            gap += values[v]
            x += gap
        every |= gap
        if every < 0 or every >> 31 or line * height + x != np.int64(height) * width:
            return ptr, lines, firsts, lengths, box, area, rows[i]
        odd |= (least == 0) | (high > height)  # empty or touching runs, and such as leave a line or skip one
        ptr[i + 1] = end
    if broken >= 0:
        return ptr, lines, firsts, lengths, box, area, rows[broken]
    if odd:
        ptr, lines, firsts, lengths = _cut(ptr, lines, firsts, lengths, height)
        box, area = _measure(ptr, lines, firsts, lengths)
    return ptr, lines, firsts, lengths, box, area, np.int64(-1)


@njit(cache=True, nogil=True)
def _numbers(data, offset, rows):
    """Read rows' numbers (see `_put_count`); return where each row's begin, and the first broken place or -1.

    Broken is a row without numbers, or with one that has no end or more than 12 bytes. Eight numbers of a
    byte each, which most are, are written at once. Otherwise each byte is taken for a number's last, and the
    next one's value written over it where it was not: five more bits enter at the top of a word, and the
    shift down to their place drops those of numbers before.
    """
    size = 1
    for row in rows:
        size += offset[row + 1] - offset[row]
    values, begin, n = np.empty(size, np.int64), np.zeros(rows.size + 1, np.int64), np.uint64(0)
    bits, spare, longest, seen = np.uint64(0), np.int64(59), np.int64(0), np.uint8(0)
    for i in range(rows.size):
        k, end = np.uint64(offset[rows[i]]), np.uint64(offset[rows[i] + 1])
        while k < end:
            if k + EIGHT <= end and spare == 59:
                word = _word(data, k) - ZEROS
                if not word & LONG:
                    for j in range(8):
                        values[n + np.uint64(j)] = np.int8(
                            (word << np.uint64(3)) >> np.uint64(8 * j)
                        ) >> np.int8(3)
                    n, k = n + EIGHT, k + EIGHT
                    continue
            stop = min(k + EIGHT, end)
            while k < stop:
                byte = data[k] - np.uint8(48)
                seen |= byte
                bits = (bits >> np.uint64(5)) | (np.uint64(byte) << np.uint64(59))
                values[n] = np.int64(bits) >> (spare & 63)
                more = np.uint64(byte >> np.uint8(5) & np.uint8(1))
                n += ONE - more
                spare = spare - 5 if more else np.int64(59)
                longest |= spare
                k += ONE
        begin[i + 1] = n
        if seen >= 64 or longest < 0 or spare != 59 or begin[i + 1] == begin[i]:
            return values, begin, i
    return values, begin, np.int64(-1)


@njit(cache=True, nogil=True)
def _word(data, k):
    """Return eight bytes from place k on, the first one lowest: the compiler makes one load of it."""
    word = np.uint64(0)
    for j in range(8):
        word |= np.uint64(data[k + np.uint64(j)]) << np.uint64(8 * j)
    return word


@njit(cache=True, nogil=True)
def _cut(ptr, lines, firsts, lengths, height):
    """Cut runs at columns' ends, join those that touch and drop empty ones."""
    new_ptr, runs, before = np.zeros_like(ptr), 0, -1
    pieces = (firsts[: ptr[-1]].astype(np.int64) % height + lengths[: ptr[-1]]) // height + 1
    new_lines, new_firsts, new_lengths = _runs(pieces.sum())
    for i in range(ptr.size - 1):
        for r in range(ptr[i], ptr[i + 1]):
            position = np.int64(lines[r]) * height + firsts[r]
            end = position + lengths[r]
            while position < end:
                line, first = position // height, position % height
                left = min(end - position, height - first)
                if first and position == before and runs > new_ptr[i]:
                    new_lengths[runs - 1] += left
                else:
                    new_lines[runs], new_firsts[runs], new_lengths[runs] = line, first, left
                    runs += 1
                position += left
                before = position
        new_ptr[i + 1] = runs
    return new_ptr, new_lines, new_firsts, new_lengths


@njit(cache=True, nogil=True)
def _take_apart(start, length, width):
    """Take apart canonical runs."""
    lines, firsts, lengths = _runs(start.size)
    line, edge = np.int64(0), np.int64(width)  # edge: where the next line begins
    for r in range(start.size):
        if not edge - width <= start[r] < edge + width:
            line = start[r] // width
            edge = (line + 1) * width
        elif start[r] >= edge:
            line, edge = line + 1, edge + width
        lines[r], firsts[r], lengths[r] = line, start[r] - edge + width, length[r]
    return lines, firsts, lengths


@njit(cache=True, nogil=True)
def _measure(ptr, lines, firsts, lengths):
    """Return masks' boxes and areas."""
    masks = ptr.size - 1
    box, area = np.zeros((masks, 4), np.int32), np.zeros(masks, np.int32)
    for i in range(masks):
        first, end = np.uint64(ptr[i]), np.uint64(ptr[i + 1])
        if first < end:
            low, high, pixels = firsts[first], np.int32(0), np.int32(0)
            for r in range(first, end):
                low, high = min(low, firsts[r]), max(high, np.int32(firsts[r] + lengths[r]))
                pixels = np.int32(pixels + lengths[r])
            box[i, 0], box[i, 1], box[i, 2], box[i, 3] = lines[first], low, lines[end - ONE] + 1, high
            area[i] = pixels
    return box, area


@njit(cache=True, nogil=True)
def _places(box):
    """Return where masks' words begin, and the last end."""
    at = np.zeros(box.shape[0] + 1, np.int64)
    for i in range(box.shape[0]):
        at[i + 1] = at[i] + (box[i, 2] - box[i, 0]) * _wide(box, i)
    return at


@njit(cache=True, nogil=True)
def _lay(ptr, lines, firsts, lengths, box, at, one, last, words):
    """Write the bits of masks `one` to `last`, exclusive, into words, end to end."""
    words[: at[last] - at[one]] = np.uint64(0)
    for i in range(one, last):
        low, wide = box[i, 1], _wide(box, i)
        begin = at[i] - at[one] - box[i, 0] * wide
        if wide == 1:
            for r in range(np.uint64(ptr[i]), np.uint64(ptr[i + 1])):
                words[np.uint64(begin + lines[r])] |= (
                    EVERY >> np.uint64(64 - lengths[r]) << np.uint64(firsts[r] - low)
                )
            continue
        for r in range(np.uint64(ptr[i]), np.uint64(ptr[i + 1])):
            row, x = begin + lines[r] * wide, np.int64(firsts[r] - low)
            end = x + lengths[r] - 1
            for w in range(x >> 6, (end >> 6) + 1):
                bits = EVERY << np.uint64(x & 63) if w == x >> 6 else EVERY
                words[np.uint64(row + w)] |= bits & (
                    EVERY >> np.uint64(63 - (end & 63)) if w == end >> 6 else EVERY
                )


@njit(cache=True, nogil=True)
def _wide(box, i):
    """Return how many words a line of mask i takes."""
    return np.int64((box[i, 3] - box[i, 1] + 63) >> 6)


@njit(cache=True, nogil=True)
def _lowest(word):
    """Return the place of the lowest bit that is set: how many bits lie below it."""
    return _ones((word & (~word + ONE)) - ONE)


@njit(cache=True, nogil=True)
def _bits(ptr, lines, firsts, lengths, box, words):
    """Return where each mask's words begin, and them, written over `words`."""
    at = _places(box)
    words = _with_room(words, at[-1])
    _lay(ptr, lines, firsts, lengths, box, at, 0, box.shape[0], words)
    return at, words


@njit(cache=True, nogil=True)
def _search(a_at, a_words, a_box, a_area, b_at, b_words, b_box, b_area, found, n):
    """Look at masks with near edges, then at boxes, and at bits where boxes allow; append to `found`."""
    if not a_area.size or not b_area.size:
        return found, n
    order, begin, above = _by_top(b_box, a_box[:, 2].max())
    top, left, bottom, right = b_box[order, 0], b_box[order, 1], b_box[order, 2], b_box[order, 3]
    area, near = b_area[order].astype(np.int64), np.empty(order.size, np.int64)
    for i in range(a_area.size):
        y0, x0, y1, x1, own = a_box[i, 0], a_box[i, 1], a_box[i, 2], a_box[i, 3], np.int64(a_area[i])
        if n + order.size > found.shape[0]:
            found = np.concatenate((found, np.empty((found.shape[0] + order.size, 4), np.int64)))
        several, first = np.uint64(0), n
        for k in range(np.uint64(above[y0]), np.uint64(begin[y1])):  # no branch, which were a guess
            near[several] = k
            several += np.uint64((left[k] < x1) & (right[k] > x0) & (bottom[k] > y0))
        for k in near[:several]:
            lines, across = min(y1, bottom[k]) - max(y0, top[k]), min(x1, right[k]) - max(x0, left[k])
            j, both = order[k], own + area[k]
            if 3 * min(np.int64(lines) * across, own, area[k]) < both:
                continue
            if x0 <= left[k]:
                shared = _shared(a_words, a_at[i], a_box, i, b_words, b_at[j], b_box, j, lines)
            else:
                shared = _shared(b_words, b_at[j], b_box, j, a_words, a_at[i], a_box, i, lines)
            if 3 * shared >= both:  # IoU >= 1/2
                place = n
                while place > first and found[place - 1, 1] > j:
                    found[place] = found[place - 1]
                    place -= 1
                found[place, 0], found[place, 1], found[place, 2], found[place, 3] = (
                    i,
                    j,
                    shared,
                    both - shared,
                )
                n += 1
    return found, n


@njit(cache=True, nogil=True)
def _by_top(box, last):
    """Return boxes ordered by their first lines, and for each line up to `last` two places in that order.

    They are where the boxes stand that begin on the line or below, and where the first stands that ends below
    it.
    """
    begin = np.zeros(max(box[:, 0].max(), last) + 2, np.int64)
    for i in range(box.shape[0]):
        begin[box[i, 0] + 1] += 1
    begin = np.cumsum(begin)
    order, place = np.empty(box.shape[0], np.int64), begin.copy()
    for i in range(box.shape[0]):
        order[place[box[i, 0]]] = i
        place[box[i, 0]] += 1
    above, line = np.full(begin.size, order.size), 0
    for k in range(order.size):
        while line < min(box[order[k], 2], above.size):
            above[line] = k
            line += 1
    return order, begin, above


@njit(cache=True, nogil=True)
def _shared(a_words, a, a_box, i, b_words, b, b_box, j, lines):
    """Return how many pixels two masks share on `lines` common lines; b's begins no further left than a's."""
    a_wide, b_wide, apart = _wide(a_box, i), _wide(b_box, j), b_box[j, 1] - a_box[i, 1]
    a += max(b_box[j, 0] - a_box[i, 0], 0) * a_wide
    b += max(a_box[i, 0] - b_box[j, 0], 0) * b_wide
    shift, skip, pixels = np.uint64(apart & 63), np.int64(apart >> 6), np.int64(0)
    if a_wide == 1 and b_wide == 1:
        p, q = np.uint64(a), np.uint64(b)
        for line in range(np.uint64(lines)):  # one stretch each: the compiler takes eight words at a time
            pixels += _ones((a_words[p + line] >> shift) & b_words[q + line])
        return pixels
    across, whole = min(a_wide - skip, b_wide), min(a_wide - skip - 1, b_wide)
    for line in range(lines):
        p, q = np.uint64(a + line * a_wide + skip), np.uint64(b + line * b_wide)
        for _ in range(whole):
            word = (a_words[p] >> shift) | (a_words[p + ONE] << ONE) << (np.uint64(63) - shift)
            pixels += _ones(word & b_words[q])
            p, q = p + ONE, q + ONE
        if whole < across:  # where a's line ends
            pixels += _ones((a_words[p] >> shift) & b_words[q])
    return pixels


@njit(cache=True, nogil=True)
def _ones(word):
    """Return how many bits are set; the compiler knows this sum and takes one instruction for it."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)
def _runs(room):
    return np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)


@njit(cache=True, nogil=True)
def _with_room(words, size):
    return words if words.size >= size else np.concatenate((words, np.empty(size, np.uint64)))
