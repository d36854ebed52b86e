"""Compute a recorded run again, and say whether it is the same; where it is not, which stage drifted first and why."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from workflow import surroundings
from workflow.commands import RunError, dvc, git, run

FOLDER = ".runs"
"""Where the worktrees of reproduced runs lie; removing one is `git worktree remove --force .runs/NAME`."""


class Drift(NamedTuple):
    """The first stage whose outputs are not the recorded ones."""

    stage: str
    outputs: list[str]
    causes: list[str]


def reproduce(name: str, root: Path, force: bool = False) -> bool:
    """Bring a recorded run into a worktree of its own, compute what its remote and cache lack, and compare.

    A worktree that is there already is gone on with, as it is: so an edit made in it by hand shows as a drift.

    Args:
        name: Of the run.
        root: The repository.
        force: Compute every stage, whatever is there.

    Returns:
        Whether every submission and metric is the recorded one, byte for byte.

    Raises:
        RunError: there is no such run, or a command failed.
    """
    tag = find(name, root)
    tree = root / FOLDER / name
    if tree.is_dir():
        print(f"going on in {tree.relative_to(root)}, as it is")
    else:
        git("worktree", "add", "--detach", str(tree), tag, root=root)
        _share_cache(root, tree)
        remote = dvc("remote", "list", root=tree)
        run("dvc", "pull" if remote else "checkout", "--allow-missing", "--quiet", root=tree)
    run("dvc", "repro", *(("--force", "--no-run-cache") if force else ()), root=tree)

    leaderboard = read_leaderboard(git("show", f"{tag}:results/leaderboard.csv", root=root))
    lines = [line for line in leaderboard if line["name"] == name]
    print(f"\nrun {name}: recorded {lines[0]['recorded']}, on {lines[0]['dataset']}")
    equal = [_compare(tag, line, root, tree) for line in lines]
    drift = find_drift(
        yaml.safe_load(git("show", f"{tag}:dvc.lock", root=root)),
        yaml.safe_load((tree / "dvc.lock").read_text()),
        edited=git("diff", "--name-only", tag, "--", "scripts", "configs/models", root=tree).splitlines(),
        environment=surroundings.changes(json.loads(git("show", f"{tag}:{surroundings.FILE}", root=root))),
    )
    if drift:
        print(f"first stage that drifted: {drift.stage} ({', '.join(drift.outputs)})")
        print("\n".join(f"  {cause}" for cause in drift.causes))
    else:
        print("no stage drifted")
    return all(equal) and not drift


def find(name: str, root: Path) -> str:
    """Return the tag of a recorded run, or its commit in a clone that has the history without the tags.

    Raises:
        RunError: there is no such run.
    """
    tag = f"run/{name}"
    if git("tag", "--list", tag, root=root):
        return tag
    commits = git("log", "--all", "--format=%H", f"--grep=^Record run {re.escape(name)}:", root=root).split()
    if commits:
        return commits[0]
    known = ", ".join(git("tag", "--list", "run/*", root=root).split()).replace("run/", "") or "none"
    raise RunError(f"run {name}: there is no tag {tag}; there are: {known}. `git fetch --tags` brings others'.")


def find_drift(before: dict, after: dict, edited: list[str], environment: list[str]) -> Drift | None:
    """Return the first stage, in the chain's order, whose outputs differ between two contents of dvc.lock.

    Stages before it gave what was recorded, so that what drifted lies in this stage's own inputs.

    Args:
        before: The recorded one.
        after: The one of now.
        edited: Files of code and models that differ between the two, for stages whose code DVC does not watch.
        environment: Differences of versions and machine, the cause when nothing else is.
    """
    for stage, recorded in before["stages"].items():
        now = after["stages"].get(stage, {})
        outputs = _differing(recorded.get("outs", []), now.get("outs", []))
        if not outputs:
            continue
        causes = [
            f"{'code' if path.startswith('scripts/') else 'input'}: {path} is not the recorded one"
            for path in _differing(recorded.get("deps", []), now.get("deps", []))
        ]
        causes += _parameters(recorded.get("params", {}), now.get("params", {}))
        if recorded.get("cmd") != now.get("cmd"):
            causes.append(f"command: {recorded.get('cmd')} → {now.get('cmd')}")
        if not causes:
            causes = [f"code: {path} is not the recorded one" for path in edited]
        if not causes:
            causes = [f"environment: {difference}" for difference in environment]
        if not causes:
            causes = ["no cause in input, code, parameters or versions: this stage gives other results every time"]
        return Drift(stage, outputs, causes)
    return None


def read_leaderboard(text: str) -> list[dict[str, Any]]:
    """Return the leaderboard's lines."""
    return list(csv.DictReader(io.StringIO(text)))


def _compare(tag: str, line: dict[str, str], root: Path, tree: Path) -> bool:
    """Print and return whether one ensemble's submission and metrics are the recorded ones."""
    results, ensemble = f"results/{line['dataset']}", line["ensemble"]
    submission, metrics = tree / results / "submit" / f"{ensemble}.csv", f"{results}/evaluate/{ensemble}.json"
    submitted = hashlib.sha256(submission.read_bytes()).hexdigest() == line["submission"]
    scored = (tree / metrics).read_text().rstrip("\n") == git("show", f"{tag}:{metrics}", root=root)
    print(f"{ensemble}: submission byte-equal: {_yes(submitted)}; metrics equal: {_yes(scored)} (map {line['map']})")
    return submitted and scored


def _yes(true: bool) -> str:
    return "yes" if true else "NO"


def _share_cache(root: Path, tree: Path) -> None:
    """Have a worktree use the repository's DVC cache, and what only this machine knows of its remotes."""
    local = root / ".dvc" / "config.local"
    if local.is_file():
        (tree / ".dvc" / "config.local").write_bytes(local.read_bytes())
    dvc("cache", "dir", "--local", dvc("cache", "dir", root=root), root=tree)


def _differing(before: list[dict], after: list[dict]) -> list[str]:
    now = {entry["path"]: _digest(entry) for entry in after}
    then = {entry["path"]: _digest(entry) for entry in before}
    return [path for path in {**then, **now} if then.get(path) != now.get(path)]


def _digest(entry: dict) -> Any:
    return entry.get("md5") or {key: value for key, value in entry.items() if key != "path"}


def _parameters(before: dict, after: dict) -> list[str]:
    return [
        f"parameter: {file}: {key}: {then} → {now}"
        for file in {**before, **after}
        for key, then, now in _flat_changes("", before.get(file, {}), after.get(file, {}))
    ]


def _flat_changes(prefix: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """Return the leaves at which two nested dicts differ, under their dotted names."""
    if isinstance(before, dict) and isinstance(after, dict):
        changes = []
        for key in {**before, **after}:
            changes += _flat_changes(f"{prefix}.{key}".lstrip("."), before.get(key), after.get(key))
        return changes
    return [] if before == after else [(prefix, before, after)]
