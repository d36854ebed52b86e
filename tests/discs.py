"""Cultures of discs and a detector that learns them in seconds, for the tests of the detector."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neuroseg import rle
from neuroseg.detector import train

ROOT = Path(__file__).parents[1]

MICRO = f"""
_base_ = "{ROOT}/configs/models/cascade_mask_rcnn_tiny.py"
model = dict(
    backbone=dict(base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        mask_roi_extractor=dict(out_channels=16),
        bbox_head=[
            dict(
                type="Shared2FCBBoxHead", in_channels=16, fc_out_channels=16, num_classes=1,
                reg_class_agnostic=True,
                bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
            )
        ] * 3,
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=8),
    ),
)
train_pipeline = [
    dict(type="CropCells", size=96),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Microscope"),
    dict(type="PackCells"),
]
train_cfg = dict(max_iters=6)
default_hooks = dict(checkpoint=dict(interval=2))
"""


class Culture:
    """Discs on grey, as files and tables."""

    def __init__(
        self, folder: Path, count: int = 4, cells: int = 12, size: tuple[int, int] = (128, 160)
    ) -> None:
        self.height, self.width = size
        rows, cell_rows, self.pixels = [], [], {}
        for i in range(count):
            name, cell_type = f"image{i}", ("astro", "cort")[i % 2]
            masks = discs(cells, *size, seed=i)
            image = np.full(size, 128, np.uint8)
            for mask in masks:
                image[mask] = 200
            path = folder / f"{name}.npy"
            np.save(path, image)
            rows.append({"image_id": name, "path": str(path), "height": size[0], "width": size[1]} | KNOWN)
            runs = rle.from_masks(masks)
            boxes, areas = rle.boxes(runs, size[1]), rle.areas(runs)
            cell_rows += [
                {"image_id": name, "instance_id": k, "cell_type": cell_type, "area": areas[k], "rle": counts}
                | dict(zip(("x1", "y1", "x2", "y2"), boxes[k], strict=True))
                for k, counts in enumerate(rle.to_coco(runs, *size))
            ]
        self.images = pd.DataFrame(rows)
        self.instances = pd.DataFrame(cell_rows)
        self.folds = pd.DataFrame({"image_id": self.images["image_id"], "fold": np.arange(count) // 2})


KNOWN = {"group": "g", "subset": "train", "annotated": True}


def discs(count: int, height: int, width: int, seed: int = 0, radius: float = 8) -> np.ndarray:
    """Discs at random places, wholly within the frame, bool, shape (count, height, width)."""
    centres = np.random.default_rng(seed).uniform(radius, (height - radius, width - radius), (count, 2))
    y, x = np.mgrid[:height, :width] + 0.5
    return (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2 <= radius**2


def learn(culture: Culture, micro: Path, work_dir: Path, **changes):
    settings = {"fold": 0, "seed": 0, "work_dir": work_dir, "load": np.load} | changes
    return train(micro, culture.images, culture.instances, culture.folds, **settings)


def same_weights(one, other) -> bool:
    one, other = one.detector["state_dict"], other.detector["state_dict"]
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
