"""The loops between rows and columns, compiled: COCO's numbers, runs turned on their side, and masks as bits.

A line is a row of the frame, or a column where masks lie on their side. On its way each mask is taken apart into
`lines`, `firsts` and `lengths`: of each run the line, the first pixel on it and the length, int32, with room for more.
Then it is *bits*: a mask owns words offset[i]:offset[i + 1] (uint64), those of its box's lines in turn, each line
beginning at the box's edge; boxes (n, 4) are first line, first pixel on a line, and exclusive last ones, 0 if empty.

The loops stay in one file because numba keeps what it compiled until the file of the calling loop changes; they pass
plain arrays because a tuple's are counted at every call, which takes longer than a cell.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True)
def decompress(
    data: np.ndarray, offset: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return column-major runs, cut at columns' ends, and the first mask whose counts do not fill the frame, or -1."""
    masks = offset.size - 1
    ptr, box, area = np.zeros(masks + 1, np.int64), np.zeros((masks, 4), np.int32), np.zeros(masks, np.int32)
    start, length = np.empty(data.size // 2 + 1024, np.int32), np.empty(data.size // 2 + 1024, np.int32)
    longest = np.diff(offset).max() if masks else 0
    (lines, firsts, lengths), values = _runs(longest // 2 + width), np.empty(longest + 3, np.int64)
    runs = 0
    for i in range(masks):
        begin, end = offset[i], offset[i + 1]
        count = _decode(data, begin, end, height, width, values, lines, firsts, lengths, i, box, area)
        if count < 0:
            return ptr, start, length, i
        if runs + count > start.size:
            start = np.concatenate((start, np.empty(runs + count, np.int32)))
            length = np.concatenate((length, np.empty(runs + count, np.int32)))
        for r in range(count):
            start[runs + r], length[runs + r] = lines[r] * height + firsts[r], lengths[r]
        runs += count
        ptr[i + 1] = runs
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
) -> tuple[np.ndarray, int, int]:
    """Find the pairs of masks of one image whose IoU exceeds 1/2: of each both rows, the pixels shared, and the union.

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
        Pairs, int64 (n, 4); the first side's and the other side's first broken row, or -1.
    """
    found, n = np.empty((a_rows.size + 16, 4), np.int64), 0
    a_words, b_words = np.empty(4096, np.uint64), np.empty(4096, np.uint64)
    for image in range(sizes.shape[0]):
        height, width = sizes[image]
        of_a, of_b = a_rows[a_image[image] : a_image[image + 1]], b_rows[b_image[image] : b_image[image + 1]]
        a_at, a_words, a_box, a_area, a_broken = _bits_of_counts(a_data, a_offset, of_a, height, width, a_words)
        b_at, b_words, b_box, b_area, b_broken = _bits_of_counts(b_data, b_offset, of_b, height, width, b_words)
        if a_broken >= 0 or b_broken >= 0:
            return found[:0], a_broken, b_broken
        first = n
        found, n = _search(a_at, a_words, a_box, a_area, b_at, b_words, b_box, b_area, found, n)
        for k in range(first, n):
            found[k, 0], found[k, 1] = of_a[found[k, 0]], of_b[found[k, 1]]
    return found[:n].copy(), -1, -1


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
    a_at, a_words, a_box, a_area = _bits_of_runs(a_ptr, a_start, a_length, width)
    b_at, b_words, b_box, b_area = _bits_of_runs(b_ptr, b_start, b_length, width)
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
    new_start, new_length = np.empty(start.size + 1024, np.int32), np.empty(start.size + 1024, np.int32)
    lines, firsts, lengths = _runs(start.size)
    box, area = np.zeros((1, 4), np.int32), np.zeros(1, np.int32)
    words, slot, zero = np.empty(1024, np.uint64), np.zeros(width + 64, np.int64), np.uint64(0)
    for i in range(ptr.size - 1):
        count = _take_apart(start, length, ptr[i], ptr[i + 1], width, lines, firsts, lengths)
        size = _measure(lines, firsts, lengths, count, 0, box, area)
        words = _with_room(words, size)
        _lay(lines, firsts, lengths, count, 0, box, words, 0)
        wide = _wide(box, 0)

        slot[: 64 * wide] = 0
        for w in range(size):
            fresh = words[w] & ~(words[w - wide] if w >= wide else zero)
            while fresh:
                slot[64 * (w % wide) + _lowest(fresh)] += 1
                fresh &= fresh - np.uint64(1)
        runs = new_ptr[i]
        for x in range(64 * wide):
            slot[x], runs = runs, runs + slot[x]
        new_ptr[i + 1] = runs
        if runs > new_start.size:
            new_start = np.concatenate((new_start, np.empty(runs, np.int32)))
            new_length = np.concatenate((new_length, np.empty(runs, np.int32)))
        for w in range(size + wide):
            now, before = words[w] if w < size else zero, words[w - wide] if w >= wide else zero
            edges = now ^ before
            while edges:
                bit = _lowest(edges)
                x = 64 * (w % wide) + bit
                place = (box[0, 1] + x) * height + box[0, 0] + w // wide
                if now >> np.uint64(bit) & np.uint64(1):
                    new_start[slot[x]] = place
                else:
                    new_length[slot[x]] = place - new_start[slot[x]]
                    slot[x] += 1
                edges &= edges - np.uint64(1)
    runs = new_ptr[-1]
    return new_ptr, new_start[:runs].copy(), new_length[:runs].copy()


@njit(cache=True, nogil=True)
def compress(ptr: np.ndarray, start: np.ndarray, length: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray]:
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


@njit(cache=True, nogil=True, inline="always")
def _decode(data, at, end, height, width, values, lines, firsts, lengths, i, box, area):
    """Read mask i's counts into runs, cut at columns' ends, and write its box and area; return how many runs.

    That is -1 where they do not fill the frame. Nothing in the loops makes the processor guess, which is what unpacking
    would otherwise spend its time on; what few masks have is mended afterwards. `x` is the place on the line.
    """
    count, pixels = _numbers(data, at, end, values), np.int64(height) * width
    if count < 1:
        return np.int64(-1)
    line, gap, run = values[0] // height, np.int64(0), np.int64(0)
    x = values[0] - line * height - 1
    values[0], values[2] = 1, values[2] - 1  # each count adds to the last but one, but for the third
    low, high, covered, least = np.int64(height), np.int64(0), np.int64(0), min(2 * line + 1, 1)
    for k in range(np.uint64(count) >> np.uint64(1)):
        gap += values[2 * k]
        run += values[2 * k + np.uint64(1)]
        x += gap
        further = np.int64(x >= height)
        line, x = line + further, x - (height & -further)
        lines[k], firsts[k], lengths[k] = line, x, run
        low = min(low, x)
        x += run
        high, covered, least = max(high, x), covered + run, min(least, gap, run)
    if count & 1:
        gap += values[count - 1]
        x += gap
    if min(gap, least) < 0 or high > pixels or line * height + x != pixels:
        return np.int64(-1)
    count //= 2
    if count and (least == 0 or high > height):  # empty or touching runs, and such as leave a line or skip one
        count = _cut(lines, firsts, lengths, count, height)
        _measure(lines, firsts, lengths, count, i, box, area)
    elif count:
        box[i, 0], box[i, 1], box[i, 2], box[i, 3], area[i] = lines[0], low, line + 1, high, covered
    return count


@njit(cache=True, nogil=True, inline="always")
def _numbers(data, at, end, values):
    """Read numbers (see `_put_count`); return how many, -1 where they are none or one is longer than 12 bytes.

    Each byte is taken for a number's last, and the next one's value written over it where it was not: five more bits
    enter at the top of a word, and the shift down to their place drops those of numbers before.
    """
    bits, spare, longest, seen, n = np.uint64(0), np.int64(59), np.int64(0), np.uint8(0), np.uint64(0)
    for k in range(np.uint64(at), np.uint64(end)):
        byte = data[k] - np.uint8(48)
        seen |= byte
        bits = (bits >> np.uint64(5)) | (np.uint64(byte) << np.uint64(59))
        values[n] = np.int64(bits) >> (spare & 63)
        more = np.uint64(byte >> np.uint8(5) & np.uint8(1))
        n += np.uint64(1) - more
        spare = spare - 5 if more else np.int64(59)
        longest |= spare
    return np.int64(n) if seen < 64 and longest >= 0 and spare == 59 else np.int64(-1)


@njit(cache=True, nogil=True)
def _cut(lines, firsts, lengths, count, height):
    """Cut runs at columns' ends, join those that touch and drop empty ones; return how many there are."""
    starts, spans, runs, before = lines[:count] * np.int64(height) + firsts[:count], lengths[:count].copy(), 0, -1
    for k in range(count):
        position, end = starts[k], starts[k] + spans[k]
        while position < end:
            line, first = position // height, position % height
            left = min(end - position, height - first)
            if first and position == before:
                lengths[runs - 1] += left
            else:
                lines[runs], firsts[runs], lengths[runs] = line, first, left
                runs += 1
            position += left
            before = position
    return runs


@njit(cache=True, nogil=True)
def _take_apart(start, length, first, end, width, lines, firsts, lengths):
    """Take apart runs first to end; return how many they are."""
    line, edge = -1, np.int64(0)  # edge: where the next line begins
    for r in range(first, end):
        if start[r] >= edge + width:
            line, edge = start[r] // width, (start[r] // width + 1) * np.int64(width)
        elif start[r] >= edge:
            line, edge = line + 1, edge + width
        lines[r - first], firsts[r - first], lengths[r - first] = line, start[r] - edge + width, length[r]
    return end - first


@njit(cache=True, nogil=True)
def _measure(lines, firsts, lengths, count, i, box, area):
    """Write mask i's box and area; return how many words it takes."""
    box[i], area[i] = 0, 0
    if not count:
        return 0
    low, high, pixels = firsts[0], np.int32(0), np.int32(0)
    for r in range(count):
        low, high = min(low, firsts[r]), max(high, np.int32(firsts[r] + lengths[r]))
        pixels = np.int32(pixels + lengths[r])
    box[i, 0], box[i, 1], box[i, 2], box[i, 3] = lines[0], low, lines[count - 1] + 1, high
    area[i] = pixels
    return (box[i, 2] - box[i, 0]) * _wide(box, i)


@njit(cache=True, nogil=True)
def _lay(lines, firsts, lengths, count, i, box, words, at):
    """Write the bits of mask i into its words, which begin at `at`."""
    top, low, wide = box[i, 0], box[i, 1], _wide(box, i)
    words[at : at + (box[i, 2] - top) * wide] = np.uint64(0)
    if wide == 1:
        for r in range(count):
            words[at + lines[r] - top] |= (EVERY >> np.uint64(64 - lengths[r])) << np.uint64(firsts[r] - low)
        return
    for r in range(count):
        row, first, last = at + (lines[r] - top) * wide, firsts[r] - low, firsts[r] - low + lengths[r] - 1
        for w in range(first >> 6, (last >> 6) + 1):
            bits = EVERY << np.uint64(first & 63) if w == first >> 6 else EVERY
            words[row + w] |= bits & (EVERY >> np.uint64(63 - (last & 63)) if w == last >> 6 else EVERY)


@njit(cache=True, nogil=True)
def _wide(box, i):
    """Return how many words a line of mask i takes."""
    return np.int64((box[i, 3] - box[i, 1] + 63) >> 6)


@njit(cache=True, nogil=True)
def _lowest(word):
    """Return the place of the lowest bit that is set: how many bits lie below it."""
    return _ones((word & (~word + np.uint64(1))) - np.uint64(1))


@njit(cache=True, nogil=True)
def _bits_of_counts(data, offset, rows, height, width, words):
    """Return the masks of some rows as bits, written over `words`, and the first broken row, or -1."""
    at, box, area = np.zeros(rows.size + 1, np.int64), np.zeros((rows.size, 4), np.int32), np.zeros(rows.size, np.int32)
    longest = 0
    for row in rows:
        longest = max(longest, offset[row + 1] - offset[row])
    (lines, firsts, lengths), values = _runs(longest // 2 + width), np.empty(longest + 3, np.int64)
    for i in range(rows.size):
        begin, end = offset[rows[i]], offset[rows[i] + 1]
        count = _decode(data, begin, end, height, width, values, lines, firsts, lengths, i, box, area)
        if count < 0:
            return at, words, box, area, rows[i]
        at[i + 1] = at[i] + (box[i, 2] - box[i, 0]) * _wide(box, i)
        words = _with_room(words, at[i + 1])
        _lay(lines, firsts, lengths, count, i, box, words, at[i])
    return at, words, box, area, np.int64(-1)


@njit(cache=True, nogil=True)
def _bits_of_runs(ptr, start, length, width):
    count = ptr.size - 1
    at, box, area = np.zeros(count + 1, np.int64), np.zeros((count, 4), np.int32), np.zeros(count, np.int32)
    words = np.empty(32 * count + 1024, np.uint64)
    lines, firsts, lengths = _runs(start.size)
    for i in range(count):
        runs = _take_apart(start, length, ptr[i], ptr[i + 1], width, lines, firsts, lengths)
        at[i + 1] = at[i] + _measure(lines, firsts, lengths, runs, i, box, area)
        words = _with_room(words, at[i + 1])
        _lay(lines, firsts, lengths, runs, i, box, words, at[i])
    return at, words, box, area


@njit(cache=True, nogil=True)
def _search(a_at, a_words, a_box, a_area, b_at, b_words, b_box, b_area, found, n):
    """Look at masks whose edges lie near, then at boxes, and at bits where boxes would allow; append to `found`."""
    if not a_area.size or not b_area.size:
        return found, n
    order, begin = _by_top(b_box, a_box[:, 2].max())
    top, left, bottom, right = b_box[order, 0], b_box[order, 1], b_box[order, 2], b_box[order, 3]
    area, near = b_area[order].astype(np.int64), np.empty(order.size, np.int64)
    highest = (bottom - top).max()
    for i in range(a_area.size):
        y0, x0, y1, x1, own = a_box[i, 0], a_box[i, 1], a_box[i, 2], a_box[i, 3], np.int64(a_area[i])
        if n + order.size > found.shape[0]:
            found = np.concatenate((found, np.empty((found.shape[0] + order.size, 4), np.int64)))
        several = 0
        for k in range(begin[max(y0 - highest, 0)], begin[y1]):  # without a branch, as each would be a guess
            near[several] = k
            several += (left[k] < x1) & (right[k] > x0) & (bottom[k] > y0)
        for k in near[:several]:
            lines, across = min(y1, bottom[k]) - max(y0, top[k]), min(x1, right[k]) - max(x0, left[k])
            j, both = order[k], own + area[k]
            if 3 * min(np.int64(lines) * across, own, area[k]) <= both:
                continue
            if x0 <= left[k]:
                shared = _shared(a_words, a_at[i], a_box, i, b_words, b_at[j], b_box, j, lines)
            else:
                shared = _shared(b_words, b_at[j], b_box, j, a_words, a_at[i], a_box, i, lines)
            if 3 * shared > both:  # IoU > 1/2
                found[n, 0], found[n, 1], found[n, 2], found[n, 3] = i, j, shared, both - shared
                n += 1
    return found, n


@njit(cache=True, nogil=True)
def _by_top(box, last):
    """Return boxes in the order of their first lines, and for each line up to `last` where the first of them stands."""
    begin = np.zeros(max(box[:, 0].max(), last) + 2, np.int64)
    for i in range(box.shape[0]):
        begin[box[i, 0] + 1] += 1
    begin = np.cumsum(begin)
    order, place = np.empty(box.shape[0], np.int64), begin.copy()
    for i in range(box.shape[0]):
        order[place[box[i, 0]]] = i
        place[box[i, 0]] += 1
    return order, begin


@njit(cache=True, nogil=True)
def _shared(a_words, a, a_box, i, b_words, b, b_box, j, lines):
    """Return how many pixels two masks share on their `lines` common lines; b's begins no further left than a's."""
    a_wide, b_wide, apart = _wide(a_box, i), _wide(b_box, j), b_box[j, 1] - a_box[i, 1]
    a += max(b_box[j, 0] - a_box[i, 0], 0) * a_wide
    b += max(a_box[i, 0] - b_box[j, 0], 0) * b_wide
    shift, skip, pixels = np.uint64(apart & 63), np.int64(apart >> 6), np.int64(0)
    if a_wide == 1 and b_wide == 1:
        for line in range(lines):  # one stretch of memory on both sides, which the compiler takes eight at a time
            pixels += _ones((a_words[a + line] >> shift) & b_words[b + line])
        return pixels
    for _ in range(lines):
        for w in range(min(a_wide - skip, b_wide)):
            word = a_words[a + skip + w] >> shift
            if skip + w + 1 < a_wide:
                word |= (a_words[a + skip + w + 1] << np.uint64(1)) << (np.uint64(63) - shift)
            pixels += _ones(word & b_words[b + w])
        a += a_wide
        b += b_wide
    return pixels


@njit(cache=True, nogil=True)
def _ones(word):
    """Return how many bits are set; the compiler knows this way of adding them up and takes one instruction for it."""
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
