"""One threshold changed in a copy of the repository with results: Snakemake's own way to the new score."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks import data, whole
from benchmarks.measuring import ROOT, agree, spent
from neuroseg import tables

ENSEMBLE = "tiny"
TARGET = f"results/demo/evaluate/{ENSEMBLE}.json"


def rescored(images: int) -> float:
    """Return the CPU seconds of the one command that follows a changed threshold, all its jobs included.

    The chain has run once before, which also compiles what the scripts of the copy need.
    """
    with copy() as root:
        fill(root / "results" / "demo", images)
        snakemake(
            root, "--touch", f"results/demo/ensemble/{ENSEMBLE}.parquet", f"results/demo/tune/{ENSEMBLE}.yaml"
        )
        snakemake(root, TARGET)
        agree("Nothing to be done" in snakemake(root, "-n", TARGET), "what there is and what should be")
        before = (root / TARGET).read_bytes()
        threshold(root / "results" / "demo", 0.35)
        used = spent()
        said = snakemake(root, TARGET)
        used = spent() - used
        jobs = re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE)
        agree(jobs == ["segment", "evaluate"] and (root / TARGET).read_bytes() != before, f"the jobs {jobs}")
    return used


@contextmanager
def copy() -> Iterator[Path]:
    """Yield a clone's files, without its history."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("tests/", "results/")):
                (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, Path(temporary) / name)
        yield Path(temporary)


def fill(results: Path, images: int) -> None:
    """Put a synthetic data set where stages up to `tune` would put theirs; no job asks what a detector is."""
    for stage, name in (("validate", "images"), ("validate", "instances"), ("split", "folds")):
        place(data.folder(images) / f"{name}.parquet", results / stage / f"{name}.parquet")
    place(data.folder(images) / "images.parquet", results / "validate" / "seen.parquet")
    place(whole.fused(images), results / "ensemble" / f"{ENSEMBLE}.parquet")
    (results / "validate" / "problems.csv").touch()
    (results / "split" / "summary.csv").touch()
    for fold in range(2):
        trained = [
            f"train/{{model}}/fold_{{fold}}/{name}" for name in ("model.pth", "config.py", "scalars.json")
        ]
        for name in ("predict/{model}/fold_{fold}.parquet", *trained):
            path = results / name.format(model="cascade_mask_rcnn_tiny", fold=fold)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    threshold(results, 0.3)
    (results.parents[1] / "data" / "demo").mkdir(parents=True, exist_ok=True)


def threshold(results: Path, score: float) -> None:
    """Write every type's thresholds."""
    kinds = tables.read("images", results / "validate" / "images.parquet")["cell_type"].unique().tolist()
    each = {kind: {"score": score, "mask": 0.5, "min_area": 30, "rescore": False} for kind in kinds}
    path = results / "tune" / f"{ENSEMBLE}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"folds": dict.fromkeys(range(5), each), "all": each}))


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def snakemake(root: Path, *arguments: str) -> str:
    """Run Snakemake on one core and return what it said; rules find this Python."""
    command = [sys.executable, "-m", "snakemake", "--nocolor", "--cores", "1", *arguments]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"benchmark stopped: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr
