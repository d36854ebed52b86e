"""The walk over an ensemble's detections files: who takes part, how detections are fused image by image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from neuroseg import tables
from neuroseg.errors import DataError
from neuroseg.fusion.clusters import cluster
from neuroseg.fusion.methods import METHODS, Candidates, Fused
from neuroseg.fusion.options import Fusion
from neuroseg.fusion.patches import average
from neuroseg.fusion.recipe import Recipe, combinations
from neuroseg.threads import in_order


class Member(NamedTuple):
    """One detections file: which images it covers, and the weight of each of its sources that takes part."""

    path: Path
    images: frozenset[str]
    weights: dict[str, float]


def gather(paths: Sequence[Path], recipe: Recipe) -> tuple[list[Member], tuple[str, ...]]:
    """Find out who takes part in an ensemble.

    The first part of a source (model/fold/view, or an ensemble's name) is the recipe's member that lends it
    its weight, of candidates the first; see `weigh`.

    Returns:
        The members' files, and all images that they cover, in the files' order.

    Raises:
        DataError: a member without a file, a source without a member, a view that nothing was predicted in,
            a source twice on one image, or an image that a member does not cover (its cells would be scored
            by other rules than the rest).
    """
    members, faults, first = [], [], combinations(recipe)[0]
    covering: dict[str, set[str]] = {}
    coverages = [tables.read_coverage(path) for path in paths]
    for path, coverage in zip(paths, coverages, strict=True):
        weights = {}
        for source in coverage.sources:
            name, *rest = source.split("/")
            if name not in recipe.members:
                known = ", ".join(recipe.members)
                faults.append(
                    f"{path}: its source {source} is no member of the recipe ({known}); "
                    "add it or leave it out."
                )
            elif not rest or recipe.fusion.views is None or rest[-1] in recipe.fusion.views:
                weights[source] = first[name]
                again = covering.setdefault(source, set()).intersection(coverage.images)
                covering[source].update(coverage.images)
                if again:
                    faults.append(
                        f"{path}: {source} comes twice for image {min(again)}; "
                        "give each detections file once."
                    )
        members.append(Member(Path(path), frozenset(coverage.images), weights))
    images = tuple(dict.fromkeys(image for coverage in coverages for image in coverage.images))
    sources = [source.split("/") for coverage in coverages for source in coverage.sources]
    views = list(dict.fromkeys(rest[-1] for _, *rest in sources if rest))
    faults += [
        f"the recipe's fusion.views: the detectors did not predict the view {view}, only {', '.join(views)}; "
        "add it to predict.views of the configuration, or leave it out of the recipe."
        for view in recipe.fusion.views or ()
        if views and view not in views
    ]
    for name in recipe.members:
        seen = set().union(*(covered for source, covered in covering.items() if source.split("/")[0] == name))
        missed = [image for image in images if image not in seen]
        if not seen and name not in (whose for whose, *_ in sources):
            faults.append(
                f"the recipe's member {name} is in none of the files; predict with it or strike it out."
            )
        elif not seen and not faults:
            faults.append(
                f"the recipe's member {name} was predicted in none of the views of fusion.views; predict it "
                "in them, or strike it out."
            )
        elif seen and missed:
            faults.append(
                f"the recipe's member {name} lacks image {missed[0]} ({len(missed)} in all); "
                "predict them with it."
            )
    if faults:
        raise DataError(*faults)
    return members, images


def weigh(members: Sequence[Member], weights: Mapping[str, float]) -> list[Member]:
    """Return the files with other weights, given by the names of the recipe's members."""
    return [
        member._replace(weights={source: weights[source.split("/")[0]] for source in member.weights})
        for member in members
    ]


def stream(
    members: Sequence[Member], images: Sequence[str], settings: Fusion, name: str, threads: int = 1
) -> Iterator[pd.DataFrame]:
    """Fuse images in order, a few at a time, so that memory does not grow with their number; see `fuse`.

    Yields:
        Detections tables whose source is `name`, the ensemble's.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(tables.reading("detections", member.path)) for member in members]

        def read(batch: Sequence[str]) -> tuple[Sequence[str], list[pd.DataFrame]]:
            pairs = zip(members, files, strict=True)
            return batch, [
                rows_of([image for image in batch if image in member.images]) for member, rows_of in pairs
            ]

        largest = max(members, key=lambda member: member.path.stat().st_size).path
        lots = tqdm(list(tables.batches(largest, images)), desc=name, unit="batch", disable=None)
        pieces = in_order(
            lambda piece: _fused(piece[1], members, piece[0], settings, name), map(read, lots), threads
        )
        full: dict[str, float] = {}
        for fused, left_out in pieces:
            full |= left_out
            yield fused
        if full:
            print(
                f"note: in {len(full)} of {len(images)} images (first: {next(iter(full))}) there were more "
                f"cells than {name} keeps of each field of view ({tables.FIELD:,} pixels); "
                f"{tables.at_most(max(full.values()))}: where thresholds are lower, raise max_detections in "
                "its file."
            )


def fuse(
    parts: Sequence[pd.DataFrame],
    members: Sequence[Member],
    images: Sequence[str],
    settings: Fusion,
    name: str,
) -> pd.DataFrame:
    """Fuse the detections of some images.

    An image's lists are all sources of all files that cover it, whether they found anything or not: a cell
    that some of them miss scores lower in WBF. With `one_type`, all are first given the type that most of
    their scores, weighted, speak for. After the method, of boxes of different types that overlap by more than
    `cross_type_iou` the best scored stays, for a cell has one type, and of all at most `max_detections`, or,
    where the boxes span more than a field of view (`tables.FIELD`), so many for each. Each gets the average
    of its cluster's patches, weighted by list weight x score. In the end boxes, and with them masks, move by
    `offset`.

    Args:
        parts: each member's detections.
        members: who they are, as `gather` says.
        images: which images they are of.
        settings: the recipe's.
        name: the source of the fused detections.

    Returns:
        The fused detections, image by image in the given order, best first.
    """
    return _fused(parts, members, images, settings, name)[0]


def _fused(
    parts: Sequence[pd.DataFrame],
    members: Sequence[Member],
    images: Sequence[str],
    settings: Fusion,
    name: str,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return what `fuse` does, and the most that detections score that an image has beyond those it keeps."""
    pooled, lists = _pool(parts, members)
    sources = [(member.images, weight) for member in members for weight in member.weights.values()]
    weights = np.array([weight for _, weight in sources])
    boxes, scores = tables.boxes(pooled).astype(np.float64), pooled["score"].to_numpy(np.float64)
    labels, types = pd.factorize(pooled["cell_type"].astype(object), sort=True)
    trust = weights[lists] * scores

    owner = np.full(len(pooled), -1, np.int64)
    kept: list[Fused] = []
    full: dict[str, float] = {}
    first = 0
    for image, rows in zip(images, _rows_by(pooled["image_id"], images), strict=True):
        present = np.flatnonzero([image in covered for covered, _ in sources])
        if settings.one_type and rows.size:
            labels[rows] = np.bincount(labels[rows], trust[rows]).argmax()
        local = np.searchsorted(present, lists[rows])
        candidates = Candidates(boxes[rows], scores[rows], labels[rows], local, weights[present])
        most = _most(boxes[rows], settings)
        fused, left_out = _survivors(METHODS[settings.method](candidates, settings), settings, most)
        full |= {} if left_out is None else {image: left_out}
        owner[rows] = np.where(fused.owner >= 0, fused.owner + first, -1)
        first += len(fused.scores)
        kept.append(fused)

    fused_boxes = np.concatenate([fused.boxes for fused in kept])
    masks = average(tables.patches(pooled), boxes, trust, owner, fused_boxes)
    drawn = fused_boxes + np.tile(settings.offset, 2)
    table = pd.DataFrame(
        {
            "image_id": np.repeat(np.array(images, object), [len(fused.scores) for fused in kept]),
            "cell_type": np.array(types, object)[np.concatenate([fused.labels for fused in kept])],
            "score": np.concatenate([fused.scores for fused in kept]).astype(np.float32),
            **dict(zip(("x1", "y1", "x2", "y2"), drawn.T.astype(np.float32), strict=True)),
            "mask": tables.patch_column(masks),
            "source": name,
        }
    )
    return table, full


def _most(boxes: np.ndarray, settings: Fusion) -> int:
    """Return how many detections an image keeps, by the area that its boxes span."""
    area = (boxes[:, 2:].max(0) - boxes[:, :2].min(0)).prod() if len(boxes) else 0
    return math.ceil(settings.max_detections * max(1, area / tables.FIELD))


def _pool(parts: Sequence[pd.DataFrame], members: Sequence[Member]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all detections that take part, and the list of each, numbered through the members' sources."""
    places, first = [], 0
    for part, member in zip(parts, members, strict=True):
        place = tables.positions(part["source"], list(member.weights))
        places.append(np.where(place >= 0, place + first, -1))
        first += len(member.weights)
    lists, pooled = np.concatenate(places), pd.concat(parts, ignore_index=True)
    if (lists >= 0).all():  # the rule; choosing rows would copy every patch
        return pooled, lists
    return pooled[lists >= 0], lists[lists >= 0]


def _rows_by(ids: pd.Series, images: Sequence[str]) -> list[np.ndarray]:
    """Return for each image its rows, in their order."""
    places = tables.positions(ids, images)
    order = np.argsort(places, kind="stable")
    return np.split(order, np.searchsorted(places[order], np.arange(1, len(images))))


def _survivors(fused: Fused, settings: Fusion, most: int) -> tuple[Fused, float | None]:
    """Keep the best of boxes of several types on one cell, then the best `most`; tell what others score."""
    order = np.argsort(-fused.scores, kind="stable")
    single = fused.boxes[order].astype(np.float32)  # as the table keeps them; a thinner box is none
    order = order[(single[:, 0] < single[:, 2]) & (single[:, 1] < single[:, 3])]
    boxes, scores, labels = fused.boxes[order], fused.scores[order], fused.labels[order]
    _, best, _, _ = cluster(boxes, scores, labels, settings.cross_type_iou, False, True)
    left_out = float(scores[best[most]]) if len(best) > most else None
    best = best[:most]
    rank = np.full(len(fused.scores) + 1, -1, np.int64)  # its last place serves the candidates without a box
    rank[order[best]] = np.arange(len(best))
    return Fused(boxes[best], scores[best], labels[best], rank[fused.owner]), left_out
