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
    restore_tags(root)
    tag = find(name, root)
    tree = root / FOLDER / name
    if tree.is_dir():
        print(f"going on in {tree.relative_to(root)}, as it is")
    else:
        git("worktree", "prune", root=root)  # one whose folder was removed by hand would stand in the way
        git("worktree", "add", "--detach", str(tree), tag, root=root)
        _share_cache(root, tree)
        remote = dvc("remote", "list", root=tree)
        run("dvc", "pull" if remote else "checkout", "--allow-missing", "--quiet", root=tree)
    _bring_raw_data(root, tree)
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


def runs(root: Path) -> dict[str, str]:
    """Return the recorded runs by name: the tag of each or, in a clone that has the history without it, the commit."""
    history = git("log", "--all", "--reverse", "--format=%H %s", "--grep=^Record run ", root=root).splitlines()
    found = (re.fullmatch(r"(\w+) Record run ([^:\s]+): .*", line) for line in history)
    tags = git("tag", "--list", "run/*", root=root).split()
    return {match[2]: match[1] for match in found if match} | {tag.removeprefix("run/"): tag for tag in tags}


def find(name: str, root: Path) -> str:
    """Return the tag of a recorded run.

    Raises:
        RunError: there is no such run.
    """
    known = runs(root)
    if name not in known:
        raise RunError(f"run {name}: none is recorded; there are: {', '.join(sorted(known)) or 'none'}.")
    return known[name]


def restore_tags(root: Path) -> None:
    """Tag every recorded run in the history of a clone that came without its tag."""
    missing = {f"run/{name}": commit for name, commit in runs(root).items() if commit != f"run/{name}"}
    for tag, commit in missing.items():
        git("tag", tag, commit, root=root)
        print(f"tagged anew, from the history: {tag}")


def raw_data(root: Path) -> list[str]:
    """Return what the recorded stages read from data/ and none of them makes."""
    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"].values()
    made = {entry["path"] for stage in stages for entry in stage.get("outs", [])}
    read = {entry["path"] for stage in stages for entry in stage.get("deps", [])}
    return sorted(path for path in read - made if path.startswith("data/"))


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


def _bring_raw_data(root: Path, tree: Path) -> None:
    """Link raw data that no .dvc file holds from the repository into a worktree; DVC then compares their hash.

    Raises:
        RunError: the repository has none either.
    """
    for path in raw_data(tree):
        if (tree / path).exists():
            continue
        if not (root / path).exists():
            raise RunError(
                f"{path}: the run reads it, and neither DVC nor this clone has it; put it there, and try again."
            )
        (tree / path).symlink_to((root / path).resolve(), target_is_directory=True)


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
