"""Detections tables become instances tables: every image by the thresholds of its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from neuroseg import rle, tables
from neuroseg.cell_types import vote
from neuroseg.errors import DataError
from neuroseg.segmentation.claiming import claim
from neuroseg.segmentation.pasting import paste
from neuroseg.segmentation.settings import Thresholds
from neuroseg.threads import in_order

LOST = 0.5
"""An instance of which better ones hold more than this share is dropped."""

_NONE = np.zeros(0, np.int64)


def rasterise(
    detections: pd.DataFrame,
    images: pd.DataFrame,
    mask: float,
    min_area: int,
    rescore: bool,
    score: float = 0.0,
) -> pd.DataFrame:
    """Turn detections into disjoint instances, all images by the same thresholds.

    Each detection is pasted and cut at the probability `mask`; with `rescore`, its score is multiplied by the
    mean probability over its pixels. Then, the best scored first (equal ones in the table's order), each
    claims the pixels that none before it holds, unless it lost more than LOST of its area to them or keeps
    fewer than `min_area` pixels in one piece; see `claim`.

    An instance depends on those of higher score alone, so that cutting the result at a score
    (`instances.score >= t`) is the same as asking for `score=t`: one call serves a whole sweep of score
    thresholds.

    Args:
        detections: of any number of images.
        images: the images table; it gives the frames' sizes.
        mask: from above 0 to 1.
        min_area: pixels.
        rescore: whether to rescore.
        score: lowest score kept, after rescoring, compared in single precision.

    Returns:
        Instances, image by image as the detections name them, best first, numbered from 0, of the image's
        type by vote.
    """
    chosen = Thresholds(score=score, mask=mask, min_area=min_area, rescore=rescore)
    settled = {image: (cell_type, chosen) for image, cell_type in vote(detections).items()}
    return _segment(detections, images, settled)


def sweep(
    detections: pd.DataFrame, images: pd.DataFrame, points: Sequence[tuple[float, int, bool]]
) -> Iterator[tuple[str, int, np.ndarray, rle.Runs]]:
    """Turn detections into disjoint instances by many settings, as `rasterise` by one, but paste far less.

    Masks depend on the probability at which they are cut, their order on rescoring, and only claims on all
    three.

    Args:
        detections: of any number of images.
        images: the images table; it gives the frames' sizes.
        points: of each setting mask, min_area and rescore, as `rasterise` takes them.

    Yields:
        For each image and point: image_id, the point's position, and its instances, best first: scores
        (float32) and canonical runs.
    """
    sizes = _sizes(detections, images)
    patches, boxes = tables.patches(detections), tables.boxes(detections)
    scores = detections["score"].to_numpy(np.float32)
    for image, rows in _by_image(detections):
        height, width = sizes[image]
        for mask in dict.fromkeys(mask for mask, _, _ in points):
            ptr, start, length, mean = paste(patches, boxes, rows, height, width, mask)
            for number, (own, min_area, rescore) in enumerate(points):
                if own == mask:
                    final = (scores[rows] * mean).astype(np.float32) if rescore else scores[rows]
                    order = np.argsort(-final, kind="stable")
                    kept, *claimed = claim(ptr, start, length, order, height, width, min_area, LOST)
                    yield image, number, final[kept], rle.Runs(*claimed)


def instances(
    detections: pd.DataFrame, images: pd.DataFrame, thresholds: Mapping[str, Thresholds | Mapping]
) -> pd.DataFrame:
    """Turn detections into disjoint instances, each image by thresholds of the type its detections vote for.

    All of an image's detections take that type's thresholds and label, whatever their own label said. See
    `rasterise`.

    Args:
        detections: of any number of images.
        images: the images table; it gives the frames' sizes.
        thresholds: of each cell type.

    Raises:
        DataError: an image is of a type without thresholds.
    """
    return _segment(detections, images, _settle(detections, thresholds))


def stream(
    path: str | Path,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    thresholds: Mapping[int, Mapping[str, Thresholds]],
    threads: int = 1,
) -> Iterator[pd.DataFrame]:
    """Turn a detections file into instances, a few images at a time; those of fold k by the thresholds for k.

    Args:
        path: of the detections.
        images: the images table.
        folds: the folds table.
        thresholds: of each fold and cell type, as `read_thresholds` returns them.
        threads: how many batches are in work side by side.

    Yields:
        Instances tables, each of some whole images, in the file's order.

    Raises:
        DataError: an image is in no fold or not in the images table, or a fold or a type has no thresholds.
    """
    covered = tables.read_coverage(path).images
    fold_of = dict(zip(folds["image_id"], folds["fold"], strict=True))
    for image in covered:
        if image not in fold_of:
            raise DataError(
                f"{path}: image {image} is not in the folds table; run the stage split on these images."
            )
        if fold_of[image] not in thresholds:
            known = ", ".join(map(str, thresholds))
            raise DataError(
                f"{path}: image {image} is of fold {fold_of[image]}, thresholds are for {known}; tune again."
            )

    def cut(found: pd.DataFrame) -> pd.DataFrame:
        fold = found["image_id"].map(fold_of)
        settled: dict[str, tuple[str, Thresholds]] = {}
        for number in fold.unique():
            settled |= _settle(
                found.loc[fold == number, ["image_id", "cell_type", "score"]], thresholds[number]
            )
        return _segment(found, images, settled)

    with tables.reading("detections", path) as rows_of:
        lots = tqdm(list(tables.batches(path, covered)), unit="batch", disable=None)
        yield from in_order(cut, map(rows_of, lots), threads)


def disjoint(
    masks: pd.DataFrame, images: pd.DataFrame, min_area: int = 1, lost: float = LOST
) -> pd.DataFrame:
    """Resolve the overlaps of hard instances by the same rule: best scored first, unscored last.

    Returns:
        Instances, image by image as the table names them, numbered from 0 in the order of their turns; types
        and scores as they were.
    """
    sizes = _sizes(masks, images)
    scores = masks["score"].astype(np.float32).fillna(-1).to_numpy()
    rows_kept, claims = [_NONE], []
    for image, rows in _by_image(masks):
        height, width = sizes[image]
        runs = rle.of_image(masks.iloc[rows], image, height, width)
        order = np.argsort(-scores[rows], kind="stable")
        kept, *claimed = claim(*runs, order, height, width, min_area, float(lost))
        rows_kept.append(rows[kept])
        claims.append((rle.Runs(*claimed), height, width))
    return _table(masks.iloc[np.concatenate(rows_kept)][["image_id", "cell_type", "score"]], claims)


def _settle(
    detections: pd.DataFrame, thresholds: Mapping[str, Thresholds | Mapping]
) -> dict[str, tuple[str, Thresholds]]:
    """Return the type and the thresholds that each image's detections vote for."""
    known = {cell_type: Thresholds.model_validate(chosen) for cell_type, chosen in thresholds.items()}
    votes = vote(detections, {cell_type: chosen.vote for cell_type, chosen in known.items()})
    for image, cell_type in votes.items():
        if cell_type not in known:
            raise DataError(
                f"image {image}: its detections vote for {cell_type}, "
                f"for which there are no thresholds (only for {', '.join(known) or 'nothing'}); "
                "tune on images that hold it, or add them by hand."
            )
    return {image: (cell_type, known[cell_type]) for image, cell_type in votes.items()}


def _segment(
    detections: pd.DataFrame, images: pd.DataFrame, settled: Mapping[str, tuple[str, Thresholds]]
) -> pd.DataFrame:
    sizes = _sizes(detections, images)
    patches, boxes = tables.patches(detections), tables.boxes(detections)
    scores = detections["score"].to_numpy(np.float32)
    final = scores.copy()
    rows_kept, claims = [_NONE], []
    for image, rows in _by_image(detections):
        height, width = sizes[image]
        _, chosen = settled[image]
        least = np.float32(chosen.score)
        rows = rows[scores[rows] >= least]  # rescoring only lowers
        ptr, start, length, mean = paste(patches, boxes, rows, height, width, chosen.mask)
        if chosen.rescore:
            final[rows] = scores[rows] * mean
        order = np.argsort(-final[rows], kind="stable")
        order = order[final[rows[order]] >= least]
        kept, *claimed = claim(ptr, start, length, order, height, width, chosen.min_area, LOST)
        rows_kept.append(rows[kept])
        claims.append((rle.Runs(*claimed), height, width))
    rows = np.concatenate(rows_kept)
    ids = detections["image_id"].iloc[rows]
    types = ids.map({image: cell_type for image, (cell_type, _) in settled.items()})
    return _table(pd.DataFrame({"image_id": ids, "cell_type": types, "score": final[rows]}), claims)


def _sizes(frame: pd.DataFrame, images: pd.DataFrame) -> dict[str, tuple[int, int]]:
    ids = frame["image_id"].drop_duplicates()
    at = tables.positions(ids, images["image_id"])
    for image in ids[at < 0]:
        raise DataError(
            f"image {image} is not in the images table; give the one that the detections were made with."
        )
    sizes = images[["height", "width"]].to_numpy()[at]
    return dict(zip(ids, map(tuple, sizes.tolist()), strict=True))


def _by_image(frame: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each image and its rows, in the order in which the frame names them."""
    codes, ids = pd.factorize(frame["image_id"])
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.searchsorted(codes[order], np.arange(1, len(ids) + 1)))
    yield from zip(ids, rows[: len(ids)], strict=True)


def _table(known: pd.DataFrame, claims: list[tuple[rle.Runs, int, int]]) -> pd.DataFrame:
    """Return the instances table of what masks have claimed, of which image, type and score are known."""
    boxes = [np.zeros((0, 4), np.int32), *(rle.boxes(runs, width) for runs, _, width in claims)]
    corners = np.concatenate(boxes).astype(np.float32).T
    counts = [text for runs, height, width in claims for text in rle.to_coco(runs, height, width)]
    table = known.reset_index(drop=True).assign(
        instance_id=np.concatenate([_NONE, *(np.arange(len(runs)) for runs, _, _ in claims)]).astype(
            np.int32
        ),
        **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)),
        area=np.concatenate([_NONE, *(rle.areas(runs) for runs, _, _ in claims)]).astype(np.int32),
        rle=tables.rle_column(counts),
    )
    return table[tables.SCHEMAS["instances"].names]
