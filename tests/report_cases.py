"""What a report is made of, on discs, for its tests."""

import numpy as np
import pandas as pd
from PIL import Image

from neuroseg import report, rle, tables

HEIGHT, WIDTH = 60, 80


def disc(row, col, radius=6):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (y - row) ** 2 + (x - col) ** 2 <= radius**2


def runs_of(*masks):
    return rle.from_masks(np.stack(masks)) if masks else rle.concatenate([])


def instances_of(image_id, masks, cell_type, score=np.nan):
    runs = runs_of(*masks)
    frame = pd.DataFrame({"image_id": [image_id] * len(runs), "instance_id": range(len(runs))})
    frame[["x1", "y1", "x2", "y2"]] = rle.boxes(runs, WIDTH)
    frame["area"] = rle.areas(runs)
    return frame.assign(
        cell_type=cell_type, rle=tables.rle_column(rle.to_coco(runs, HEIGHT, WIDTH)), score=score
    )


def scored(ap, images=4):
    return {"map": ap, "map_low": ap - 0.1, "map_high": ap + 0.1, "images": images, "cells": 3 * images}


def gathered(folder):
    """Eight annotated images of three discs, of two types in two arms, predicted ever worse; a test image."""
    rng = np.random.default_rng(0)
    rows, truth, found, ranked, measured = [], [], [], [], []
    for at in range(9):
        name = f"image{at}"
        Image.fromarray(rng.integers(90, 160, (HEIGHT, WIDTH)).astype(np.uint8)).save(folder / f"{name}.png")
        known = at < 8
        kind, arm, well = ("astro", "cort")[at % 2], ("control", "drug")[at // 2 % 2], f"A{at // 2}"
        rows.append(
            {"image_id": name, "path": str(folder / f"{name}.png"), "height": HEIGHT, "width": WIDTH}
            | {
                "cell_type": kind if known else None,
                "group": f"P_{well}",
                "subset": "train" if known else "test",
            }
            | {
                "annotated": known,
                "sample": None,
                "plate": "P",
                "well": well if known else None,
                "field": None,
                "time": 24.0,
            }
            | {"treatment": arm if known else None, "dose": None, "dose_unit": None, "pixel_size_um": np.nan}
        )
        cells = [disc(15, 15), disc(15, 50), disc(45, 30)]
        predicted = [np.roll(mask, at, axis=1) for mask in cells[: 3 - at // 4]] + [disc(50, 70, 4)]
        if known:
            truth.append(instances_of(name, cells, kind))
            ranked.append(
                {
                    "image_id": name,
                    "cell_type": kind,
                    "group": f"P_{well}",
                    "fold": at % 2,
                    "ap": 0.9 - at / 10,
                }
            )
        found.append(instances_of(name, predicted, kind, 0.75))
        measured.append(
            {
                "image_id": name,
                "cell_type": kind,
                "count": len(predicted),
                "confluence": 0.1,
                "median_area_px": 113.0,
            }
        )
    found = pd.concat(found, ignore_index=True)
    shapes = found[["image_id", "cell_type", "area"]].rename(columns={"area": "area_px"})
    shapes = shapes.assign(axis_major_length_px=36.0, eccentricity=0.1, solidity=0.95)
    thresholds = {f"{level:.2f}": 0.95 - level for level in np.arange(0.5, 1, 0.05)}
    metrics = {
        name: scored(ap, 8)
        | {"ap": thresholds, "per_type": {"astro": scored(ap), "cort": scored(ap)}}
        | {
            "per_fold": {"0": scored(ap), "1": scored(ap)},
            "coco": {"mask_ap": 0.3, "box_ap": 0.4},
            "predicted": 30,
        }
        for name, ap in (("one", 0.4), ("both", 0.5))
    }
    steps = list(range(1, 401))
    curve = {"iteration": steps, "loss": [4 / step for step in steps], "lr": [1e-3] * 400}
    losses = {"s0.loss_mask": curve["loss"], "s1.loss_mask": curve["loss"], "loss_rpn_cls": curve["loss"]}
    return report.Evidence(
        dataset="discs",
        images=pd.DataFrame(rows),
        truth=pd.concat(truth, ignore_index=True),
        problems=pd.DataFrame(
            {
                "check": ["hole", "hole", "tiny_mask"],
                "policy": ["keep", "keep", "drop"],
                "image_id": ["image0", "image1", None],
            }
            | {"message": ["a hole of 3 pixels", "a hole of 4 pixels", "5 pixels"]}
        ),
        fold_summary=pd.DataFrame(
            {
                "fold": [-1, 0, 1, 1],
                "cell_type": ["unknown", "astro", "astro", "cort"],
                "images": [1, 4, 1, 3],
                "cells": [0, 12, 3, 9],
            }
        ),
        training=tuple({"model": "one", "fold": fold, "losses": losses, **curve} for fold in (0, 1)),
        metrics=metrics,
        per_image={name: pd.DataFrame(ranked) for name in metrics},
        segments=dict.fromkeys(metrics, found),
        quantities={name: pd.DataFrame(measured) for name in metrics},
        cells=dict.fromkeys(metrics, shapes),
    )
