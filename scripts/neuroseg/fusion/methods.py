"""How one image's boxes from many lists become one list: WBF and NMS, by one signature.

Results equal those of ensemble-boxes 1.0.9 (boxes, scores, labels, order; bit for bit where weights are 1),
which does not say which boxes became which, carries no masks, and takes a hundred times as long. Where it
goes astray or leaves things open, this is how it is here:

- Equal scores: ensemble-boxes leaves their order to the processor's sort; here the later one comes first.
- Scores that are all 0: a cluster keeps its first box (there: NaN).
- Weights in NMS: a score is multiplied by weight / largest weight (there: by weight / sum of weights, which
  scores an image seen by five folds a fifth of one seen by a single fold).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuroseg.fusion.clusters import cluster
from neuroseg.fusion.options import Confidence, Fusion, Method
from neuroseg.tables import FARTHEST


class Candidates(NamedTuple):
    """All boxes that the lists of one image hold. A list is what one detector saw in one view."""

    boxes: np.ndarray  # float64 (n, 4): x1, y1, x2, y2, in any unit
    scores: np.ndarray  # float64 (n,)
    labels: np.ndarray  # int64 (n,)
    lists: np.ndarray  # int64 (n,): the list that holds the box
    weights: np.ndarray  # float64 (lists,), also of lists that hold none
    width: float = np.inf  # of the frame, to which boxes are clipped
    height: float = np.inf


class Fused(NamedTuple):
    """One image's fused boxes, and which candidates became which."""

    boxes: np.ndarray  # float64 (k, 4)
    scores: np.ndarray  # float64 (k,)
    labels: np.ndarray  # int64 (k,)
    owner: np.ndarray  # int64 (n,): each candidate's fused box, -1 where it has none


class Clusters(NamedTuple):
    """Clusters before they are ranked, numbered as they were opened; members stand best first."""

    rows: np.ndarray  # int64 (m,): the candidates that are members
    owner: np.ndarray  # int64 (m,): each member's cluster
    opener: np.ndarray  # int64 (k,): the candidate that opened each cluster
    boxes: np.ndarray  # float64 (k, 4)
    total: np.ndarray  # float64 (k,): sum of the members' weighted scores
    best: np.ndarray  # float64 (k,): the largest of them
    sizes: np.ndarray  # int64 (k,)


def wbf(candidates: Candidates, settings: Fusion) -> Fused:
    """Weighted boxes fusion: a box is its cluster's mean by score; lists that miss a cell lower its score.

    Source: Solovyev, Wang, Gabruseva, "Weighted boxes fusion", 2021.
    """
    _check(candidates)
    weighted = candidates.scores * candidates.weights[candidates.lists]
    clusters = _cluster(candidates, weighted, settings, moving=True)
    return _best_first(candidates, clusters, CONFIDENCES[settings.confidence](candidates, clusters))


def nms(candidates: Candidates, settings: Fusion) -> Fused:
    """Non-maximum suppression: a cluster's box and score are its best member's."""
    _check(candidates)
    shares = candidates.weights / candidates.weights.max()
    weighted = candidates.scores * shares[candidates.lists]
    clusters = _cluster(candidates, weighted, settings, moving=False)
    return _label_by_label(candidates, clusters, clusters.best)


METHODS: dict[Method, Callable[[Candidates, Fusion], Fused]] = {
    "wbf": wbf,
    "nms": nms,
}
"""Each returns one image's fused boxes: wbf best first, nms label by label, best first in each."""


def _avg(candidates: Candidates, clusters: Clusters) -> np.ndarray:
    lists = len(candidates.weights)
    return _mean(clusters) * np.minimum(lists, clusters.sizes) / candidates.weights.sum()


def _max(candidates: Candidates, clusters: Clusters) -> np.ndarray:
    return _rounded(clusters.best, clusters) / candidates.weights.max()


def _box_and_model_avg(candidates: Candidates, clusters: Clusters) -> np.ndarray:
    weight, present = _weights(candidates, clusters)
    return _mean(clusters) * clusters.sizes / weight * present / candidates.weights.sum()


def _absent_model_aware_avg(candidates: Candidates, clusters: Clusters) -> np.ndarray:
    weight, present = _weights(candidates, clusters)
    return _mean(clusters) * clusters.sizes / (weight + (candidates.weights.sum() - present))


CONFIDENCES: dict[Confidence, Callable[[Candidates, Clusters], np.ndarray]] = {
    "avg": _avg,
    "max": _max,
    "box_and_model_avg": _box_and_model_avg,
    "absent_model_aware_avg": _absent_model_aware_avg,
}
"""How WBF scores a cluster, by ensemble-boxes' names."""


def _check(candidates: Candidates) -> None:
    """Refuse what the compiled loops cannot take.

    Raises:
        ValueError: arrays whose shapes disagree, boxes, scores or weights that are no finite numbers, or a
            list that there is not.
    """
    n, lists, weights = len(candidates.scores), candidates.lists, candidates.weights
    if candidates.boxes.shape != (n, 4) or not len(candidates.labels) == len(lists) == n:
        raise ValueError("each box (x1, y1, x2, y2) needs a score, a label and a list")
    if n and not (
        lists.min() >= 0 and lists.max() < len(weights) and ((weights > 0) & (weights < np.inf)).all()
    ):
        raise ValueError("each box needs one of the lists, and each list a finite weight above 0")
    sound = (
        (np.abs(candidates.boxes) <= FARTHEST).all(axis=1)
        & (candidates.scores >= 0)
        & (candidates.scores < np.inf)
    )
    if not sound.all():
        raise ValueError(f"box {np.argmin(sound)} has corners or a score that are no finite numbers")


def _sound(candidates: Candidates, settings: Fusion) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that take part, and all boxes with their corners in order and within the frame."""
    one, other = candidates.boxes[:, :2], candidates.boxes[:, 2:]
    frame = candidates.width, candidates.height
    low, high = (np.clip(corner, 0, frame) for corner in (np.minimum(one, other), np.maximum(one, other)))
    area = (high[:, 0] - low[:, 0]) * (high[:, 1] - low[:, 1])
    rows = np.flatnonzero((candidates.scores >= settings.min_score) & (area > 0))
    return rows, np.concatenate([low, high], axis=1)


def _cluster(candidates: Candidates, weighted: np.ndarray, settings: Fusion, moving: bool) -> Clusters:
    """Return the clusters of candidates with weighted scores."""
    rows, boxes = _sound(candidates, settings)
    rows = rows[_descending(weighted[rows])]
    boxes, scores = boxes[rows], weighted[rows]
    owner, opener, fused, total = cluster(boxes, scores, candidates.labels[rows], settings.iou, moving, False)
    sizes = np.bincount(owner, minlength=len(opener))
    return Clusters(rows, owner, rows[opener], fused, total, scores[opener], sizes)


def _best_first(candidates: Candidates, clusters: Clusters, scores: np.ndarray) -> Fused:
    """Rank clusters by score, ties by their label's first appearance and their opening, the later first."""
    labels = candidates.labels[clusters.opener]
    in_turn: np.ndarray = np.arange(len(scores))
    if (labels != labels[:1]).any():
        taken = np.zeros(len(candidates.labels), bool)
        taken[clusters.rows] = True
        known, place = np.unique(labels, return_inverse=True)
        seen = np.array([np.argmax(taken & (candidates.labels == label)) for label in known], np.int64)
        in_turn = np.argsort(seen[place], kind="stable")
    return _ranked(candidates, clusters, scores, in_turn[_descending(scores[in_turn])])


def _label_by_label(candidates: Candidates, clusters: Clusters, scores: np.ndarray) -> Fused:
    """Rank clusters by label, and within it as they were opened."""
    return _ranked(
        candidates, clusters, scores, np.argsort(candidates.labels[clusters.opener], kind="stable")
    )


def _ranked(candidates: Candidates, clusters: Clusters, scores: np.ndarray, ranking: np.ndarray) -> Fused:
    rank = np.empty(len(ranking), np.int64)
    rank[ranking] = np.arange(len(ranking))
    owner = np.full(len(candidates.scores), -1, np.int64)
    owner[clusters.rows] = rank[clusters.owner]
    return Fused(clusters.boxes[ranking], scores[ranking], candidates.labels[clusters.opener[ranking]], owner)


def _descending(values: np.ndarray) -> np.ndarray:
    """Return the order of values from the largest on, of equal ones the later first."""
    order = np.argsort(values)  # then equal ones by place: two sorts, faster than one that keeps order
    ranked = values[order]
    larger = ranked[1:] != ranked[:-1]
    if not larger.all():
        order[1:] += len(order) * np.cumsum(larger)
        order = np.sort(order) % len(order)
    return order[::-1]


def _weights(candidates: Candidates, clusters: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of the members' weights and of those of the lists that take part, each counted once."""
    lists, count = candidates.lists[clusters.rows], len(candidates.weights)
    whole = np.bincount(clusters.owner, candidates.weights[lists], len(clusters.sizes))
    pairs = np.unique(clusters.owner * count + lists)
    present = np.bincount(pairs // count, candidates.weights[pairs % count], len(clusters.sizes))
    return _rounded(whole, clusters), present


def _mean(clusters: Clusters) -> np.ndarray:
    return _rounded(clusters.total / clusters.sizes, clusters)


def _rounded(values: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Round what stems from several boxes, not one alone, to single precision, as ensemble-boxes does."""
    return np.where(clusters.sizes > 1, _single(values), values)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)
