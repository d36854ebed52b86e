"""Everything from detections files to the score, and how it grows with the images."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks import data, datasets, measuring, scenes
from benchmarks.measuring import Row
from neuroseg import fusion, metrics, segmentation, tables
from neuroseg.fusion import Recipe
from neuroseg.tables import BATCH
from neuroseg.threads import in_order

LINEAR = 3
"""Sets of the run that grows."""

ROUNDS = 3
"""Runs of one thread, two threads and two processes, in turn."""


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of the whole, each run in a process of its own."""
    folder = data.folder(images)
    runs = [
        (measured(folder, data.SETS), measured(folder, data.SETS, threads=2), halves(folder, data.SETS))
        for _ in range(ROUNDS)
    ]
    one, threads, processes = (
        {key: median(each[key] for each in way) for key in way[0]} for way in zip(*runs, strict=True)
    )
    note = f"ap {one['ap']:.6f}; with reading {one['cpu'] + one['reading']:.2f} CPU s"
    name = f"{images} images x {data.SETS} sets: fuse, segment, score"
    yield Row(name, "", None, one["cpu"], "<= 4 CPU s after loading", f"{one['cpu']:.2f} s", note)
    yield Row(
        "its memory, reading and libraries included",
        "",
        None,
        None,
        "< 1 GiB",
        f"{one['peak'] / 1024:.2f} GiB",
    )
    beside = {"threads": threads["wall"] / one["wall"], "processes": processes["wall"] / one["wall"]}
    note = (
        f"half the images each; two threads of one process {beside['threads']:.2f}x; medians of {ROUNDS} runs"
    )
    reached = f"{beside['processes']:.2f}x"
    yield Row("two processes beside one, wall", "", None, None, "<= 0.65x", reached, note)
    ten = datasets.repeat(folder, data.FOLDER / f"{images}x10x{LINEAR}", 10, LINEAR)
    few, many = measured(folder, LINEAR), measured(ten, LINEAR)
    grown = many["cpu"] / few["cpu"]
    held = f"the truth's table {few['truth']:.0f} and {many['truth']:.0f} of it"
    note = f"peak {few['peak']:.0f} and {many['peak']:.0f} MiB, {held}"
    what = f"{10 * images} images x {LINEAR} sets beside {images}"
    yield Row(what, "", few["cpu"], many["cpu"], "10x, memory flat", f"{grown:.1f}x", note)


def fused(images: int) -> Path:
    """Return a file of fused detections, made where it is not there yet."""
    path = data.folder(images) / "fused.parquet"
    if not path.exists():
        members, names, settings = gathered(data.folder(images), data.SETS)
        with tables.writing("detections", path, tables.Coverage(names, ("all",))) as append:
            for part in fusion.stream(members, names, settings, "all"):
                append(part)
    return path


def gathered(folder: Path, sets: int) -> tuple:
    """Return members, images and settings of a WBF of `sets` detectors."""
    recipe = Recipe(members={f"m{m}": 1.0 for m in range(sets)})
    return *fusion.gather([folder / f"set_{m:02d}.parquet" for m in range(sets)], recipe), recipe.fusion


def measured(folder: Path, sets: int, threads: int = 1) -> dict:
    """Return what `run` says in a fresh process."""
    return said(started(folder, sets, threads, "0/1"))


def halves(folder: Path, sets: int) -> dict:
    """Return the wall time of two processes side by side, of which each does every other batch."""
    both = [started(folder, sets, 1, f"{part}/2") for part in range(2)]
    return {"wall": max(said(each)["wall"] for each in both)}


def started(folder: Path, sets: int, threads: int, part: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.whole", str(folder), str(sets), str(threads), part]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=measuring.environment())


def said(process: subprocess.Popen) -> dict:
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(process.args)} has failed")
    return json.loads(told.splitlines()[-1])


def run(folder: Path, sets: int, threads: int, part: int, parts: int) -> dict:
    """Fuse, segment and score some batches; with one thread, CPU seconds of reading are counted apart."""
    images = tables.read("images", folder / "images.parquet")
    truth = tables.read("instances", folder / "instances.parquet")
    rows_of = truth.groupby("image_id").indices
    members, names, settings = gathered(folder, sets)
    thresholds = {
        kind: {"score": 0.3, "mask": 0.5, "min_area": 30, "rescore": False} for kind in scenes.KINDS
    }
    reading = 0.0

    def work(piece: tuple[list[str], list[pd.DataFrame]]) -> list[float]:
        batch, parts = piece
        cells = segmentation.instances(
            fusion.fuse(parts, members, batch, settings, "all"), images, thresholds
        )
        held = images.iloc[tables.positions(pd.Series(batch), images["image_id"])].assign(fold=0)
        true = truth.iloc[np.concatenate([rows_of[name] for name in batch])]
        return metrics.per_image(cells, true, held)["ap"].tolist()

    with ExitStack() as stack:
        files = [stack.enter_context(tables.reading("detections", member.path)) for member in members]

        def read(batch: list[str]) -> tuple[list[str], list[pd.DataFrame]]:
            nonlocal reading
            begin = time.process_time()
            parts = [rows_of_file(batch) for rows_of_file in files]
            reading += time.process_time() - begin
            return batch, parts

        work(read(list(names[:BATCH])))  # compiled
        reading, cpu, wall = 0.0, time.process_time(), time.perf_counter()
        begins = range(part * BATCH, len(names), parts * BATCH)
        pieces = (read(list(names[begin : begin + BATCH])) for begin in begins)
        ap = [each for part in in_order(work, pieces, threads) for each in part]
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "cpu": cpu - reading,
        "reading": reading,
        "wall": wall,
        "peak": measuring.high_water(),
        "truth": truth.memory_usage(deep=True).sum() / 2**20,
        "ap": float(np.mean(ap)),
    }


if __name__ == "__main__":
    place, sets, threads, share = sys.argv[1:]
    print(json.dumps(run(Path(place), int(sets), int(threads), *map(int, share.split("/")))))
