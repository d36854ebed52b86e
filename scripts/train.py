"""Train the detector of one fold; under torchrun, each GPU has a process."""

from pathlib import Path
from typing import Any, Literal

from neuroseg.command import run


def main(
    *,
    model: Path,
    images: Path,
    instances: Path,
    folds: Path,
    fold: int | Literal["all"] = 0,
    seed: int = 0,
    iterations: int | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    half: bool = False,
    init_from: Path | None = None,
    pseudo_instances: Path | None = None,
    further: dict[Path, float] = {},  # noqa: B006  it is not changed
    work_dir: Path,
    checkpoint: Path,
    config_out: Path,
    scalars: Path,
) -> None:
    """Train the detector of one fold, on the annotated images that the fold does not hold out.

    Args:
        model: The model file: architecture, augmentation and schedule.
        images: The images table.
        instances: The true instances.
        folds: The folds table.
        fold: The fold held out; all for none.
        seed: Of the weights, the order of the images and the augmentation.
        iterations: Length of the training, if not the model file's own.
        precision: Number format of the network; auto is bf16 or fp16 on a GPU, fp32 on a CPU.
        half: Write the weights in half precision.
        init_from: Checkpoint of a detector to begin with, perhaps of another dataset.
        pseudo_instances: What `pseudo_label` found in images without annotation, to be learnt from as well.
        further: Folders of data sets to learn from at the same time, each with its share of the samples.
        work_dir: Folder of the training's state, from which a killed one goes on; in the end its cost stays.
        checkpoint: Where the fitted detector goes, with its classes and config.
        config_out: Where its config goes as a Python file.
        scalars: Where the losses go, as JSON.
    """
    from neuroseg import detector, readers, tables

    detector.prepare_cpu()
    listed = (tables.read("images", images), tables.read("instances", instances), tables.read("folds", folds))
    settings: dict[str, Any] = {"fold": fold, "seed": seed, "iterations": iterations, "precision": precision}
    settings |= {"init_from": init_from, "further": further, "work_dir": work_dir, "load": readers.read_uint8}
    settings["pseudo"] = tables.read("instances", pseudo_instances) if pseudo_instances else None
    detector.save(detector.train(model, *listed, **settings), checkpoint, config_out, scalars, work_dir, half)


if __name__ == "__main__":
    run(main)
