"""COCO's average precision of masks and of boxes, without COCO's cap of 100 detections an image."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from faster_coco_eval.core import COCO, COCOeval_faster

from neuroseg import tables


def coco(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> dict[str, float]:
    """Return COCO's AP of the images of `held`; instances of other images are ignored.

    COCO's headline figure counts the 100 best detections of an image and so punishes whoever finds all cells of a
    crowded one; here every detection counts. As in COCO, AP is averaged over categories: the cell types, where each
    instance on both sides has one; otherwise all instances are of one category. Instances without a score rank as
    certain.

    Returns:
        mask_ap, mask_ap50, mask_ap75, box_ap, box_ap50, box_ap75; -1, as COCO writes it, where there is no truth.
    """
    sides = [table[table["image_id"].isin(held["image_id"])] for table in (truth, predicted)]
    typed = all(side["cell_type"].notna().all() for side in sides)
    types = sorted({*sides[0]["cell_type"], *sides[1]["cell_type"]} if typed else ()) or ["cell"]
    figures = {}
    for kind, name in (("segm", "mask"), ("bbox", "box")):
        with _uncollected():
            precision = _precision(*(_dataset(side, held, types, kind) for side in sides), kind)
        for suffix, part in (("", precision), ("50", precision[0]), ("75", precision[5])):
            counted = part[part > -1]
            figures[f"{name}_ap{suffix}"] = float(counted.mean()) if counted.size else -1.0
    return figures


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's collector off: it would walk a dict an instance again and again, a quarter of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _precision(truth: dict[str, Any], predicted: dict[str, Any], kind: str) -> np.ndarray:
    """Return COCO's precision, shape (thresholds, recalls, categories), -1 where a category has no truth."""
    evaluator = COCOeval_faster(COCO(truth), COCO(predicted), iouType=kind, rle_iou_max_workers=1)
    per_image = np.bincount([annotation["image_id"] for annotation in predicted["annotations"]], minlength=1)
    evaluator.params.maxDets = [max(int(per_image.max()), 1)]
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"])[:, :, :, 0, 0]


def _dataset(instances: pd.DataFrame, held: pd.DataFrame, types: list[str], kind: str) -> dict[str, Any]:
    """Return instances as a COCO data set of its own dicts: the evaluator writes into what it is given.

    It unpacks every mask that it sees, even to compare boxes, which therefore come without.
    """
    image = pd.Index(held["image_id"]).get_indexer(instances["image_id"])
    category = pd.Index(types).get_indexer(instances["cell_type"]) if len(types) > 1 else np.zeros(len(instances), int)
    sizes = held[["height", "width"]].to_numpy().tolist()
    corners = tables.boxes(instances).astype(np.float64)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    scores = instances["score"].fillna(1.0).tolist()
    return {
        "images": [{"id": i + 1, "height": height, "width": width} for i, (height, width) in enumerate(sizes)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(types)],
        "annotations": [
            {
                "id": number + 1,
                "image_id": i + 1,
                "category_id": cell_type + 1,
                "iscrowd": 0,
                "bbox": box,
                "area": area,
                "score": score,
                **({"segmentation": {"size": sizes[i], "counts": counts}} if kind == "segm" else {}),
            }
            for number, (i, cell_type, box, area, score, counts) in enumerate(
                zip(
                    image.tolist(),
                    category.tolist(),
                    boxes,
                    instances["area"].tolist(),
                    scores,
                    instances["rle"].tolist(),
                    strict=True,
                )
            )
        ],
    }
