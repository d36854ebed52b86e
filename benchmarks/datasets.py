"""Synthetic data sets on disk: the tables that the stages would write, of scenes drawn at random."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.scenes import HEIGHT, WIDTH, Scene, draw
from neuroseg import rle, tables

BATCH = 32
"""Images drawn and written at a time."""


def write(folder: Path, images: int, sets: int, seed: int = 0) -> Path:
    """Write a data set as the stages would: images, instances and folds, and a detections file for each set.

    A folder that holds it already is left as it is: the same arguments give the same data.
    """
    done = folder / "folds.parquet"
    if done.exists():
        return folder
    ids = [f"image_{number:05d}" for number in range(images)]
    kinds = []
    with ExitStack() as stack:
        truth = stack.enter_context(tables.writing("instances", folder / "instances.parquet"))
        coverages = [tables.Coverage(tuple(ids), (f"m{m}/fold_0/plain",)) for m in range(sets)]
        files = [
            stack.enter_context(tables.writing("detections", folder / f"set_{m:02d}.parquet", coverage))
            for m, coverage in enumerate(coverages)
        ]
        for begin in range(0, images, BATCH):
            batch = ids[begin : begin + BATCH]
            scenes = [draw(seed, begin + number, sets) for number in range(len(batch))]
            kinds += [scene.cell_type for scene in scenes]
            named = list(zip(scenes, batch, strict=True))
            truth(pd.concat([instances(scene, image) for scene, image in named]))
            for m, append in enumerate(files):
                found = [scene.sets[m].assign(image_id=image) for scene, image in named]
                append(pd.concat(found, ignore_index=True).assign(source=f"m{m}/fold_0/plain"))
    tables.write("images", listed(ids, kinds), folder / "images.parquet")
    fold = pd.DataFrame({"image_id": ids, "fold": (np.arange(images) % 5).astype(np.int8)})
    tables.write("folds", fold, done)
    return folder


def repeat(source: Path, folder: Path, times: int, sets: int) -> Path:
    """Write the first sets of a data set several times over, its images under new names."""
    done = folder / "folds.parquet"
    if done.exists():
        return folder
    images = tables.read("images", source / "images.parquet")
    for name in ("images", "instances", "folds"):
        table = tables.read(name, source / f"{name}.parquet")
        copies = pd.concat([renamed(table, copy) for copy in range(times)])
        tables.write(name, copies, folder / f"{name}.parquet")
    names = tuple(f"{image}_{copy}" for copy in range(times) for image in images["image_id"])
    for m in range(sets):
        name = f"set_{m:02d}.parquet"
        coverage = tables.Coverage(names, (f"m{m}/fold_0/plain",))
        found = tables.read("detections", source / name)
        with tables.writing("detections", folder / name, coverage) as append:
            for copy in range(times):
                append(renamed(found, copy))
    return folder


def renamed(table: pd.DataFrame, copy: int) -> pd.DataFrame:
    """Return a table whose images have other names."""
    return table.assign(image_id=table["image_id"] + f"_{copy}")


def listed(ids: list[str], kinds: list[str]) -> pd.DataFrame:
    """Return the images table."""
    empty = tables.empty("images").reindex(range(len(ids)))
    given = {"image_id": ids, "path": ids, "height": HEIGHT, "width": WIDTH, "cell_type": kinds, "group": ids}
    return empty.assign(**given, subset="train", annotated=True)


def instances(scene: Scene, image: str) -> pd.DataFrame:
    """Return a scene's true masks as an instances table."""
    sides = rle.boxes(scene.truth, WIDTH).T.astype(np.float32)
    return pd.DataFrame(
        {
            "image_id": image,
            "instance_id": np.arange(len(scene.truth), dtype=np.int32),
            "cell_type": scene.cell_type,
            **dict(zip(("x1", "y1", "x2", "y2"), sides, strict=True)),
            "area": rle.areas(scene.truth),
            "rle": tables.rle_column(rle.to_coco(scene.truth, HEIGHT, WIDTH)),
            "score": np.full(len(scene.truth), np.nan, np.float32),
        }
    )
