"""Learning and finding against stock MMDetection: same model and images, its dataset, pipeline, test step.

    python -m benchmarks.learning --results results/demo --model configs/models/cascade_mask_rcnn_tiny.py
    python -m benchmarks.learning --results results/sartorius --checkpoint results/sartorius/train/…/model.pth

The two take turns, a round each. On a CPU what is counted are the process's CPU seconds, on a GPU the
clock's. Before timing, both must find the same cells with the same masks. `--precision bf16` then races what
neuroseg does in bf16 with stock in fp32, as stock computes on a CPU. It prints a Markdown table;
`--write` puts it into docs/benchmarks.md as well.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from benchmarks import detectors, stock
from benchmarks.measuring import ROOT, insert
from neuroseg import rle
from neuroseg.detector import checkpoints, configuration, hooks, running
from neuroseg.detector.caps import Kept
from neuroseg.detector.dataset import CellDataset, named
from neuroseg.detector.inference import Predictor
from neuroseg.detector.openmmlab import MODELS, Config
from neuroseg.detector.precision import choose_device, choose_dtype
from neuroseg.folds import training as training_images
from neuroseg.segmentation.pasting import paste

EQUAL_PIXELS = 0.9999
"""Share of pixels on which the masks of both must agree: their probabilities are rounded to 1/255 here."""


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=detectors.AS_WRITTEN)
    parser.add_argument("--results", type=Path, default=detectors.DEMO, help="a data set's results folder")
    parser.add_argument("--model", type=Path, default=Path("configs/models/cascade_mask_rcnn_tiny.py"))
    parser.add_argument("--checkpoint", type=Path, help="a fitted detector; with it, inference is raced too")
    parser.add_argument("--iterations", type=int, default=12, help="counted in a round")
    parser.add_argument("--images", type=int, default=6, help="predicted in a round, the densest ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--precision", default="auto", choices=["auto", "bf16"], help="what neuroseg computes in"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    device = choose_device()
    images, instances, folds = detectors.listed(options.results)
    rows = [learning(options, images, instances, folds, device)]
    if options.checkpoint:
        rows.append(finding(options, images, instances, device))
    lines = ["| work | stock MMDetection | neuroseg | ratio |", "|---|---|---|---|"]
    for name, their, our in rows:
        lines.append(f"| {name} | {1 / their:.2f} a second | {1 / our:.2f} a second | {their / our:.2f} |")
    where = f"{detectors.machine(device)}, {options.results.name}, {options.model.stem}"
    where += f", neuroseg in {options.precision}" if options.precision != "auto" else ""
    text = "\n".join([*lines, "", f"{where}, {options.rounds} rounds in turns.", ""])
    print(f"\n{text}")
    if options.write:
        insert(ROOT / "docs" / "benchmarks.md", text, "learning")


def learning(options, images, instances, folds, device) -> tuple[str, float, float]:
    """Return seconds a training image by stock MMDetection and by us."""
    held, cells = training_images(images, instances, folds, 0)
    classes = sorted(named(cells["cell_type"]).unique())
    iterations = options.iterations + detectors.WARM
    config = configuration.fit(configuration.read(options.model), classes, iterations)
    batch = config.train_dataloader.batch_size

    def ours() -> float:
        watch = detectors.Watch(device)
        settings = {"pipeline": config.train_pipeline, "seed": 0, "load": detectors.load}
        data = CellDataset(held, cells, classes, **settings)
        with tempfile.TemporaryDirectory() as folder:
            where = device, 0, Path(folder), choose_dtype(options.precision, device)
            running.build(config, data, [hooks.Reseed(0), watch], *where).train()
        return watch.seconds / batch

    def theirs() -> float:
        watch = detectors.Watch(device)
        with tempfile.TemporaryDirectory() as folder:
            annotations = stock.annotations_file(held, cells, classes, Path(folder))
            stock.runner(config, annotations, watch, device, Path(folder)).train()
        return watch.seconds / batch

    return "training images", *detectors.in_turns(theirs, ours, options.rounds)


def finding(options, images, instances, device) -> tuple[str, float, float]:
    """Return seconds an image, from grey values to scored masks, on the images with the most cells."""
    dense = instances["image_id"].value_counts().index[: options.images]
    chosen = images.set_index("image_id").loc[list(dense)]
    pictures = [detectors.load(Path(path)) for path in chosen["path"]]
    fitted = checkpoints.read_detector(options.checkpoint)
    predictor = Predictor(fitted, device, choose_dtype("auto", device), Kept(1000, 0.05))
    config = Config(fitted["config"]).model
    config.test_cfg.rcnn.update(score_thr=0.05, max_per_img=1000)
    model = MODELS.build(config)
    model.load_state_dict(fitted["state_dict"])
    model.to(device).eval()
    prepare = predictor.prepare

    @torch.inference_mode()
    def theirs() -> list:
        answers = []
        for picture in pictures:
            packed = prepare({"img": picture, "ori_shape": picture.shape, "img_shape": picture.shape})
            data = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
            answers.append(model.test_step(data)[0].pred_instances.cpu())
        return answers

    def ours() -> list:
        return [predictor([picture])[0] for picture in pictures]

    _same(theirs(), ours(), pictures, config.test_cfg.rcnn.mask_thr_binary)
    if options.precision != "auto":
        predictor = Predictor(fitted, device, choose_dtype(options.precision, device), Kept(1000, 0.05))
    seconds = [lambda work=work: detectors.timed(work, device) / len(pictures) for work in (theirs, ours)]
    return "images, with masks", *detectors.in_turns(*seconds, options.rounds)


def _same(theirs: list, ours: list, pictures: list[np.ndarray], threshold: float) -> None:
    """Stop unless both found the same cells, their masks alike."""
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
    share = agreed / max(total, 1)
    if agreed < EQUAL_PIXELS * total:
        raise SystemExit(f"masks agree on {share:.5f} of the pixels only; nothing is timed")
    print(f"same detections on {len(pictures)} images; masks agree on {share:.6f} of the pixels")


if __name__ == "__main__":
    main()
