"""Where cells are lost: how many of the true boxes the proposals cover, and how many the scored boxes.

    python -m benchmarks.proposals --results results/x --checkpoint results/x/train/…/fold_0/model.pth

What no proposal covers, no later stage can detect. Of the images that the detector's fold holds out, it
prints for each cell type which share of the true boxes overlaps a proposal, or a box of at least some score,
by more than 1/2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from benchmarks import detectors
from neuroseg import readers, tables
from neuroseg.detector import checkpoints
from neuroseg.detector.caps import Kept
from neuroseg.detector.inference import Predictor
from neuroseg.detector.precision import choose_device

SCORES = (0.02, 0.1, 0.3)


def main() -> None:
    """Predict the images, count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=detectors.AS_WRITTEN)
    parser.add_argument("--results", type=Path, default=detectors.DEMO, help="a data set's results folder")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a fitted detector of one fold")
    options = parser.parse_args()
    images, instances, folds = detectors.listed(options.results)
    fitted = checkpoints.read_detector(options.checkpoint)
    held = images[images["image_id"].isin(folds["image_id"][folds["fold"] == fitted["fold"]])]
    predictor = Predictor(fitted, choose_device(), torch.float32, Kept(1000, min(SCORES)))
    rows = [
        _count(predictor, image, instances[instances["image_id"] == image.image_id])
        for image in held.itertuples()
    ]
    counts = pd.DataFrame(rows).groupby("cell_type").sum()
    shares = counts.div(counts["cells"], axis=0).assign(cells=counts["cells"])
    print(shares.rename_axis(None).to_string(float_format="{:.2f}".format))


def _count(predictor: Predictor, image, cells: pd.DataFrame) -> dict:
    """Return an image's cell type, its cells, and how many of them proposals and boxes cover."""
    proposed: list[np.ndarray] = []
    hook = predictor.model.roi_head.bbox_roi_extractor[0].register_forward_pre_hook(
        lambda _, inputs: proposed.append(inputs[1][:, 1:].cpu().numpy())
    )
    (found,) = predictor([readers.read_uint8(image.path)])
    hook.remove()
    true = tables.boxes(cells)
    counts = {f"score {score:g}": _met(true, found.boxes[found.scores >= score]) for score in SCORES}
    return {"cell_type": image.cell_type, "cells": len(true), "proposals": _met(true, proposed[0]), **counts}


def _met(true: np.ndarray, boxes: np.ndarray) -> int:
    """Return how many true boxes overlap one of `boxes` by more than one half."""
    if not len(boxes):
        return 0
    sides = np.minimum(true[:, None, 2:], boxes[:, 2:]) - np.maximum(true[:, None, :2], boxes[:, :2])
    shared = sides.clip(0).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (true, boxes)]
    return int((shared / (areas[0][:, None] + areas[1] - shared) > 0.5).any(axis=1).sum())


if __name__ == "__main__":
    main()
