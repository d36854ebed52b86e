"""The nested grid of thresholds, beside rescoring from scratch for each candidate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks import data, whole
from benchmarks.measuring import Row, agree, once, ratio
from neuroseg import metrics, segmentation, tables
from neuroseg.tuning import Settings, choose, collect, grid

BATCH = 8


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the row of tuning: one run, as it takes long enough."""
    found = tables.read("detections", whole.fused(images))
    truth, held = data.truth(images), data.images(images).assign(fold=np.arange(images) % 5)
    search(found[found["image_id"] == held["image_id"][0]], truth, held[:1])  # compiled
    taken, (chosen, tallies) = once(lambda: search(found, truth, held))
    candidates = len(grid(Settings())) * len(Settings().score)
    points = grid(Settings())
    scratch = 0.0
    for number, score in ((0, 0.3), (len(points) - 1, 0.25)):
        one, ap = once(lambda number=number, score=score: rescored(found, truth, held, points[number], score))
        reached = (tallies["point"] == number) & (tallies["step"] >= Settings().score.index(score))
        agree(abs(tallies["gain"][reached].sum() / images - ap) < 1e-9, "scores of a candidate")
        scratch += one / 2
    what = f"tuning on {images} images x {data.SETS} sets"
    note = f"{candidates} candidates, {len(chosen)} choices; peer: 2 candidates, scaled"
    peer = scratch * candidates
    yield Row(what, "rescoring from scratch", peer, taken, "<= 30 s on 2 cores", ratio(peer, taken), note)


def search(found: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do what the stage `tune` does; return what it chose, and the tallies of every candidate."""
    settings, of_image = Settings(), dict(list(found.groupby("image_id", sort=False)))
    names = (held["image_id"].iloc[begin : begin + BATCH] for begin in range(0, len(held), BATCH))
    batches = (pd.concat([of_image[name] for name in some], ignore_index=True) for some in names)
    collected = collect(settings, held, truth, 1, batches)
    return choose(settings, collected), pd.concat(collected.tallies, ignore_index=True)


def rescored(
    found: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame, point: tuple, score: float
) -> float:
    """Return the mean ap of one candidate, from the detections on."""
    cut = segmentation.rasterise(found, held, *point, score)
    return metrics.per_image(cut, truth, held)["ap"].mean()
