"""Learning and finding against stock MMDetection: same model and images, its dataset, pipeline, test step.

    python -m benchmarks.learning --results results/demo --model configs/models/cascade_mask_rcnn_tiny.py
    python -m benchmarks.learning --results results/sartorius --checkpoint results/sartorius/train/…/model.pth

The two take turns, a round each. On a CPU what is counted are the process's CPU seconds, on a GPU the
clock's. Before timing, both must find the same cells with the same masks. It prints a Markdown table;
`--write` puts it into docs/benchmarks.md as well.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from benchmarks.measuring import ROOT, insert
from neuroseg import readers, rle, tables
from neuroseg.detector import checkpoints, configuration, hooks, training
from neuroseg.detector.dataset import named
from neuroseg.detector.inference import Predictor
from neuroseg.detector.openmmlab import MODELS, Config, Hook, Runner, pseudo_collate
from neuroseg.detector.precision import choose_device, choose_dtype
from neuroseg.folds import training as training_images

WARM = 3
"""Iterations that are not counted: the first ones choose kernels and fill caches."""

EQUAL_PIXELS = 0.9999
"""Share of pixels on which the masks of both must agree: their probabilities are rounded to 1/255 here."""


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results/demo"), help="a data set's results folder"
    )
    parser.add_argument("--model", type=Path, default=Path("configs/models/cascade_mask_rcnn_tiny.py"))
    parser.add_argument(
        "--checkpoint", type=Path, help="a fitted detector for the second part; without it, no such part"
    )
    parser.add_argument("--iterations", type=int, default=12, help="counted in a round")
    parser.add_argument("--images", type=int, default=6, help="predicted in a round, the densest ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    device = choose_device()
    images, instances, folds = listed(options.results)
    rows = [learning(options, images, instances, folds, device)]
    if options.checkpoint:
        rows.append(finding(options, images, instances, device))
    lines = ["| work | stock MMDetection | neuroseg | ratio |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {1 / t:.2f} a second | {1 / o:.2f} a second | {t / o:.2f} |" for name, t, o in rows
    ]
    where = (
        f"{_machine(device)}, {options.results.name}, {options.model.stem}, {options.rounds} rounds in turns."
    )
    text = "\n".join([*lines, "", where, ""])
    print(f"\n{text}")
    if options.write:
        insert(ROOT / "docs" / "benchmarks.md", text, "learning")


def listed(results: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the images, true instances and folds of a data set's results folder."""
    places = {"images": "validate/images", "instances": "validate/instances", "folds": "split/folds"}
    images, instances, folds = (
        tables.read(name, results / f"{place}.parquet") for name, place in places.items()
    )
    return images, instances, folds


def learning(options, images, instances, folds, device) -> tuple[str, float, float]:
    """Return seconds a training image by stock MMDetection and by us."""
    held, cells = training_images(images, instances, folds, 0)
    classes = sorted(named(cells["cell_type"]).unique())
    config = configuration.fit(configuration.read(options.model), classes, options.iterations + WARM)
    batch = config.train_dataloader.batch_size

    def ours() -> float:
        watch = Watch(device)
        with tempfile.TemporaryDirectory() as folder:
            data = training.CellDataset(
                held, cells, classes, pipeline=config.train_pipeline, seed=0, load=_load
            )
            training._runner(config, data, [hooks.Reseed(0), watch], device, 0, Path(folder)).train()
        return watch.seconds / batch

    def theirs() -> float:
        watch = Watch(device)
        with tempfile.TemporaryDirectory() as folder:
            _stock_runner(
                config, _coco(held, cells, classes, Path(folder)), watch, device, Path(folder)
            ).train()
        return watch.seconds / batch

    return "training images", *_in_turns(theirs, ours, options.rounds)


def finding(options, images, instances, device) -> tuple[str, float, float]:
    """Return seconds an image, from grey values to scored masks, on the images with the most cells."""
    dense = instances["image_id"].value_counts().index[: options.images]
    chosen = images.set_index("image_id").loc[list(dense)]
    pictures = [_load(Path(path)) for path in chosen["path"]]
    fitted = checkpoints.read_detector(options.checkpoint)
    predictor = Predictor(fitted, device, choose_dtype("auto", device), 1000, 0.05)
    config = Config(fitted["config"]).model
    config.test_cfg.rcnn.update(score_thr=0.05, max_per_img=1000)
    stock = MODELS.build(config)
    stock.load_state_dict(fitted["state_dict"])
    stock.to(device).eval()
    prepare = predictor.prepare

    @torch.inference_mode()
    def theirs() -> list:
        answers = []
        for picture in pictures:
            packed = prepare({"img": picture, "ori_shape": picture.shape, "img_shape": picture.shape})
            data = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
            answers.append(stock.test_step(data)[0].pred_instances.cpu())
        return answers

    def ours() -> list:
        return [predictor([picture])[0] for picture in pictures]

    _same(theirs(), ours(), pictures, config.test_cfg.rcnn.mask_thr_binary)
    seconds = [lambda work=work: _timed(work, device) / len(pictures) for work in (theirs, ours)]
    return "images, with masks", *_in_turns(*seconds, options.rounds)


class Watch(Hook):
    """Counts the seconds of all iterations but the first few."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin at zero."""
        self.began = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Start after the first iterations, stop after the last."""
        if runner.iter + 1 == WARM:
            self.began = _clock(self.device)
        if runner.iter + 1 == runner.max_iters:
            self.seconds = (_clock(self.device) - self.began) / (runner.max_iters - WARM)


def _stock_runner(
    config: Config, annotations: Path, watch: Watch, device: torch.device, folder: Path
) -> Runner:
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


def _coco(images: pd.DataFrame, cells: pd.DataFrame, classes: list[str], folder: Path) -> Path:
    """Write images and annotations as MMDetection reads them, and return the annotations' file."""
    annotations, listed = [], []
    for number, image in enumerate(images.itertuples()):
        file = folder / f"{image.image_id}.png"
        cv2.imwrite(str(file), _load(Path(image.path)))
        listed.append(
            {"id": number, "file_name": str(file), "height": int(image.height), "width": int(image.width)}
        )
        for cell in cells[cells["image_id"] == image.image_id].itertuples():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": classes.index(cell.cell_type) + 1,
                    "bbox": [
                        float(cell.x1),
                        float(cell.y1),
                        float(cell.x2 - cell.x1),
                        float(cell.y2 - cell.y1),
                    ],
                    "area": int(cell.area),
                    "iscrowd": 0,
                    "segmentation": {
                        "size": [int(image.height), int(image.width)],
                        "counts": cell.rle.decode(),
                    },
                }
            )
    path = folder / "annotations.json"
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(classes)]
    path.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": categories}))
    return path


def _same(theirs: list, ours: list, pictures: list[np.ndarray], threshold: float) -> None:
    """Stop unless both found the same cells, their masks alike."""
    from neuroseg.segmentation.pasting import paste

    agreed = total = 0
    for their, our, picture in zip(theirs, ours, pictures, strict=True):
        boxes, scores = their.bboxes.numpy(), their.scores.numpy()
        if len(scores) != len(our.scores) or not np.allclose(np.sort(scores), np.sort(our.scores), atol=1e-3):
            raise SystemExit(f"different detections: {len(scores)} and {len(our.scores)}; nothing is timed")
        order, own = np.lexsort((*boxes.T, -scores)), np.lexsort((*our.boxes.T, -our.scores))
        masks = their.masks.numpy()[order]
        *runs, _ = paste(our.patches, our.boxes, own, *picture.shape, threshold)
        agreed += int((rle.to_masks(rle.Runs(*runs), *picture.shape) == masks).sum())
        total += masks.size
    if agreed < EQUAL_PIXELS * total:
        raise SystemExit(f"masks agree on {agreed / max(total, 1):.5f} of the pixels only; nothing is timed")
    print(
        f"same detections on {len(pictures)} images; "
        f"masks agree on {agreed / max(total, 1):.6f} of the pixels"
    )


def _in_turns(theirs: Callable[[], float], ours: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the medians of both over rounds in which they take turns."""
    seconds = [[], []]
    for _ in range(rounds):
        for side, work in enumerate((theirs, ours)):
            seconds[side].append(work())
            print(
                f"{('stock', 'neuroseg')[side]}: {seconds[side][-1]:.3f} s an image",
                file=sys.stderr,
                flush=True,
            )
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _timed(work: Callable, device: torch.device) -> float:
    began = _clock(device)
    work()
    return _clock(device) - began


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@lru_cache(maxsize=256)
def _load(path: Path) -> np.ndarray:
    return readers.read_uint8(path)


def _machine(device: torch.device) -> str:
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} CPU, one thread"
    )
    return f"{name}, PyTorch {torch.__version__}"


if __name__ == "__main__":
    main()
