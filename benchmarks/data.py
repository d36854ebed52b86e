"""What is measured on: synthetic sets, drawn once and kept, and the real annotations where there are any."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import datasets, scenes
from benchmarks.measuring import ROOT
from neuroseg import rle, segmentation, tables

FOLDER = ROOT / "benchmarks" / "results"
SETS = 15


@cache
def folder(images: int, sets: int = SETS) -> Path:
    """Return the folder of a synthetic data set."""
    return datasets.write(FOLDER / f"{images}x{sets}", images, sets)


@cache
def images(count: int) -> pd.DataFrame:
    """Return the images table of a synthetic set."""
    return tables.read("images", folder(count) / "images.parquet")


@cache
def truth(count: int) -> pd.DataFrame:
    """Return the true masks of a synthetic set: some overlap, some come twice."""
    return tables.read("instances", folder(count) / "instances.parquet")


@cache
def submission(count: int) -> pd.DataFrame:
    """Return disjoint instances of a synthetic set: those of its first detector."""
    found = tables.read("detections", folder(count) / "set_00.parquet")
    return segmentation.rasterise(found, images(count), 0.5, 30, False, 0.3)


@cache
def real() -> tuple[pd.DataFrame, pd.DataFrame, list[str]] | None:
    """Return 312 real images' sizes, true masks, and the texts these came as; None without NEUROSEG_DATA."""
    data = Path(os.environ.get("NEUROSEG_DATA", "nowhere"))
    path = data / "sartorius" / "extra" / "annotations_without_images.csv"
    if not path.is_file():
        return None
    given = pd.read_csv(path).sort_values("id", kind="stable", ignore_index=True)
    texts = given["annotation"].tolist()
    runs, _ = rle.from_kaggle(texts, scenes.HEIGHT, scenes.WIDTH)
    ids = given["id"].drop_duplicates()
    masks = pd.DataFrame(
        {
            "image_id": given["id"],
            "cell_type": given["cell_type"],
            "area": rle.areas(runs),
            "rle": tables.rle_column(rle.to_coco(runs, scenes.HEIGHT, scenes.WIDTH)),
            "score": np.float32("nan"),
        }
    )
    return datasets.listed(ids.tolist(), given["cell_type"].loc[ids.index].tolist()), masks, texts


def shifted(masks: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return masks moved by one pixel along each axis and made disjoint: predictions of real shapes."""
    lying = rle.from_coco(masks["rle"], scenes.HEIGHT, scenes.WIDTH)
    moved = rle.Runs(lying.ptr, lying.start + scenes.WIDTH + 1, lying.length)
    moved = rle.canonical(moved, scenes.HEIGHT, scenes.WIDTH)
    counts = rle.to_coco(moved, scenes.HEIGHT, scenes.WIDTH)
    known = rle.areas(moved) > 0
    return segmentation.disjoint(masks.assign(rle=tables.rle_column(counts))[known], frames)
