"""Runs as commits: choose what is run, record it, make a checkout agree with its record, compute a run again.

    python -m workflow.ledger adopt FILE           (make adopt CONFIG=...)
    python -m workflow.ledger record NAME          (make record NAME=...)
    python -m workflow.ledger sync                 (make sync)
    python -m workflow.ledger reproduce NAME       (make reproduce RUN=...)

A run is one commit: the code and the configuration it ran with, dvc.lock with the hash of every stage's inputs and
outputs, the metrics, and its lines in results/leaderboard.csv. It bears the tag run/NAME.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from ruamel.yaml import YAML
from snakemake.utils import update_config
from workflow import plan, reproduction, surroundings
from workflow.commands import TARGETS, RunError, dvc, git, run, strays, unrecorded, write

ROOT = Path(__file__).parents[1]

LEADERBOARD = "results/leaderboard.csv"
COLUMNS = (
    "name",
    "recorded",  # when, UTC
    "parent",  # the commit whose code and configuration ran
    "dataset",
    "ensemble",
    "map",  # of the held-out images, with its 95 % interval; the columns map_<cell type> follow at the end
    "map_low",
    "map_high",
    "public",  # Kaggle's scores, to be filled in by hand
    "private",
    "submission",  # SHA-256 of the file
    "train_cpu_s",  # CPU seconds that its models' trainings took, all folds; empty where they ran elsewhere
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def adopt(source: Path, root: Path = ROOT) -> None:
    """Write the keys of a configuration file into configs/pipeline.yaml, whose comments stay: DVC watches that one.

    Args:
        source: Such as configs/sartorius.yaml.
        root: The repository.

    Raises:
        RunError: there is no such file.
    """
    if not source.is_file():
        known = ", ".join(path.name for path in sorted((root / "configs").glob("*.yaml")))
        raise RunError(f"{source}: there is no such file; in configs/ there are: {known}.")
    path, editor = root / "configs" / "pipeline.yaml", YAML()
    config = editor.load(path)
    update_config(config, editor.load(source))  # as Snakemake does with a --configfile
    text = io.StringIO()
    editor.dump(config, text)
    write(path, text.getvalue())
    print(f"configs/pipeline.yaml now holds what {source} asks for; look at `git diff`, commit it, and record a run")


def record(name: str, snakemake: Sequence[str], root: Path = ROOT) -> None:
    """Run the chain, record every stage's files with DVC, add the run's lines to the leaderboard, commit and tag.

    Args:
        name: Of the run; its tag is run/NAME.
        snakemake: More arguments for Snakemake, such as `--profile profiles/slurm`. They may say how the chain is run,
            but not what it computes: that stands in configs/pipeline.yaml, which is committed.
        root: The repository.

    Raises:
        RunError: the name is taken, files are not committed, results of another configuration lie about, or a command
            failed. Nothing is committed then.
    """
    if not NAME.fullmatch(name):
        raise RunError(f"name {name!r}: use letters, digits, '.', '_' and '-', and begin with a letter or digit.")
    if at := reproduction.runs(root).get(name):
        raise RunError(f"name {name}: there is a run of that name already (`git show {at}`); choose another.")
    overriding = [flag for flag in snakemake if re.match(r"--config(file|files)?(=|$)|-C", flag)]
    if overriding:
        raise RunError(f"{overriding[0]}: a recorded run takes its configuration from configs/pipeline.yaml alone.")

    config = yaml.safe_load((root / "configs" / "pipeline.yaml").read_text())
    metrics = f"results/{config['dataset']}/evaluate"  # an earlier run may have left some
    changed = git("status", "--porcelain", "--untracked-files=all", "--", ".", f":(exclude){metrics}", root=root)
    _refuse_changes(changed, "commit or stash them first: a run is a commit")
    left = strays(root / "results" / config["dataset"], root)
    former = sorted(set(left) & set(git("ls-files", "--", metrics, root=root).splitlines()))
    if others := [path for path in left if path not in former]:
        raise RunError(f"DVC records whole folders, and these files are of another run: remove {', '.join(others)}.")
    parent = git("rev-parse", "HEAD", root=root)
    run("snakemake", *snakemake, "--", *TARGETS, root=root)
    for path in former:  # an earlier run's, of ensembles that this one lacks: its commit keeps them
        (root / path).unlink(missing_ok=True)
    run("dvc", "commit", "--force", "--quiet", root=root)
    differing = unrecorded(root)
    if differing:
        raise RunError(*(f"{line}; the run is not recorded: run it again." for line in differing))

    own = [":(exclude)dvc.lock", f":(exclude){metrics}"]
    changed = git("status", "--porcelain", "--untracked-files=all", "--", ".", *own, root=root)
    _refuse_changes(changed, "they were edited while the chain ran; restore or commit them, and record again")

    lines = [_line(root, name, parent, config["dataset"], ensemble) for ensemble in config["ensembles"]]
    _append(root / LEADERBOARD, lines)
    surroundings.write(root / surroundings.FILE)
    git("add", "--", "dvc.lock", LEADERBOARD, surroundings.FILE, metrics, root=root)
    scores = ", ".join(f"{line['ensemble']} {float(line['map']):.4f}" for line in lines)
    best = max(lines, key=lambda line: float(line["map"]))
    subject = f"Record run {name}: map {float(best['map']):.4f} ({best['ensemble']})"
    git("commit", "--quiet", "--message", subject, "--message", scores, root=root)
    git("tag", "--annotate", f"run/{name}", "--message", f"map {scores}", root=root)
    print(f"recorded as run/{name}: map {scores}")
    for path in reproduction.raw_data(root):
        if not (root / f"{path}.dvc").is_file():
            print(f"{path} is in no .dvc file, so that a clone cannot fetch it: dvc add {path}")
    if dvc("remote", "list", root=root):
        run("dvc", "push", "--quiet", root=root)
        print("pushed to the DVC remote; `git push --follow-tags` shares the record itself")
    else:
        print("no DVC remote is set, so the files are on this machine only: dvc remote add --default store <address>")


def sync(root: Path = ROOT) -> None:
    """Make Snakemake agree that the files of a checkout are up to date, once DVC has vouched for every one of them.

    The runs in its history are tagged anew, where it came without their tags.

    After `dvc pull` or `dvc checkout` the files are the recorded ones but Snakemake, which goes by dates and by its own
    notes, would compute them again. The order matters: the touch gives every file a new date, so that DVC then
    hashes it indeed, even one that was altered under its old date.

    Raises:
        RunError: a file is not the recorded one; all are named, and Snakemake is left to compute them again.
    """
    reproduction.restore_tags(root)
    try:
        flags = ("--touch", "--forceall", "--cores", "1", "--quiet", "all")
        run("snakemake", *flags, "--", *TARGETS, root=root)
        differing = unrecorded(root)
    except RunError:
        shutil.rmtree(root / ".snakemake" / "metadata", ignore_errors=True)
        raise
    if differing:
        shutil.rmtree(root / ".snakemake" / "metadata", ignore_errors=True)
        cure = "`dvc pull && dvc checkout --force` brings the recorded files, `snakemake` computes them again"
        raise RunError(*differing, f"the files are not those of dvc.lock: {cure}.")
    print("every file is the recorded one, and Snakemake has nothing to do")


def _line(root: Path, name: str, parent: str, dataset: str, ensemble: str) -> dict[str, object]:
    """Return one ensemble's line of the leaderboard."""
    metrics = json.loads((root / f"results/{dataset}/evaluate/{ensemble}.json").read_text())
    submission = (root / f"results/{dataset}/submit/{ensemble}.csv").read_bytes()
    line = {
        "name": name,
        "recorded": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "parent": parent[:12],
        "dataset": dataset,
        "ensemble": ensemble,
        "map": metrics["map"],
        "map_low": metrics["map_low"],
        "map_high": metrics["map_high"],
        "public": "",
        "private": "",
        "submission": hashlib.sha256(submission).hexdigest(),
        "train_cpu_s": _cpu_seconds(root, dataset, ensemble),
    }
    return line | {f"map_{cell_type}": part["map"] for cell_type, part in metrics["per_type"].items()}


def _cpu_seconds(root: Path, dataset: str, ensemble: str) -> int | str:
    """Return what Snakemake's notes say of the trainings behind an ensemble, nothing where one of them is missing.

    A student's teachers count too.
    """
    config = yaml.safe_load((root / "configs" / "pipeline.yaml").read_text())
    members = yaml.safe_load((root / f"configs/ensembles/{ensemble}.yaml").read_text())["members"]
    seconds = 0.0
    for member in members:
        if (root / f"configs/ensembles/{member}.yaml").is_file():
            seconds += float(_cpu_seconds(root, dataset, member) or "nan")
            continue
        notes = [
            root / f"logs/{dataset}/train/{model}_{path.parent.name}.tsv"
            for model in plan.trained([member], config["train"]["pseudo_label"]["students"])
            for path in sorted((root / f"results/{dataset}/train/{model}").glob("fold_*/model.pth"))
        ]
        if not notes or not all(note.is_file() for note in notes):
            return ""
        for note in notes:
            (row,) = csv.DictReader(note.read_text().splitlines(), delimiter="\t")
            seconds += float(row["cpu_time"])
    return "" if math.isnan(seconds) else round(seconds)


def _append(path: Path, lines: Sequence[dict[str, object]]) -> None:
    """Add lines to the leaderboard; a cell type that it has not met gets a column at its end."""
    rows = reproduction.read_leaderboard(path.read_text()) if path.is_file() else []
    rows += lines
    columns = list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue())


def _refuse_changes(listed: str, cure: str) -> None:
    if listed:
        names = ", ".join(line.split()[-1] for line in listed.splitlines())
        raise RunError(f"these files are not committed: {names}; {cure}.")


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks for."""
    match list(arguments):
        case ["adopt", source]:
            adopt(Path(source))
        case ["record", name, *more]:
            record(name, more)
        case ["sync"]:
            sync()
        case ["reproduce", name, *more] if more in ([], ["--force"]):
            same = reproduction.reproduce(name, ROOT, force=bool(more))
            sys.exit(0 if same else 1)
        case _:
            print(__doc__)
            sys.exit(0 if set(arguments) & {"-h", "--help"} else 2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RunError as error:
        sys.exit("\n".join(f"error: {sentence}" for sentence in error.sentences))
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: `{shlex.join(map(str, error.cmd))}` failed with exit status {error.returncode}.")
