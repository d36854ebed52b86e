"""The competition's score and COCO's AP, beside pycocotools and COCOeval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from benchmarks import data
from benchmarks.measuring import Row, agree, peak, race, ratio
from benchmarks.scenes import HEIGHT, WIDTH
from neuroseg import metrics

MEMORY = """
from benchmarks import data
from neuroseg import metrics
def prepare():
    held = data.images(606).assign(fold=0)
    few = data.submission(60), data.truth(60), data.images(60).assign(fold=0)
    metrics.per_image(*few)  # compiled, and every module loaded
    return data.submission(606), data.truth(606), held
def work(prepared):
    metrics.per_image(*prepared)
"""


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of scoring."""
    yield score(
        f"score of {images} images", data.submission(images), data.truth(images), data.images(images), rounds
    )
    if data.real():
        frames, truth, _ = data.real()
        yield score("score of 312 real sets", data.shifted(truth, frames), truth, frames, rounds)
    if images == 606:
        yield Row("memory of that", "the data alone", None, None, "< 20 MiB", f"{peak(MEMORY):.1f} MiB")
    yield average_precision(min(images, 60))


def score(work: str, predicted: pd.DataFrame, truth: pd.DataFrame, frames: pd.DataFrame, rounds: int) -> Row:
    held = frames.assign(fold=0)
    sides = [encoded(table, held) for table in (predicted, truth)]
    ours = lambda: metrics.per_image(predicted, truth, held)["ap"].to_numpy()  # noqa: E731
    peer = lambda: np.array([image_score(p, t) for p, t in zip(*sides, strict=True)])  # noqa: E731
    agree(np.allclose(ours(), peer(), rtol=0, atol=1e-12), "scores")
    times = race({"peer": peer, "ours": ours}, rounds)
    reached = ratio(times["peer"], times["ours"])
    return Row(
        work,
        "pycocotools mask.iou, RLE ready",
        times["peer"],
        times["ours"],
        ">= 12x",
        reached,
        "every image equal",
    )


def encoded(table: pd.DataFrame, held: pd.DataFrame) -> list[list[dict]]:
    """Return each image's masks as pycocotools wants them."""
    of = {image: [{"size": [HEIGHT, WIDTH], "counts": bytes(counts)} for counts in group]
          for image, group in table.groupby("image_id")["rle"]}  # fmt: skip
    return [of.get(image, []) for image in held["image_id"]]


def image_score(predicted: list[dict], truth: list[dict]) -> float:
    """Score an image by mask.iou: pairs are counted, and assigned where a mask has more than one."""
    if not predicted or not truth:
        return float(not predicted and not truth)
    iou = coco.iou(predicted, truth, [0] * len(truth))
    ap = []
    for threshold in metrics.THRESHOLDS:
        hit = iou > threshold
        tp = int(hit.sum())
        if hit.sum(axis=0).max() > 1 or hit.sum(axis=1).max() > 1:
            tp = int((maximum_bipartite_matching(csr_array(hit)) >= 0).sum())
        ap.append(tp / (len(predicted) + len(truth) - tp))
    return float(np.mean(ap))


def average_precision(images: int) -> Row:
    """Race COCOeval. One round, as it takes long."""
    predicted, truth, held = data.submission(images), data.truth(images), data.images(images)
    figures = cocoeval(predicted, truth, held)
    ours = lambda: metrics.coco(predicted, truth, held)  # noqa: E731
    agree(all(abs(figures[name] - value) < 1e-12 for name, value in ours().items()), "COCO's figures")
    times = race({"peer": lambda: cocoeval(predicted, truth, held), "ours": ours}, 1)
    return Row(
        f"COCO AP of {images} images",
        "COCOeval",
        times["peer"],
        times["ours"],
        ">= 20x",
        ratio(times["peer"], times["ours"]),
        "same figures; both: every area, no cap",
    )


def cocoeval(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> dict[str, float]:
    """Return what `metrics.coco` does, by COCOeval, asked the same: cells of every size, every detection."""
    of_each = pd.concat(
        [side["cell_type"][side["image_id"].isin(held["image_id"])] for side in (predicted, truth)]
    )
    types = sorted(set(of_each)) if of_each.notna().all() else []
    figures = {}
    for kind, name in (("segm", "mask"), ("bbox", "box")):
        with contextlib.redirect_stdout(io.StringIO()):
            sides = [COCO(), COCO()]
            for side, table in zip(sides, (truth, predicted), strict=True):
                side.dataset = dataset(table, held, types or ["cell"])
                side.createIndex()
            evaluator = COCOeval(*sides, kind)
            evaluator.params.maxDets = [max(len(predicted), 1)]
            evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
            evaluator.evaluate()
            evaluator.accumulate()
        precision = evaluator.eval["precision"]
        for suffix, part in (("", precision), ("50", precision[0]), ("75", precision[5])):
            figures[f"{name}_ap{suffix}"] = float(part[part > -1].mean()) if (part > -1).any() else -1.0
    return figures


def dataset(table: pd.DataFrame, held: pd.DataFrame, types: list[str]) -> dict[str, Any]:
    """Return instances as COCO's data set, in dicts that the evaluator may write into."""
    sizes = {row.image_id: [row.height, row.width] for row in held.itertuples()}
    annotations = [
        {
            "id": number + 1,
            "image_id": row.image_id,
            "category_id": types.index(row.cell_type) if len(types) > 1 else 0,
            "iscrowd": 0,
            "bbox": [
                float(row.x1),
                float(row.y1),
                float(row.x2) - float(row.x1),
                float(row.y2) - float(row.y1),
            ],
            "area": row.area,
            "score": 1.0 if np.isnan(row.score) else row.score,
            "segmentation": {"size": sizes[row.image_id], "counts": row.rle},
        }
        for number, row in enumerate(table[table["image_id"].isin(held["image_id"])].itertuples())
    ]
    images = [{"id": name, "height": height, "width": width} for name, (height, width) in sizes.items()]
    return {
        "images": images,
        "categories": [{"id": i} for i in range(len(types))],
        "annotations": annotations,
    }
