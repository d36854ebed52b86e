"""What a commit's dvc.lock says of its run: the run's own stages, in order, and the digests of its files.

The digests are DVC's: the MD5 of a file, and of a folder the MD5 of its list of files. They are computed here
from the files' bytes at each call, while DVC goes by what it noted when a file had the same date and size.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from ledger.commands import RunError, git


def stages(commit: str, root: Path) -> dict[str, dict[str, Any]]:
    """Return dvc.lock's entries of the stages that a commit's dvc.yaml and configuration ask for, in order.

    dvc.lock may hold more: DVC keeps entries of stages that an earlier configuration had.

    Raises:
        RunError: the commit lacks a file, or dvc.lock the entry of a stage.
    """
    pipeline, lock = (yaml.safe_load(text(commit, name, root)) for name in ("dvc.yaml", "dvc.lock"))
    variables: dict[str, Any] = {}
    for each in pipeline.get("vars", []):
        variables |= yaml.safe_load(text(commit, each, root)) if isinstance(each, str) else each
    found = lock.get("stages", {})
    names = [
        name for stage, what in pipeline["stages"].items() for name in _names(stage, what, variables, found)
    ]
    if missing := [name for name in names if name not in found]:
        raise RunError(
            f"commit {commit[:12]}: its dvc.lock has no record of {', '.join(missing)}, so that it cannot be "
            "compared; the run was recorded incompletely."
        )
    return {name: found[name] for name in ordered({name: found[name] for name in names})}


def inputs(chain: Mapping[str, dict]) -> dict[str, dict]:
    """Return the entries of what the stages read and none of them makes, by path."""
    made = [entry["path"] for stage in chain.values() for entry in stage.get("outs", [])]
    read = {entry["path"]: entry for stage in chain.values() for entry in stage.get("deps", [])}
    return {path: entry for path, entry in read.items() if not any(_within(path, out) for out in made)}


def outputs(stage: Mapping[str, Any], tree: Path) -> dict[str, str | None]:
    """Return the digest of each output of a stage as it lies in a worktree, None where there is none."""
    return {entry["path"]: digest(tree / entry["path"]) for entry in stage.get("outs", [])}


def digest(path: Path) -> str | None:
    """Return DVC's digest of a file or folder, None where there is none."""
    if path.is_dir():
        listed = [{"md5": md5, "relpath": name} for name, md5 in files(path).items()]
        return f"{hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()}.dir"
    return file_digest(path) if path.is_file() else None


def files(folder: Path) -> dict[str, str]:
    """Return the MD5 of each file in a folder, by path, without Python's compiled files, as DVC does."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: file_digest(path) for name, path in sorted(found.items()) if "__pycache__" not in path.parts
    }


def file_digest(path: Path) -> str:
    """Return the MD5 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def text(commit: str, path: str, root: Path) -> str:
    """Return the content of a file in a commit.

    Raises:
        RunError: the commit has no such file.
    """
    if not git("ls-tree", "--name-only", commit, "--", path, root=root):
        raise RunError(f"commit {commit[:12]} has no {path}: it does not hold a whole run.")
    return git("show", f"{commit}:{path}", root=root)


def _names(
    stage: str, what: Mapping[str, Any], variables: Mapping[str, Any], found: Mapping[str, Any]
) -> list[str]:
    """Return the names that a stage of dvc.yaml has in dvc.lock."""
    if "foreach" not in what and "matrix" not in what:
        return [stage]
    items = what.get("foreach")
    if isinstance(items, str) and (variable := re.fullmatch(r"\$\{(\w+)\}", items)):
        items = variables.get(variable[1])
    if isinstance(items, (list, dict)) and all(isinstance(item, (str, int)) for item in items):
        return [f"{stage}@{item}" for item in items]
    return [name for name in found if name.startswith(f"{stage}@")]


def ordered(entries: Mapping[str, dict]) -> list[str]:
    """Return the names of stages, each after those whose outputs it reads."""
    before = {
        name: [
            other
            for other, made in entries.items()
            if other != name
            and any(
                _within(entry["path"], out["path"]) or _within(out["path"], entry["path"])
                for entry in stage.get("deps", [])
                for out in made.get("outs", [])
            )
        ]
        for name, stage in entries.items()
    }
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise RunError(f"dvc.lock: the stages {', '.join(error.args[1])} wait for one another.") from None


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
