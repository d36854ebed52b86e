"""What each CPU kernel gains: all of them beside all but one, whose place MMDetection's own part takes.

    python -m benchmarks.kernels --results results/demo --checkpoint results/demo/train/…/fold_0/model.pth

All contenders take turns, a round each, by CPU seconds of the process. It prints a Markdown table; `--write`
puts it into docs/benchmarks.md as well. A kernel that gains less than 5 % of a training or of a prediction is
not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from benchmarks import detectors
from benchmarks.measuring import ROOT, insert
from neuroseg import folds as chosen
from neuroseg.detector import checkpoints, configuration, cpu, hooks, processes, running
from neuroseg.detector.caps import Kept
from neuroseg.detector.dataset import CellDataset, named
from neuroseg.detector.inference import Predictor
from neuroseg.detector.precision import choose_dtype, prepare_cpu

DEVICE = torch.device("cpu")
ENDS = (None, *cpu.KERNELS)
"""Which kernel is left out; None leaves out none."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=detectors.AS_WRITTEN)
    parser.add_argument("--results", type=Path, default=detectors.DEMO, help="a data set's results folder")
    parser.add_argument("--model", type=Path, default=Path("configs/models/cascade_mask_rcnn_tiny.py"))
    parser.add_argument("--checkpoint", type=Path, required=True, help="a detector fitted with that model")
    parser.add_argument("--iterations", type=int, default=12, help="counted in a round")
    parser.add_argument("--images", type=int, default=6, help="predicted in a round, the densest ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="what both compute in")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    prepare_cpu()
    tables = detectors.listed(options.results)
    trained = medians(lambda left_out: training_seconds(options, *tables, left_out), options.rounds)
    predicted = medians(predictions(options, *tables[:2]), options.rounds)
    lines = ["| kernel | gain in training | gain in prediction |", "|---|---|---|"]
    lines += [f"| {name} | {gain(trained, name)} | {gain(predicted, name)} |" for name in cpu.KERNELS]
    where = (
        f"{detectors.machine(DEVICE)}, {options.results.name}, {options.model.stem}, {options.precision}: "
        f"{trained[None]:.3f} CPU s a training image and {predicted[None]:.3f} a predicted one with all; "
        f"medians of {options.rounds} rounds."
    )
    text = "\n".join([*lines, "", where, ""])
    print(f"\n{text}")
    if options.write:
        insert(ROOT / "docs" / "benchmarks.md", text, "kernels")


def medians(seconds: Callable[[str | None], float], rounds: int) -> dict[str | None, float]:
    """Return the median seconds without each kernel and with all, in turn, after a round not counted."""
    taken: dict[str | None, list[float]] = {left_out: [] for left_out in ENDS}
    for number in range(rounds + 1):
        for left_out in ENDS:
            spent = seconds(left_out)
            if number:
                taken[left_out].append(spent)
                print(f"without {left_out}: {spent:.3f} s an image", file=sys.stderr, flush=True)
    return {left_out: statistics.median(times) for left_out, times in taken.items()}


def gain(seconds: dict[str | None, float], kernel: str) -> str:
    """Return which share of the time without a kernel it saves."""
    return f"{1 - seconds[None] / seconds[kernel]:.0%}".replace("%", " %")


def without(left_out: str | None) -> list[str]:
    """Return the kernels that are left."""
    return [name for name in cpu.KERNELS if name != left_out]


def training_seconds(
    options: argparse.Namespace,
    images: pd.DataFrame,
    instances: pd.DataFrame,
    folds: pd.DataFrame,
    left_out: str | None,
) -> float:
    """Return seconds a training image without a kernel."""
    held, cells = chosen.training(images, instances, folds, 0)
    classes = sorted(named(cells["cell_type"]).unique())
    iterations = options.iterations + detectors.WARM
    config = configuration.fit(configuration.read(options.model), classes, iterations)
    config.cpu_kernels = False
    watch = detectors.Watch(DEVICE)
    settings = {"pipeline": config.train_pipeline, "seed": 0, "load": detectors.load}
    data = CellDataset(held, cells, classes, **settings)
    with tempfile.TemporaryDirectory() as folder:
        where = DEVICE, 0, Path(folder), choose_dtype(options.precision, DEVICE)
        runner = running.build(config, data, [hooks.Reseed(0), watch], *where)
        cpu.accelerate(processes.bare(runner.model), without(left_out))
        runner.train()
    return watch.seconds / config.train_dataloader.batch_size


def predictions(
    options: argparse.Namespace, images: pd.DataFrame, instances: pd.DataFrame
) -> Callable[[str | None], float]:
    """Return what gives the seconds a predicted image without a kernel."""
    dense = instances["image_id"].value_counts().index[: options.images]
    paths = images.set_index("image_id").loc[list(dense), "path"]
    pictures = [detectors.load(Path(path)) for path in paths]
    fitted = checkpoints.read_detector(options.checkpoint)
    fitted["config"]["cpu_kernels"] = False
    dtype = choose_dtype(options.precision, DEVICE)
    predictors = {left_out: Predictor(fitted, DEVICE, dtype, Kept(1000, 0.05)) for left_out in ENDS}
    for left_out, predictor in predictors.items():
        cpu.accelerate(predictor.model, without(left_out))

    def seconds(left_out: str | None) -> float:
        predictor = predictors[left_out]
        spent = detectors.timed(lambda: [predictor([picture]) for picture in pictures], DEVICE)
        return spent / len(pictures)

    return seconds


if __name__ == "__main__":
    main()
