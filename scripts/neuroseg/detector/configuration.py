"""Model files: MMDetection configs of architecture, augmentation and schedule, and nothing of the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroseg.detector.openmmlab import Config
from neuroseg.errors import DataError

SECTIONS = (
    "model",
    "train_pipeline",
    "test_pipeline",
    "train_dataloader",
    "train_cfg",
    "optim_wrapper",
    "param_scheduler",
    "custom_hooks",
    "default_hooks",
    "load_from",
    "seed",
    "cpu_kernels",
)
"""What is used of a model file. The rest of MMDetection's configs, such as COCO's folders, is left out."""


def read(path: Path) -> Config:
    """Return the used sections of a model file, its `_base_` files resolved.

    Raises:
        DataError: the file is missing, is no config, or lacks a section.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such model file; the models are in configs/models.")
    try:
        config = Config.fromfile(path)
    except Exception as error:  # a model file is Python, which may fail in any way
        raise DataError(
            f"{path}: this is no MMDetection config ({type(error).__name__}: {error})."
        ) from error
    missing = [section for section in SECTIONS if section not in config]
    if missing:
        raise DataError(f"{path}: the model file lacks {missing[0]!r}; begin it with _base_ = './_base_.py'.")
    used = {section: config[section] for section in SECTIONS}
    try:
        check_seed(used["seed"])
        _check_schedulers(used["param_scheduler"])
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    loader = ("batch_size", "num_workers", "type_balance")
    used["train_dataloader"] = {key: used["train_dataloader"][key] for key in loader}
    used["default_hooks"] = {"checkpoint": {"interval": used["default_hooks"]["checkpoint"]["interval"]}}
    return Config(used)


def fit(config: Config, classes: Sequence[str], iterations: int | None = None) -> Config:
    """Return `config` with a head for `classes`, and its schedule stretched to the length of the training.

    Args:
        config: What `read` returned.
        classes: Cell types to tell apart.
        iterations: Length of the training; None for the model file's own, `train_cfg.max_iters`.

    Raises:
        DataError: the training has no length.
    """
    fitted = config.to_dict()
    fitted["model"] = _count_classes(fitted["model"], len(classes))
    length = fitted["train_cfg"]["max_iters"] if iterations is None else iterations
    if length < 1:
        raise DataError(f"a training has at least 1 iteration, not {length}.")
    fitted["train_cfg"] = {"type": "IterBasedTrainLoop", "max_iters": length}
    fitted["param_scheduler"] = _stretch(fitted["param_scheduler"], length)
    return Config(fitted)


def check_seed(seed: object) -> None:
    """Refuse what random numbers cannot be drawn by.

    Raises:
        DataError: the seed is no whole number, or beyond its bounds.
    """
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise DataError(f"seed must be a whole number from 0 to 2147483647, not {seed!r}.")


def _check_schedulers(schedulers: object) -> None:
    """Refuse schedulers that cannot be stretched: trainings are counted in iterations."""
    listed = schedulers if isinstance(schedulers, list) else []
    for scheduler in listed:
        if scheduler.get("by_epoch", True) or type(scheduler.get("end")) is not int:
            raise DataError(
                f"param_scheduler: {scheduler.get('type')} must name iterations: by_epoch=False, and the one "
                "it ends at, end=..."
            )
    if not listed:
        raise DataError("param_scheduler must be a list of at least one scheduler; see _base_.py.")


def _count_classes(part: Any, count: int) -> Any:
    """Set every `num_classes` within a part of a model, but for those of proposals, which are of no type."""
    if isinstance(part, dict):
        counted = {key: _count_classes(value, count) for key, value in part.items() if key != "rpn_head"}
        return part | counted | ({"num_classes": count} if "num_classes" in part else {})
    if isinstance(part, list | tuple):
        return type(part)(_count_classes(value, count) for value in part)
    return part


def _stretch(schedulers: list[dict], length: int) -> list[dict]:
    """Scale the iterations that schedulers name, so that the last of them ends with the training."""
    written = max(scheduler["end"] for scheduler in schedulers)

    def at(iteration: int) -> int:
        return round(iteration * length / written)

    stretched = []
    for scheduler in schedulers:
        times = {key: at(scheduler[key]) for key in ("begin", "end", "T_max") if key in scheduler}
        steps = {key: [at(step) for step in scheduler[key]] for key in ("milestones",) if key in scheduler}
        # A warm-up of one iteration would keep its first rate for ever.
        if times["end"] - times.get("begin", 0) > 1:
            stretched.append({**scheduler, "by_epoch": False, **times, **steps})
    return stretched
