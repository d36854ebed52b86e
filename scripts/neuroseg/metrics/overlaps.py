"""Which predicted and true masks overlap by more than half: all that a threshold from 0.50 on can ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from neuroseg import rle
from neuroseg.tables import DataError

BATCH = 16_384
"""Masks unpacked at a time (more where one image holds more), so that memory does not grow with the data set."""


class Pairs(NamedTuple):
    """Pairs of masks with IoU > 1/2, ordered by `predicted`; all fields have the shape (pairs,)."""

    predicted: np.ndarray  # int64, position of the row in the predicted instances
    truth: np.ndarray  # int64, position of the row in the true instances
    intersection: np.ndarray  # int64, pixels
    union: np.ndarray  # int64, pixels


def pairs(predicted: pd.DataFrame, truth: pd.DataFrame, images: pd.DataFrame) -> Pairs:
    """Return the pairs of a predicted and a true mask of one image whose IoU exceeds 1/2.

    Either side may overlap itself or hold one mask twice. `images` gives the frames (image_id, height, width), one row
    each; it may lie in any order and hold images without masks.

    Raises:
        DataError: instances of an image that `images` does not list, or masks that do not fit their image's frame.
    """
    predicted_rows, predicted_ptr = _by_image(predicted, images)
    truth_rows, truth_ptr = _by_image(truth, images)
    found = []
    for first, last in _batches(images, predicted_ptr + truth_ptr):
        frame = images.iloc[first]
        p = predicted_rows[predicted_ptr[first] : predicted_ptr[last]]
        t = truth_rows[truth_ptr[first] : truth_ptr[last]]
        i, j, intersection, union = _overlapping(
            *_masks(predicted, p, frame),
            *_masks(truth, t, frame),
            predicted_ptr[first : last + 1] - predicted_ptr[first],
            truth_ptr[first : last + 1] - truth_ptr[first],
        )
        found.append(Pairs(p[i], t[j], intersection, union))
    joined = Pairs(*(np.concatenate(field) for field in zip(*found, strict=True))) if found else _NONE
    order = np.argsort(joined.predicted, kind="stable")
    return Pairs(*(field[order] for field in joined))


_NONE = Pairs(*(np.zeros(0, np.int64) for _ in range(4)))


def _by_image(instances: pd.DataFrame, images: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `instances` sorted by image, and where each image's begin (one more than images)."""
    image = pd.Index(images["image_id"]).get_indexer(instances["image_id"])
    if (image < 0).any():
        stranger = instances["image_id"].iloc[int(np.argmax(image < 0))]
        raise DataError(f"Image {stranger} has instances but is not in the images table; make both from one data set.")
    rows = np.argsort(image, kind="stable")
    return rows, np.searchsorted(image[rows], np.arange(len(images) + 1))


def _batches(images: pd.DataFrame, ptr: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield ranges of consecutive images that share a frame's size and hold about BATCH masks together."""
    sizes = images[["height", "width"]].to_numpy()
    first = 0
    for last in range(1, len(images) + 1):
        if last == len(images) or (sizes[last] != sizes[first]).any() or ptr[last + 1] - ptr[first] > BATCH:
            yield first, last
            first = last


def _masks(instances: pd.DataFrame, rows: np.ndarray, frame: pd.Series) -> tuple[np.ndarray, ...]:
    """Return ptr, start, length, boxes and areas of the masks, lying on their side (same overlaps, less work)."""
    height, width = int(frame["height"]), int(frame["width"])
    try:
        runs = rle.from_coco_lying(instances["rle"].iloc[rows], height, width)
    except ValueError as error:
        raise DataError(
            f"Image {frame['image_id']} or one after it: {error}; the masks were made for another size of image."
        ) from error
    return *runs, rle.boxes(runs, height), rle.areas(runs)


# ------------------------------------------------------------------------------------------------------------ kernels


@njit(cache=True, nogil=True)
def _overlapping(p_ptr, p_start, p_length, p_box, p_area, t_ptr, t_start, t_length, t_box, t_area, p_image, t_image):
    """Look at truths whose edges lie near a prediction's, then at boxes, and at runs only where boxes would allow."""
    room = p_area.size + t_area.size + 16
    i_out, j_out = np.empty(room, np.int64), np.empty(room, np.int64)
    intersection, union = np.empty(room, np.int64), np.empty(room, np.int64)
    n = 0
    for image in range(p_image.size - 1):
        begin, end = t_image[image], t_image[image + 1]
        order = begin + np.argsort(t_box[begin:end, 0], kind="mergesort")
        left, top, right, bottom = t_box[order, 0], t_box[order, 1], t_box[order, 2], t_box[order, 3]
        widest = (right - left).max() if end > begin else 0
        for i in range(p_image[image], p_image[image + 1]):
            x0, y0, x1, y1, area = p_box[i, 0], p_box[i, 1], p_box[i, 2], p_box[i, 3], np.int64(p_area[i])
            if n + end - begin > i_out.size:
                more = i_out.size + end - begin
                i_out, j_out = _grow(i_out, more), _grow(j_out, more)
                intersection, union = _grow(intersection, more), _grow(union, more)
            for k in range(np.searchsorted(left, x0 - widest), left.size):
                if left[k] >= x1:
                    break
                if right[k] <= x0 or bottom[k] <= y0 or top[k] >= y1:
                    continue
                j = order[k]
                both = area + t_area[j]
                box = np.int64(min(x1, right[k]) - max(x0, left[k])) * (min(y1, bottom[k]) - max(y0, top[k]))
                if 3 * min(box, area, t_area[j]) <= both:
                    continue
                shared = _shared(p_start, p_length, p_ptr[i], p_ptr[i + 1], t_start, t_length, t_ptr[j], t_ptr[j + 1])
                if 3 * shared > both:  # IoU > 1/2
                    i_out[n], j_out[n], intersection[n], union[n] = i, j, shared, both - shared
                    n += 1
    return i_out[:n].copy(), j_out[:n].copy(), intersection[:n].copy(), union[:n].copy()


@njit(cache=True, nogil=True)
def _grow(array, more):
    return np.concatenate((array, np.empty(more, array.dtype)))


@njit(cache=True, nogil=True)
def _shared(a_start, a_length, a, a_end, b_start, b_length, b, b_end):
    """Walk both masks' runs side by side; return the pixels that they share."""
    shared = np.int64(0)
    while a < a_end and b < b_end:
        a_stop, b_stop = a_start[a] + a_length[a], b_start[b] + b_length[b]
        begin, stop = max(a_start[a], b_start[b]), min(a_stop, b_stop)
        if stop > begin:
            shared += stop - begin
        if a_stop <= b_stop:
            a += 1
        else:
            b += 1
    return shared
