"""Why a stage gave other files than recorded: an input, code, a parameter, or versions and the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ledger import lock


def differing(before: Sequence[Mapping[str, Any]], after: Mapping[str, str | None]) -> list[str]:
    """Return the paths whose recorded digest is not the one of now.

    Args:
        before: Entries of dvc.lock.
        after: Digests by path.
    """
    return [entry["path"] for entry in before if entry.get("md5") != after.get(entry["path"])]


def causes(
    stage: Mapping[str, Any], tree: Path, edited: Sequence[str], environment: Sequence[str]
) -> list[str]:
    """Return what differs between a recorded stage and that of now, where all before gave what was recorded.

    Args:
        stage: Its entry in the recorded dvc.lock.
        tree: The worktree that it was computed in.
        edited: The files of the run's commit that are other in the worktree.
        environment: Differences of versions and machine: the cause when nothing else is.
    """
    now = {entry["path"]: lock.digest(tree / entry["path"]) for entry in stage.get("deps", [])}
    found = [
        f"{_kind(path)}: {path} is not the recorded one" for path in differing(stage.get("deps", []), now)
    ]
    changed = parameters(stage.get("params", {}), tree)
    found += changed
    if not found:  # not all code is among what DVC watches
        found = [f"{_kind(path)}: {path} is not the recorded one" for path in edited]
    if not found:
        found = [f"environment: {difference}" for difference in environment]
    return found or [
        "no cause in input, code, parameters, versions or what is recorded of the processor: the machine "
        "differs in something else, or this stage gives other results every time"
    ]


def parameters(recorded: Mapping[str, Mapping[str, Any]], tree: Path) -> list[str]:
    """Return the recorded parameters that are other in the files of a worktree."""
    found = []
    for file, before in recorded.items():
        values = yaml.safe_load((tree / file).read_text()) if (tree / file).is_file() else {}
        now = {key: _at(values, key) for key in before}
        found += [f"parameter: {file}: {key}: {old} → {new}" for key, old, new in changes("", before, now)]
    return found


def changes(prefix: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """Return the leaves at which two nested dicts differ, under their dotted names."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for key in {**before, **after}:
            found += changes(f"{prefix}.{key}".lstrip("."), before.get(key), after.get(key))
        return found
    return [] if before == after else [(prefix, before, after)]


def _at(values: Any, key: str) -> Any:
    """Return the value at a dotted name."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _kind(path: str) -> str:
    code = ("scripts/", "workflow/", "Snakefile", "configs/models/")
    return "code" if path.startswith(code) else "input"
