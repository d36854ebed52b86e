"""Model files: MMDetection configs of architecture, augmentation and schedule, and nothing of the data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

from neuroseg import settings
from neuroseg.detector import spelling
from neuroseg.detector.building import reason
from neuroseg.detector.openmmlab import OPTIMIZERS, Config
from neuroseg.errors import DataError

SEEDS = 2**31
"""Seeds are below it."""

Positive = Annotated[int, Field(strict=True, ge=1)]
Counted = Annotated[int, Field(strict=True, ge=0)]


class Section(BaseModel):
    """Part of a model file; what it holds besides is MMDetection's to check."""

    model_config = ConfigDict(extra="allow")


class Scheduler(Section):
    """How a learning rate goes, in iterations; of the kinds whose every time `fit` knows to stretch."""

    type: Literal[
        "LinearLR",
        "ConstantLR",
        "CosineAnnealingLR",
        "CosineRestartLR",
        "MultiStepLR",
        "PolyLR",
        "QuadraticWarmupLR",
        "StepLR",
    ]
    by_epoch: bool = True
    convert_to_iter_based: bool = False
    begin: Counted = 0
    end: Positive | None = None
    T_max: Positive | None = None
    step_size: Positive | None = None
    milestones: list[Positive] = []
    periods: list[Positive] = []

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.by_epoch or self.convert_to_iter_based or self.end is None:
            raise ValueError("must name iterations: by_epoch=False, and end, the one that it ends at")
        if self.begin >= self.end:
            raise ValueError(f"begin must be below end, {self.end}, not {self.begin}")
        needed = {"StepLR": "step_size", "MultiStepLR": "milestones", "CosineRestartLR": "periods"}
        if self.type in needed and not getattr(self, needed[self.type]):
            raise ValueError(f"{needed[self.type]} is missing")
        return self


class Loop(Section):
    """How long a training is."""

    type: Literal["IterBasedTrainLoop"] = "IterBasedTrainLoop"
    max_iters: Positive


class Loader(Section):
    """How images are fed."""

    batch_size: Positive
    num_workers: Counted
    type_balance: Annotated[float, Field(strict=True, ge=0, le=1)]


class Optimiser(Section):
    """The optimiser, and its learning rate."""

    type: str

    @field_validator("type")
    @classmethod
    def _known(cls, name: str) -> str:
        if OPTIMIZERS.get(name) is None:
            raise ValueError(f"there is no optimiser {name}; take one of torch.optim, such as AdamW")
        return name


class Parameters(Section):
    """How fast which weights learn: by parts of their names."""

    custom_keys: dict[str, dict] = {}


class Wrapper(Section):
    """How the weights are changed."""

    optimizer: Optimiser
    paramwise_cfg: Parameters | None = None


class Checkpoint(Section):
    """How often a training's state is kept, in iterations."""

    interval: Positive


class Hooks(Section):
    """What of MMEngine's default hooks is used."""

    checkpoint: Checkpoint


class ModelFile(BaseModel):
    """What is used of a model file; the rest of MMDetection's configs (COCO's folders, say) is left out."""

    model: dict
    train_pipeline: Annotated[list[dict], Field(min_length=1)]
    test_pipeline: Annotated[list[dict], Field(min_length=1)]
    train_dataloader: Loader
    train_cfg: Loop
    optim_wrapper: Wrapper
    param_scheduler: Annotated[list[Scheduler], Field(min_length=1)]
    custom_hooks: list[dict]
    default_hooks: Hooks
    load_from: str | None
    seed: Annotated[int, Field(strict=True, ge=0, lt=SEEDS)]
    cpu_kernels: StrictBool


SECTIONS = tuple(ModelFile.model_fields)


def read(path: Path) -> Config:
    """Return the used sections of a model file, its `_base_` files resolved.

    Raises:
        DataError: the file is missing, is no config, lacks a section, or has a value that cannot be used, or
            a key that nothing reads.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such model file; the models are in configs/models.")
    try:
        config = Config.fromfile(path)
    except (Exception, SystemExit) as error:  # a model file is Python, which may fail in any way
        raise DataError(
            f"{path}: this is no MMDetection config ({reason(error)}); "
            "mend it, or begin anew with one of configs/models."
        ) from error
    missing = [section for section in SECTIONS if section not in config]
    if missing:
        raise DataError(f"{path}: the model file lacks {missing[0]!r}; begin it with _base_ = './_base_.py'.")
    content = config.to_dict()
    used = {section: content[section] for section in SECTIONS}
    settings.check(used, ModelFile, path)
    if unread := spelling.unread(content, SECTIONS):
        raise DataError(*(f"{path}: {complaint}." for complaint in unread))
    used["train_dataloader"] = {key: used["train_dataloader"][key] for key in Loader.model_fields}
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
    if type(seed) is not int or not 0 <= seed < SEEDS:
        raise DataError(f"seed must be a whole number from 0 to {SEEDS - 1}, not {seed!r}.")


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
    for scheduler in map(_with_milestones, schedulers):
        times = {key: at(scheduler[key]) for key in ("begin", "end", "T_max") if scheduler.get(key)}
        lists = {}
        if "milestones" in scheduler:
            lists["milestones"] = [max(1, at(time)) for time in scheduler["milestones"]]
        if "periods" in scheduler:  # by their ends, lest what rounding leaves out adds up
            ends = [at(end) for end in accumulate(scheduler["periods"], initial=0)]
            lists["periods"] = [max(1, last - first) for first, last in pairwise(ends)]
        # A warm-up of one iteration would keep its first rate for ever.
        if times["end"] - times.get("begin", 0) > 1:
            stretched.append({**scheduler, "by_epoch": False, **times, **lists})
    return stretched


def _with_milestones(scheduler: dict) -> dict:
    """Return a scheduler of equal steps as one of milestones, which can be stretched each for itself."""
    if scheduler["type"] != "StepLR":
        return scheduler
    kept = {key: value for key, value in scheduler.items() if key != "step_size"}
    length, step = scheduler["end"] - scheduler.get("begin", 0), scheduler["step_size"]
    return {**kept, "type": "MultiStepLR", "milestones": list(range(step, length, step))}
