"""Compute a whole recorded run again, and say whether it is the same, or which stage drifted first and why.

It checks that every file that the run's stages make is the recorded one, byte for byte, and with it each
submission and score of the leaderboard. All is computed: no file of an earlier computation is taken from
DVC's cache or remote, only raw data. The run computes in an environment made of its own commit's pins
(--environment names one made by hand).

It changes .runs alone: the run's worktree, .runs/NAME, where an interrupted call is gone on with after its
last whole stage and an edit made by hand shows as a drift; and environments, .runs/.environments. It never
touches the checkout, its results, DVC's record, or Git's branches and tags. What cannot be reproduced is
refused before anything is computed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ledger import drift, environment, environments, lock, runs, worktrees
from ledger.commands import InterruptionError, RunError, write


class Run(NamedTuple):
    """A recorded run and where it is computed again."""

    name: str
    commit: str
    chain: dict[str, dict[str, Any]]  # dvc.lock's entry of each stage, in order
    lines: list[dict[str, Any]]  # of the leaderboard
    tree: Path
    edited: dict[str, str]  # the digest of each file that is not the commit's, by path
    environment: Path
    differences: list[str]  # of versions and machine


class Drift(NamedTuple):
    """The first stage whose outputs are not the recorded ones."""

    stage: str
    outputs: list[str]
    causes: list[str]


def reproduce(name: str, root: Path, made: Path | None = None) -> bool:
    """Compute a recorded run again in a worktree of its own, and compare.

    Args:
        name: Of the run.
        root: The repository.
        made: An environment to compute in; None to make one from the pins of the run's commit.

    Returns:
        Whether every file of every stage is the recorded one, byte for byte.

    Raises:
        RunError: there is no such run, something that it needs is not here, or a stage failed.
    """
    commit = runs.find(name, root)
    folder = root / worktrees.FOLDER
    folder.mkdir(exist_ok=True)
    refusal = f"run {name} is being reproduced by another call; wait for that, or end it."
    with environments.locked(folder / f".{name}.lock", refusal) as held:
        run = _prepare(name, commit, root, made)
        try:
            first = _compute(run, folder / f".{name}.json", held)
        except KeyboardInterrupt:
            raise InterruptionError(
                f"interrupted: the same command goes on after the last whole stage of run {name}."
            ) from None
    return _tell(run, first, root)


def _prepare(name: str, commit: str, root: Path, made: Path | None) -> Run:
    """Bring together all that a run needs, so that what is missing is said before anything is computed."""
    chain = lock.stages(commit, root)
    lines = [line for line in runs.lines_at(commit, root) if line["name"] == name]
    recorded = json.loads(lock.text(commit, environment.FILE, root))
    print(
        f"run {name}: recorded {lines[0]['recorded']} by commit {commit[:12]}, on {lines[0]['dataset']}",
        flush=True,
    )
    tree = worktrees.prepare(name, commit, root)
    home = made.absolute() if made else environments.prepare(name, commit, tree, recorded, root)
    differences = environment.changes(recorded, {**environment.machine(), **environments.contents(home)})
    environments.need_commands({stage: _commands(entry)[0] for stage, entry in chain.items()}, home)
    worktrees.bring_inputs(lock.inputs(chain), tree, root)
    outputs = {out["path"] for entry in chain.values() for out in entry.get("outs", [])}
    edited = {path: now for path, now in worktrees.edited(tree, commit, root).items() if path not in outputs}
    for difference in differences:
        print(f"other than recorded: {difference}")
    for path in edited:
        print(f"other than recorded: {path}, edited in {worktrees.FOLDER}/{name}")
    return Run(name, commit, chain, lines, tree, edited, home, differences)


def _compute(run: Run, notes: Path, held: int) -> Drift | None:
    """Compute every stage and compare it at once; return the first drift.

    Args:
        run: The run.
        notes: The file that says which stages an interrupted call has computed.
        held: The descriptor of the run's lock.
    """
    done = _resumed(run, notes)
    if not done:
        worktrees.clean(run.tree, run.chain)
    first = None
    for number, (stage, entry) in enumerate(run.chain.items(), start=1):
        title = f"[{number} of {len(run.chain)}] {stage}"
        if stage in done:
            print(f"{title}: computed by the call that was interrupted", flush=True)
        else:
            _run(stage, title, entry, run, held)
            done[stage] = lock.outputs(entry, run.tree)
            write(notes, json.dumps(_situation(run) | {"stages": done}, indent=1) + "\n")
        others = drift.differing(entry.get("outs", []), done[stage])
        if others and first is None:
            first = Drift(stage, others, drift.causes(entry, run.tree, list(run.edited), run.differences))
            print(f"{title}: drifted: {', '.join(others)}", *first.causes, sep="\n  ", flush=True)
        else:
            print(f"{title}: {'not the recorded one, as what it reads' if others else 'equal'}", flush=True)
    notes.unlink()  # the next call computes all again
    return first


def _run(stage: str, title: str, entry: Mapping[str, Any], run: Run, held: int) -> None:
    """Compute a stage by its recorded command, in the run's own environment.

    Raises:
        RunError: the command failed, or made not all that it should.
    """
    shutil.rmtree(run.tree / ".snakemake" / "locks", ignore_errors=True)  # of a call that was killed
    for command in _commands(entry):
        print(f"{title}: $ {command}", flush=True)
        env = environments.variables(run.environment)
        with subprocess.Popen(command, shell=True, cwd=run.tree, env=env, pass_fds=(held,)) as process:
            try:
                status = process.wait()
            except KeyboardInterrupt:  # the command got it, too, and puts its things in order
                process.wait()
                raise
        if status:
            raise RunError(
                f"stage {stage} of run {run.name}: `{command}` failed with exit status {status}; the reason "
                f"stands above or in {worktrees.FOLDER}/{run.name}/logs; the same command goes on from there."
            )
    if missing := [path for path, now in lock.outputs(entry, run.tree).items() if now is None]:
        raise RunError(
            f"stage {stage} of run {run.name}: its command ended well and made no {', '.join(missing)}."
        )


def _resumed(run: Run, notes: Path) -> dict[str, dict[str, str | None]]:
    """Return the stages, still whole, that an interrupted call computed under the same circumstances."""
    try:
        said = json.loads(notes.read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    stages = said.pop("stages", {})
    if said != _situation(run):
        return {}
    whole = {}
    for stage, entry in run.chain.items():
        if stage not in stages or lock.outputs(entry, run.tree) != stages[stage]:
            break
        whole[stage] = stages[stage]
    return whole


def _situation(run: Run) -> dict[str, Any]:
    return {"commit": run.commit, "edited": run.edited, "environment": str(run.environment)}


def _commands(entry: Mapping[str, Any]) -> Sequence[str]:
    return [entry["cmd"]] if isinstance(entry["cmd"], str) else entry["cmd"]


def _tell(run: Run, first: Drift | None, root: Path) -> bool:
    """Print what was proved, and return whether all is equal."""
    print()
    equal = [_compare(run, line, root) for line in run.lines]
    if first:
        where, causes = f"{first.stage} ({', '.join(first.outputs)})", "; ".join(first.causes)
        print(f"run {run.name}: recomputed, and drifted first at {where}: {causes}")
    elif all(equal):
        print(f"run {run.name}: recomputed and equal: every file of {len(run.chain)} stages, byte for byte")
    else:
        print(
            f"run {run.name}: recomputed, and every file is that of dvc.lock, but the leaderboard's lines of "
            "the same commit say otherwise: the run was recorded wrongly"
        )
    return first is None and all(equal)


def _compare(run: Run, line: Mapping[str, str], root: Path) -> bool:
    """Print and return whether one ensemble's submission and score are the recorded ones."""
    results, ensemble = run.tree / "results" / line["dataset"], line["ensemble"]
    submission, metrics = results / "submit" / f"{ensemble}.csv", results / "evaluate" / f"{ensemble}.json"
    submitted = (
        submission.is_file() and hashlib.sha256(submission.read_bytes()).hexdigest() == line["submission"]
    )
    score = json.loads(metrics.read_text())["map"] if metrics.is_file() else None
    scored = score is not None and score == float(line["map"])
    verdict = "equal" if submitted else "other"
    print(
        f"{ensemble}: submission {verdict}; map {score}, "
        f"{'as recorded' if scored else 'recorded ' + line['map']}"
    )
    return submitted and scored
