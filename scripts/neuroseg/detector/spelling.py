"""Keys of a model file that nothing would read, such as misspelt ones, which would have no effect unsaid."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from neuroseg.detector.openmmlab import HOOKS, LOOPS

CONSTRUCTOR, PLACE = "DefaultOptimWrapperConstructor", "optim_wrapper.paramwise_cfg"

PARAMETERS = {
    "base_lr", "bias_decay_mult", "bias_lr_mult", "bypass_duplicate", "custom_keys", "dcn_offset_lr_mult",
    "decay_mult", "dwconv_decay_mult", "flat_decay_mult", "lr_mult", "norm_decay_mult",
}  # fmt: skip
"""What `paramwise_cfg` may say to MMEngine's own constructor."""

HOOKED = {
    "checkpoint", "logger", "param_scheduler", "runtime_info", "sampler_seed", "timer", "visualization",
}  # fmt: skip
"""MMEngine's default hooks, and MMDetection's."""

SUPPRESSION = {
    "class_agnostic", "iou_threshold", "max_num", "method", "min_score", "sigma", "split_thr", "type",
}  # fmt: skip
PROPOSED = {"max_per_img", "min_bbox_size", "nms", "nms_pre", "score_thr"}
TAUGHT = {
    "allowed_border", "assigner", "debug", "ga_assigner", "ga_sampler", "mask_size", "pos_weight", "sampler",
}  # fmt: skip
LIMITS: dict[str, Collection[str]] = {
    "train_cfg": {"rpn", "rpn_proposal", "rcnn"},
    "train_cfg.rpn": TAUGHT,
    "train_cfg.rpn_proposal": PROPOSED,
    "train_cfg.rpn_proposal.nms": SUPPRESSION,
    "train_cfg.rcnn": TAUGHT,
    "test_cfg": {"rpn", "rcnn"},
    "test_cfg.rpn": PROPOSED,
    "test_cfg.rpn.nms": SUPPRESSION,
    "test_cfg.rcnn": {"mask_thr_binary", "max_per_img", "nms", "score_thr"},
    "test_cfg.rcnn.nms": SUPPRESSION,
}
"""What a two-stage detector's heads are asked for by name in the settings of `model`, where every other key
is passed over; heads that are not MMDetection's may ask for more."""

ALIKE = 0.8
"""How like each other a key and a misspelt form of it are, by difflib's ratio."""

OTHERS = {"tta_pipeline"}
"""What MMDetection's own files set beside the sections, and is nearly called as one of them."""


def unread(config: Mapping[str, Any], sections: Sequence[str]) -> list[str]:
    """Return a complaint for each key of a model file that nothing reads, and that it was not built upon.

    Sections of ours refuse all that MMEngine would not take there; among what else is in the file, and in
    `model`, only keys that are like a known one are complained of.

    Args:
        config: All that the file sets, checked as a `configuration.ModelFile`.
        sections: The names of those of its sections that are used.
    """
    return [*_sections(config, sections), *_learning(config["optim_wrapper"]), *_limits(config["model"])]


def unmatched(network: nn.Module, optim_wrapper: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return complaints of the keys of `paramwise_cfg.custom_keys` that no weight's name holds.

    Returns:
        Those of keys that are like a part of a weight's name, thus misspelt, and those of the others.
    """
    if not _by_name(optim_wrapper):
        return [], []
    names = [name for name, _ in network.named_parameters()]
    parts = {
        part for name in names for part in (*name.split("."), *accumulate(name.split("."), "{}.{}".format))
    }
    refused: list[str] = []
    noted: list[str] = []
    for key in (optim_wrapper.get("paramwise_cfg") or {}).get("custom_keys") or {}:
        if not any(key in name for name in names):
            said, near = f"{PLACE}.custom_keys.{key}: no weight has this in its name", _like(key, parts)
            (refused if near else noted).append(f"{said}; write {near}" if near else said)
    return refused, noted


def _sections(config: Mapping[str, Any], sections: Sequence[str]) -> Iterator[str]:
    for key in config:
        near = None if key in {*sections, *OTHERS} else _like(key, sections)
        if near and abs(len(near) - len(key)) < 2:
            yield f"{key}: nothing reads it; write {near}, or give a variable of your own another name"
    loops = [LOOPS.get(name) for name in ("IterBasedTrainLoop", "EpochBasedTrainLoop")]
    yield from _strange(config["train_cfg"], "train_cfg", {"type", "by_epoch", *_arguments(*loops)})
    loader = {"type_balance", *_arguments(DataLoader)}
    yield from _strange(config["train_dataloader"], "train_dataloader", loader)
    yield from _strange(config["default_hooks"], "default_hooks", HOOKED)
    kept = {"type", *_arguments(HOOKS.get("CheckpointHook"))}
    yield from _strange(config["default_hooks"]["checkpoint"], "default_hooks.checkpoint", kept)


def _learning(optim_wrapper: Mapping[str, Any]) -> Iterator[str]:
    settings = optim_wrapper.get("paramwise_cfg") or {}
    if not _by_name(optim_wrapper):
        return
    yield from _strange(settings, PLACE, PARAMETERS)
    for key, own in (settings.get("custom_keys") or {}).items():
        yield from _strange(own, f"{PLACE}.custom_keys.{key}", {"lr_mult", "decay_mult"})


def _by_name(optim_wrapper: Mapping[str, Any]) -> bool:
    """Tell whether MMEngine's own constructor sets weights' learning rates."""
    return optim_wrapper.get("constructor", CONSTRUCTOR) == CONSTRUCTOR


def _limits(model: Mapping[str, Any]) -> Iterator[str]:
    for place, known in LIMITS.items():
        found: Any = model
        for key in place.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        for part in found if isinstance(found, list | tuple) else [found]:  # a cascade has a list of stages
            for key in part if isinstance(part, Mapping) else ():
                if key not in known and (near := _like(key, known)):
                    yield f"model.{place}.{key}: nothing reads it; write {near}"


def _strange(section: Mapping[str, Any], place: str, known: Collection[str]) -> Iterator[str]:
    for key in section:
        if key not in known and key != "_scope_":  # by which MMEngine says whose a base file is
            yield f"{place}.{key}: nothing reads it; {_nearest(key, known)}"


def _nearest(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"the nearest is {near[0]}" if near else f"known are {', '.join(sorted(known))}"


def _like(key: str, known: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=ALIKE)), None)


def _arguments(*makers: Any) -> set[str]:
    signatures = [inspect.signature(maker).parameters.values() for maker in makers]
    return {each.name for own in signatures for each in own if each.kind is not each.VAR_KEYWORD}
