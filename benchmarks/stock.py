"""Stock MMDetection's side of the race: its dataset, transforms and runner, for a model of ours."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import pandas as pd
import torch

from benchmarks.detectors import Watch, load
from neuroseg.detector.openmmlab import Config, Runner, pseudo_collate


def runner(config: Config, annotations: Path, watch: Watch, device: torch.device, folder: Path) -> Runner:
    """Return MMDetection's runner with its dataset and transforms, for the same model, batch, optimiser."""
    size = next(step["size"] for step in config.train_pipeline if step["type"] == "CropCells")
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
        {"type": "RandomCrop", "crop_size": (size, size), "crop_type": "absolute"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
        {"type": "PackDetInputs"},
    ]
    classes = tuple(category["name"] for category in json.loads(annotations.read_text())["categories"])
    optimizer = config.optim_wrapper.to_dict()
    if device.type == "cuda":
        optimizer |= {"type": "AmpOptimWrapper", "dtype": "bfloat16"}
    workers = config.train_dataloader.num_workers if device.type == "cuda" else 0
    return Runner(
        model=config.model,
        work_dir=str(folder / "mmengine"),
        train_dataloader={
            "batch_size": config.train_dataloader.batch_size,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "sampler": {"type": "InfiniteSampler", "shuffle": True, "seed": 0},
            "collate_fn": pseudo_collate,
            "dataset": {
                "type": "CocoDataset",
                "ann_file": str(annotations),
                "data_prefix": {"img": ""},
                "metainfo": {"classes": classes},
                "filter_cfg": {"filter_empty_gt": True},
                "pipeline": pipeline,
            },
        },
        train_cfg=config.train_cfg,
        optim_wrapper=optimizer,
        param_scheduler=config.param_scheduler,
        default_hooks={"timer": None, "logger": None, "checkpoint": None},
        custom_hooks=[*config.custom_hooks, watch],
        visualizer={"type": "Visualizer", "vis_backends": []},
        log_level="WARNING",
        default_scope="mmdet",
        randomness={"seed": 0},
        experiment_name=f"stock-{time.monotonic_ns()}",
    )


def annotations_file(images: pd.DataFrame, cells: pd.DataFrame, classes: list[str], folder: Path) -> Path:
    """Write images and annotations as MMDetection reads them, and return the annotations' file."""
    annotations: list[dict] = []
    listed: list[dict] = []
    for number, image in enumerate(images.itertuples()):
        file = folder / f"{image.image_id}.png"
        cv2.imwrite(str(file), load(Path(image.path)))
        height, width = int(image.height), int(image.width)
        listed.append({"id": number, "file_name": str(file), "height": height, "width": width})
        for cell in cells[cells["image_id"] == image.image_id].itertuples():
            box = (cell.x1, cell.y1, cell.x2 - cell.x1, cell.y2 - cell.y1)
            annotation = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": classes.index(cell.cell_type) + 1,
                "bbox": [float(side) for side in box],
                "area": int(cell.area),
                "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": cell.rle.decode()},
            }
            annotations.append(annotation)
    path = folder / "annotations.json"
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(classes)]
    path.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": categories}))
    return path
