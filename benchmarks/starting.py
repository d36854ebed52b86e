"""What starting costs: every script's help, and a change of one threshold."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks import data, scenes, whole
from benchmarks.measuring import ROOT, Row


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of starting."""
    times = {}
    for script in sorted((ROOT / "scripts").glob("*.py")):
        command = [sys.executable, str(script), "--help"]
        times[script.stem] = statistics.median(children(command) for _ in range(rounds))
    slowest = max(times, key=times.get)
    note = ", ".join(f"{name} {seconds:.2f}" for name, seconds in times.items())
    yield Row("--help of every script", "", None, times[slowest], "<= 1 s", f"{times[slowest]:.2f} s ({slowest})", note)
    yield threshold(images)


def children(command: list[str]) -> float:
    """Return the CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def threshold(images: int) -> Row:
    """Change a threshold: Snakemake's start-up, then the steps `segment` and `evaluate`, which are all that rerun."""
    folder, detections = data.folder(images), whole.fused(images)
    fixed = {kind: {"score": 0.3, "mask": 0.5, "min_area": 30, "rescore": False} for kind in scenes.KINDS}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        (out / "thresholds.yaml").write_text(yaml.safe_dump({"folds": dict.fromkeys(range(5), fixed), "all": fixed}))
        tables = {name: str(folder / f"{name}.parquet") for name in ("images", "folds", "instances")}
        cut, scripts = str(out / "cells.parquet"), ROOT / "scripts"
        steps = {
            "segment": [str(scripts / "segment.py"), "--detections", str(detections), "--images", tables["images"],
                        "--folds", tables["folds"], "--thresholds", str(out / "thresholds.yaml"), "--instances", cut],
            "evaluate": [str(scripts / "evaluate.py"), "--instances", cut, "--truth", tables["instances"],
                         "--images", tables["images"], "--folds", tables["folds"],
                         "--metrics", str(out / "metrics.json"), "--per-image", str(out / "images.parquet")],
        }  # fmt: skip
        taken = {name: children([sys.executable, *command]) for name, command in steps.items()}
        taken["snakemake"] = children([sys.executable, "-m", "snakemake", "-n", "--cores", "1", "-d", str(ROOT)])
    note = "sum of " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in taken.items())
    total = sum(taken.values())
    return Row(f"one threshold to the score of {images} images", "", None, total, "<= 15 s", f"{total:.1f} s", note)
