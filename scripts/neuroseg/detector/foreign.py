"""What a detector file may set, since it may come from anybody: parts that are known, within limits.

MMEngine builds whatever a `type` names, imports it first where it must, and some parts read files or
addresses that their settings name. So all settings are checked before anything is built of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Imported for what they enter into MMDetection's registry.
from neuroseg.detector import appearance, backbones, cells, heads, transforms  # noqa: F401
from neuroseg.detector.archive import check_weights
from neuroseg.detector.openmmlab import MODELS, TASK_UTILS, TRANSFORMS, ops
from neuroseg.errors import DataError

BUILT = ("model", "test_pipeline")
"""The sections of a configuration from which a detector is built. The others are its history."""

MODULES = (
    "mmcv.cnn.bricks",
    "mmcv.ops",
    "mmcv.transforms.formatting",
    "mmcv.transforms.processing",
    "mmdet.datasets.transforms.formatting",
    "mmdet.datasets.transforms.transforms",
    "mmdet.models.backbones",
    "mmdet.models.data_preprocessors.data_preprocessor",
    "mmdet.models.dense_heads",
    "mmdet.models.detectors",
    "mmdet.models.layers",
    "mmdet.models.losses",
    "mmdet.models.necks",
    "mmdet.models.roi_heads",
    "mmdet.models.seg_heads",
    "mmdet.models.task_modules.assigners",
    "mmdet.models.task_modules.coders",
    "mmdet.models.task_modules.prior_generators",
    "mmdet.models.task_modules.samplers",
    "mmengine.model",
    "mmengine.utils.dl_utils.parrots_wrapper",  # SyncBN
    "neuroseg.detector",
    "torch.nn.modules",
)
"""Where a detector's parts are defined. What loads files or images, tracks, or speaks is not among them."""

REFUSED = {
    "ATSSVLFusionHead",
    "Detectron2Wrapper",
    "KnowledgeDistillationSingleStageDetector",
    "LAD",
    "Pretrained",
}
"""Parts of these modules that read a file, or fetch one, which their settings name."""

SUPPRESSIONS = {"nms", "soft_nms"}
"""MMCV's functions that a configuration calls by name."""

SCOPES = {"mmdet", "mmcv", "mmengine"}

ENTRIES, DEPTH, LARGEST, PADDING = 100_000, 40, 100_000, 1024
"""Most entries of a configuration, deepest nesting, largest number, and coarsest padding in pixels."""

SIDE, MAGNIFIED = 4096, 8
"""What test_pipeline may make of an image: longest side in pixels, and all magnifications together."""

_WORDS = re.compile(r"[\w +-]*")


def check_content(content: dict, path: Path) -> None:
    """Refuse a fitted detector of which a part is missing, of another kind, or dangerous.

    Raises:
        DataError: naming the file and the key.
    """
    kinds = {"model": str, "classes": list, "fold": int | str, "config": dict, "state_dict": dict}
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            raise DataError(
                f"{path}: {key} is missing or of another kind; train writes a detector as model.pth."
            )
    types = content["classes"]
    named = all(isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 for name in types)
    if not named or not types or len(set(types)) < len(types):
        raise DataError(
            f"{path}: classes: cell types must be different, printable names; train the detector again."
        )
    size = content.get("pixel_size_um")  # detectors of before do not tell
    if size is not None and not (isinstance(size, float) and 1e-3 <= size <= 1e3):
        raise DataError(
            f"{path}: pixel_size_um: {size!r:.80} is no pixel size in µm; train the detector again."
        )
    try:
        appearance.of_detector(content)
    except ValueError as error:
        raise DataError(
            f"{path}: looks: they tell of no images ({error}); train the detector again."
        ) from error
    try:
        cells.of_detector(content)
    except ValueError as error:
        raise DataError(f"{path}: cells: {error}; train the detector again.") from error
    check_config(content["config"], path)
    model, missing = content["config"].get("model"), [key for key in BUILT if not content["config"].get(key)]
    limits = model.get("test_cfg") if isinstance(model, dict) else None
    if not isinstance(limits, dict) or not all(isinstance(limits.get(key), dict) for key in ("rpn", "rcnn")):
        missing.append("model.test_cfg")
    if missing:
        raise DataError(f"{path}: config.{missing[0]} is missing; train it again.")
    check_weights(content["state_dict"], path)


def check_config(
    config: dict, where: str | Path, cure: str = "do not use it unless you know its maker"
) -> None:
    """Refuse a configuration from which something else than a detector of known parts would be built.

    Args:
        config: All that a model file or a detector file sets, as plain dicts.
        where: The file.
        cure: What to do about what is refused.

    Raises:
        DataError: naming the file, the key and the value.
    """
    parts, magnified = known_parts(), 1.0
    for count, (keys, value) in enumerate(_entries(config)):
        place, built, key = ".".join(map(str, keys)), keys[0] in BUILT, keys[-1]
        if count >= ENTRIES or len(keys) > DEPTH:
            raise DataError(
                f"{where}: {place}: the configuration is larger than any detector's; do not use it."
            )
        complaint = _complaint(key, value, built, parts)
        if not complaint and keys[0] == "test_pipeline" and isinstance(value, int | float):
            magnified *= max(value, 1) if "scale_factor" in keys else 1
            complaint = "would fill the memory" if magnified > MAGNIFIED or value > SIDE else ""
        if complaint:
            said = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
            raise DataError(f"{where}: {place}: {said[:80]} {complaint}; {cure}.")


def _entries(value: Any, keys: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Yield all within a configuration with the keys leading there, the outer first, each as often as met."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*keys, key), inner
        if isinstance(inner, dict | list | tuple):
            yield from _entries(inner, (*keys, key))


def _complaint(key: Any, value: Any, built: bool, parts: frozenset[str]) -> str:
    """Return what is wrong with one entry of a configuration, nothing where it is in order."""
    if not isinstance(value, dict | list | tuple | str | int | float | bool | None):
        return "is no plain setting"
    if key == "type":
        if not isinstance(value, str):
            return "is no name of a part"
        scope, _, within = value.partition(".")
        name = within if scope in SCOPES else value
        if not name.isidentifier() or name in REFUSED or (built and name not in parts):
            return "is no part of MMDetection, MMCV, MMEngine or neuroseg that a detector may be built of"
    elif key == "_scope_":
        return "" if value in SCOPES else "is none of MMDetection, MMCV and MMEngine"
    elif key in ("custom_imports", "_base_"):
        return "would run code"
    elif built and key == "pretrained" and value is not None:
        return "would be read or fetched"
    elif built and isinstance(value, str) and not _WORDS.fullmatch(value):
        return "is neither a name nor a number"
    elif built and isinstance(value, int | float) and not abs(value) <= LARGEST:
        return "is larger than any setting of a detector"
    elif built and key == "pad_size_divisor" and not isinstance(value, int | float):
        return "is no number"
    elif built and key == "pad_size_divisor" and isinstance(value, int | float) and value > PADDING:
        return "would fill the memory"
    return ""


def known_parts() -> frozenset[str]:
    """Return the names of all that a detector may be built of."""
    found: dict[str, bool] = {}
    for registry in (MODELS, TASK_UTILS, TRANSFORMS, MODELS.parent, TASK_UTILS.parent, TRANSFORMS.parent):
        for name, part in registry.module_dict.items():
            known = f"{part.__module__}.".startswith(tuple(f"{module}." for module in MODULES))
            found[name] = known and found.get(name, True) and name not in REFUSED
    pooling = {name for name in dir(ops) if isinstance(getattr(ops, name), type) and "RoI" in name}
    return frozenset(name for name, known in found.items() if known) | pooling | SUPPRESSIONS


def without_sources(part: Any) -> Any:
    """Return settings without the files or addresses that weights began with: they have been read by now."""
    if isinstance(part, dict):
        kept = {key: without_sources(value) for key, value in part.items() if key != "pretrained"}
        began = kept.get("init_cfg")
        if isinstance(began, dict) and began.get("type") == "Pretrained":
            kept["init_cfg"] = None
        return kept
    if isinstance(part, list | tuple):
        return type(part)(without_sources(inner) for inner in part)
    return part
