"""Which predictions are hits: one-to-one matching of predicted and true masks, exact at every threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from neuroseg.metrics.overlaps import pairs
from neuroseg.rle import Pairs, Runs, overlaps_of_runs

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU thresholds 0.50, 0.55, ..., 0.95; a hit lies strictly above."""


def hits(predicted: pd.DataFrame, truth: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
    """Return for each predicted instance at how many of THRESHOLDS it is a true positive, uint8 from 0 to 10.

    The true positives at THRESHOLDS[t] are the predictions with more than t hits. Their number per image is
    that of a maximum one-to-one matching of predicted and true masks with IoU above the threshold: exact
    where truth overlaps or repeats itself, and where predictions do.

    Where an image's predictions are disjoint, as after `segment`, hits[i] depends on prediction i alone: the
    true positives among any subset of the predictions, such as those of score >= s, are those with more than
    t hits in the subset. Proof: IoU(p, g) > 1/2 means that p covers more than half of the union and so more
    than half of g; two disjoint predictions cannot both do so, hence each true mask is the possible partner
    of one prediction at most, predictions never compete, and each is matched exactly while its best IoU with
    any true mask exceeds the threshold. One pass of geometry therefore scores every score threshold.

    Args:
        predicted: Instances, in any order.
        truth: True instances, in any order.
        images: The frames of all their images: image_id, height, width.

    Raises:
        DataError: instances of an image that `images` does not list, or masks that do not fit their image's
            frame.
    """
    return hits_of_pairs(pairs(predicted, truth, images), len(predicted), len(truth))


def hits_of_runs(predicted: Runs, truth: Runs, width: int) -> np.ndarray:
    """Return what `hits` does, of the masks of one image, given as canonical runs of its frame."""
    return hits_of_pairs(overlaps_of_runs(predicted, truth, width), len(predicted), len(truth))


def hits_of_pairs(found: Pairs, predictions: int, truths: int) -> np.ndarray:
    """Return what `hits` does, of so many masks on either side, of which these overlap by half or more."""
    return _match(*found, predictions, truths)


@njit(cache=True, nogil=True)
def _match(one, truths, intersection, union, predictions, count):
    """Augment from the strictest threshold down: what is matched stays so, as looser graphs only gain pairs.

    The k-th threshold is (9 + k) / 20: an IoU exceeds it while 20 x intersection > (9 + k) x union, in
    integers. Each search for an augmenting path goes breadth first. Truths that a failed search has seen lead
    nowhere until the matching changes, so `search` counts changes: many copies of one mask stay cheap.
    """
    hits, ptr = np.zeros(predictions, np.uint8), np.zeros(predictions + 1, np.int64)
    rivals, passed = np.zeros(count, np.int64), np.empty(one.size, np.int64)
    for pair in range(one.size):
        ptr[one[pair] + 1] += 1
        rivals[truths[pair]] += 1
        passed[pair] = (20 * intersection[pair] - 1) // union[pair] - 9
    ptr = np.cumsum(ptr)
    roots, contested = np.empty(ptr.size, np.int64), 0
    for root in range(ptr.size - 1):
        pairs = ptr[root + 1] - ptr[root]
        if pairs == 1 and rivals[truths[ptr[root]]] == 1:  # nearly all: a pair of which neither suits another
            hits[root] = passed[ptr[root]]
        elif pairs:
            roots[contested] = root
            contested += 1
    mate_of_truth, mate = np.full(count, -1, np.int64), np.full(ptr.size - 1, -1, np.int64)
    seen, reached_from = np.zeros(count, np.int64), np.empty(count, np.int64)
    queue = np.empty(ptr.size, np.int64)
    search = 0
    for least in range(10, 0, -1):
        search += 1
        for root in roots[:contested]:
            if hits[root]:
                continue
            queue[0], head, tail, end = root, 0, 1, np.int64(-1)
            while head < tail and end < 0:
                for edge in range(ptr[queue[head]], ptr[queue[head] + 1]):
                    truth = truths[edge]
                    if passed[edge] < least or seen[truth] == search:
                        continue
                    seen[truth], reached_from[truth] = search, queue[head]
                    if mate_of_truth[truth] < 0:
                        end = truth
                        break
                    queue[tail] = mate_of_truth[truth]
                    tail += 1
                head += 1
            if end >= 0:
                hits[root] = least
                search += 1
            while end >= 0:  # hand the truths over along the path, back to the root, which had none
                prediction = reached_from[end]
                mate_of_truth[end] = prediction
                end, mate[prediction] = mate[prediction], end
    return hits
