"""Learn a detector from the images that a fold does not hold out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from neuroseg.detector import (  # noqa: F401
    appearance,
    backbones,
    building,
    cells,
    checkpoints,
    configuration,
    elsewhere,
    foreign,
    heads,
    joining,
    processes,
    running,
    scaling,
)
from neuroseg.detector.dataset import CellDataset, Load, named
from neuroseg.detector.hooks import Journal, Keeper, Reseed, beginnings, fitted_weights, warm_start
from neuroseg.detector.openmmlab import Config
from neuroseg.detector.precision import choose_device, choose_dtype, named_dtype
from neuroseg.detector.progress import say
from neuroseg.detector.rehearsal import rehearse
from neuroseg.errors import DataError
from neuroseg.files import replacing, write_json
from neuroseg.folds import Fold, pseudo_labelled, training
from neuroseg.readers.intensity import looks


class Trained(NamedTuple):
    """A fitted detector and how it was learnt."""

    detector: dict  # what the checkpoint file holds: model, classes, fold, precision, pixel_size_um, ...
    config_text: str  # the config as a Python file
    scalars: dict  # model, fold, classes, precision, iterations, and curves: iteration, loss, lr, losses


def train(
    model: Path,
    images: pd.DataFrame,
    instances: pd.DataFrame,
    folds: pd.DataFrame,
    *,
    fold: Fold,
    seed: int,
    work_dir: Path,
    load: Load,
    init_from: Path | None = None,
    iterations: int | None = None,
    precision: str = "auto",
    pseudo: pd.DataFrame | None = None,
    further: Mapping[Path, float] = MappingProxyType({}),
) -> Trained | None:
    """Train the model of a file on the annotated images of all folds but `fold`.

    It keeps its state in `work_dir` every now and then and, killed and called again with the same arguments,
    goes on from the newest; the weights at the end are, on a CPU, bit for bit those of a training that was
    never stopped. Processes that torchrun has started train together, each with a batch of its own.

    Args:
        model: A model file.
        images: The images table.
        instances: The true instances.
        folds: The folds table.
        fold: The fold held out; "all" for none.
        seed: Of weights, order of images, augmentation and sampled proposals; the model file's is added.
        work_dir: Folder of the states, and of what the training cost; yours to remove afterwards.
        load: Reads an image.
        init_from: A fitted detector to begin with, before the model file's `load_from` (`hooks.warm_start`).
        iterations: Length of the training; None for the model file's own.
        precision: What the network computes in: fp32, bf16, or auto, as in `predict`.
        pseudo: Instances that a detector of the same fold has found in images without annotation; they are
            learnt from as the true ones are.
        further: Folders of data sets' tables (results/NAME/validate) that are learnt from at the same time,
            each with its share of the samples.

    Returns:
        The fitted detector; None in all but the first of several processes.

    Raises:
        DataError: nothing to learn from, or a model file, setting, image or checkpoint that cannot be used.
    """
    device = choose_device(number=processes.device_number())
    listed, (images, instances) = images, training(images, instances, folds, fold)
    classes = sorted(named(instances["cell_type"]).unique())
    if pseudo is not None:
        added = pseudo_labelled(listed, folds, fold, pseudo)
        _refuse_strange_types(pseudo, classes)
        images = pd.concat([images, added], ignore_index=True)
        instances = pd.concat([instances, pseudo], ignore_index=True)
    pixel_size = scaling.learnt(images)
    others = [joining.read(folder, share) for folder, share in further.items()]
    images, instances, mix = joining.join(images, instances, others, listed)
    config = configuration.fit(configuration.read(model), classes, iterations)
    configuration.check_seed(seed)
    seed += config.seed
    portable = foreign.without_sources(config.to_dict())
    foreign.check_config(portable, model, "predict would refuse what learns with it; take another")
    dtype = choose_dtype(precision, device)
    sources = beginnings(config.load_from, init_from)
    fingerprint = checkpoints.fingerprint(
        config.to_dict(),
        images,
        instances,
        seed=seed,
        fold=fold,
        device=device.type,
        processes=processes.count(),
        beginnings=[checkpoints.identity(source) for source in sources],
        shares=mix.shares.tolist(),
        magnified=mix.magnified.tolist(),
        precision=str(dtype),
    )
    work_dir.mkdir(parents=True, exist_ok=True)
    state = checkpoints.newest_state(work_dir, fingerprint)
    journal = Journal()
    every = config.default_hooks.checkpoint.interval
    keeper = Keeper(work_dir, every, fingerprint, journal, state)
    hooks = [Reseed(seed), journal, keeper]
    if state is None:
        hooks += warm_start(model.stem, sources)
    processes.initialise(device)
    with building.buildable(model):
        dataset = CellDataset(
            images,
            instances,
            classes,
            pipeline=config.train_pipeline,
            seed=seed,
            load=load,
            type_balance=config.train_dataloader.type_balance,
            mix=mix,
        )
        runner = running.build(config, dataset, hooks, device, seed, work_dir, dtype)
    if state is None:
        rehearse(model, config, processes.bare(runner.model))
    say(
        f"training {model.stem}, fold {fold}: {len(images)} images, {len(instances)} cells "
        f"of {', '.join(classes)}, on {processes.count()} {device.type} in {named_dtype(dtype)}"
        + (f", from iteration {state['iteration']}" if state else "")
    )
    if pseudo is not None:
        say(f"of these, {len(added)} images and {len(pseudo)} cells are pseudo-labelled")
    if state is not None:
        runner.train_loop._iter = state["iteration"]
    with building.buildable(model, beginning=lambda: not journal.warm):
        runner.train()
    processes.destroy()
    if processes.rank():
        return None
    keeper.write_cost()
    seen = appearance.of_some(images, load)
    detector = {
        "model": model.stem,
        "classes": classes,
        "meta": elsewhere.dataset_meta(classes),
        "fold": fold,
        "precision": named_dtype(dtype),
        "pixel_size_um": pixel_size,
        "looks": looks.plain(looks.learnt_from(seen.values())),
        "cells": cells.learnt(images, instances, seen, mix.magnified),
        "config": portable,
        "state_dict": fitted_weights(runner),
    }
    text = elsewhere.standalone(Config(portable), classes).pretty_text
    return Trained(detector, text, _scalars(detector, journal.curve))


def save(
    trained: Trained | None,
    checkpoint: Path,
    config: Path,
    scalars: Path,
    work_dir: Path | None = None,
    half: bool = False,
) -> None:
    """Write the detector, its config as text, and its curves as JSON; then remove states in `work_dir`.

    States of a longer training stay, which a short one may have been a test of. Of several processes those
    that get None from `train` write nothing. With `half`, weights are rounded to 16 bits, which a reader
    computes with in 32 again.
    """
    if trained is None:
        return
    checkpoints.write_detector(checkpoint, checkpoints.halved(trained.detector) if half else trained.detector)
    with replacing(config) as temporary:
        temporary.write_text(trained.config_text)
    write_json(trained.scalars, scalars)
    if work_dir is not None:
        checkpoints.remove_states(work_dir, trained.scalars["iterations"])


def _refuse_strange_types(pseudo: pd.DataFrame, classes: Sequence[str]) -> None:
    strange = set(named(pseudo["cell_type"])) - set(classes)
    if strange:
        raise DataError(
            f"the pseudo-labels hold cells of {min(strange)}, "
            f"the true instances only of {', '.join(classes)}; write the pseudo-labels anew."
        )


def _scalars(detector: dict, curve: dict[str, list[float]]) -> dict:
    rounded = {name: [float(f"{value:.5g}") for value in values] for name, values in curve.items()}
    apart = ("iteration", "loss", "lr")
    return {
        **{key: detector[key] for key in ("model", "fold", "classes", "precision")},
        "iterations": curve["iteration"][-1],
        "iteration": curve["iteration"],
        "loss": rounded["loss"],
        "lr": rounded["lr"],
        "losses": {name: rounded[name] for name in sorted(rounded) if name not in apart},
    }
