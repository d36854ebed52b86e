"""The demo in earnest: a detector that begins from nothing finds drawn cells that it has not seen."""

import json

import pytest
import yaml
from chain import copy, snakemake

METRICS = "results/demo/evaluate/tiny_single.json"
RUN = {
    "ensembles": ["tiny_single"],
    "simulate": {"train_images": 14, "test_images": 1},
    "train": {"iterations": 80},
    "predict": {"views": ["none"]},
    "evaluate": {"bootstrap": 100},
}


@pytest.mark.slow
def test_cells_are_found(tmp_path):
    folder = copy(tmp_path / "neuroseg")
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    snakemake("--cores", "1", "--configfile", "run.yaml", "--", METRICS, folder=folder)
    metrics = json.loads((folder / METRICS).read_text())
    assert 0.02 < metrics["map"] < 1
    assert metrics["map_low"] <= metrics["map"] <= metrics["map_high"]
    curves = list((folder / "results" / "demo" / "train").glob("*/fold_*/scalars.json"))
    assert len(curves) == 2
    for curve in curves:
        losses = json.loads(curve.read_text())["loss"]
        tenth = len(losses) // 10
        assert sum(losses[-tenth:]) < 0.8 * sum(losses[:tenth])
