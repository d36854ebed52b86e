"""What dvc.yaml lists and dvc.lock holds: which files they are, and which of them differ."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ledger.commands import RunError, dvc


def unrecorded(root: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for whatever of the chain is not as dvc.lock says; none when all is recorded."""
    status = json.loads(dvc("status", "--json", root=root, env=env) or "{}")
    found = [sentence for stage, entries in status.items() for sentence in _sentences(stage, entries)]
    if not found:
        return []
    try:
        changes = json.loads(dvc("diff", "--json", root=root, env=env) or "{}")
    except RunError:  # where DVC is told to leave Git alone, the stages have to do
        return found
    files = [
        f"{kind}: {change['path'] if isinstance(change['path'], str) else change['path']['new']}"
        for kind in ("modified", "deleted", "added", "renamed", "not in cache")
        for change in changes.get(kind, [])
        if not str(change["path"]).endswith("/")  # of a folder, the files say more
    ]
    return found + files


def strays(folder: Path, made: Collection[str], root: Path) -> list[str]:
    """Return the files in a folder of results that a run does not make, such as an old ensemble's."""
    walked = (Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)
    found = (path.relative_to(root).as_posix() for path in sorted(walked))
    # the .gitignore files are DVC's own
    return [name for name in found if not within(name, made) and not name.endswith("/.gitignore")]


def vouched(lock: bytes, others: Iterable[bytes]) -> list[str]:
    """Return outputs of stages that another dvc.lock has with the same inputs, parameters and outputs."""

    def entry(stage: dict[str, Any]) -> str:
        return json.dumps([stage.get(key) for key in ("deps", "params", "outs")], sort_keys=True)

    known = {entry(stage) for text in others for stage in _stages(text).values()}
    same = (stage for stage in _stages(lock).values() if entry(stage) in known)
    return [out["path"] for stage in same for out in stage.get("outs", [])]


def outputs(lock: bytes) -> list[str]:
    """Return the files and folders that the stages of a dvc.lock write."""
    return [out["path"] for stage in _stages(lock).values() for out in stage.get("outs", [])]


def within(path: str, places: Iterable[str]) -> bool:
    """Tell whether a path is one of some files and folders, or lies in one of them."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def raw_data(root: Path) -> list[str]:
    """Return what the recorded stages read from data/ and none of them makes."""
    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"].values()
    made = {entry["path"] for stage in stages for entry in stage.get("outs", [])}
    read = {entry["path"] for stage in stages for entry in stage.get("deps", [])}
    return sorted(path for path in read - made if path.startswith("data/"))


def _stages(lock: bytes) -> dict[str, dict[str, Any]]:
    return (yaml.safe_load(lock) or {}).get("stages", {})


def _sentences(stage: str, entries: list) -> list[str]:
    sentences = []
    for entry in entries:
        if isinstance(entry, str):  # "changed command", "always changed"
            sentences.append(f"stage {stage}: {entry}")
            continue
        for kind, paths in entry.items():
            sentences += [f"stage {stage}: {kind}: {path} ({_how(state)})" for path, state in paths.items()]
    return sentences


def _how(state: object) -> str:
    return ", ".join(map(str, state)) if isinstance(state, dict) else str(state)
