"""Train the detector of one fold."""

from pathlib import Path
from typing import Literal

from neuroseg import detector, readers, tables
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
    init_from: Path | None = None,
    pseudo_instances: Path | None = None,
    work_dir: Path,
    checkpoint: Path,
    config_out: Path,
    scalars: Path,
) -> None:
    """Train the detector of one fold, on the annotated images that the fold does not hold out.

    Killed and started again, it goes on from its newest state. Under torchrun, processes train together, one a GPU.

    Args:
        model: The model file: architecture, augmentation and schedule.
        images: The images table.
        instances: The true instances.
        folds: The folds table.
        fold: The fold held out; all for none.
        seed: Of the weights, the order of the images and the augmentation.
        iterations: Length of the training, if not the model file's own.
        init_from: Checkpoint of a detector to begin with, perhaps of another dataset.
        pseudo_instances: What `pseudo_label` has found in images without annotation, to be learnt from as well.
        work_dir: Folder of the training's state, removed when it has ended well.
        checkpoint: Where the fitted detector goes, with its classes and config.
        config_out: Where its config goes as a Python file.
        scalars: Where the losses go, as JSON.
    """
    listed = (tables.read("images", images), tables.read("instances", instances), tables.read("folds", folds))
    pseudo = tables.read("instances", pseudo_instances) if pseudo_instances else None
    settings = {"fold": fold, "seed": seed, "iterations": iterations, "init_from": init_from, "pseudo": pseudo}
    trained = detector.train(model, *listed, work_dir=work_dir, load=readers.read_uint8, **settings)
    if trained is not None:
        detector.save(trained, checkpoint, config_out, scalars, work_dir)


if __name__ == "__main__":
    run(main)
