"""The leaderboard: a line for each ensemble of each recorded run."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from workflow import plan

from ledger.commands import RunError

FILE = "results/leaderboard.csv"
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
    "train_cpu_s",  # CPU seconds of its trainings, all folds, before a stop too; empty where unknown
)


NEEDED = ("name", "dataset", "ensemble", "map", "submission")
"""Columns without which a line says nothing. Kaggle's scores are filled in by hand;
spreadsheets may lose these."""


def read(text: str) -> list[dict[str, Any]]:
    """Return the leaderboard's lines. A byte order mark, as spreadsheets write it, is passed over.

    Raises:
        RunError: it is not UTF-8, lacks a column, or a line has more or fewer cells than the head.
    """
    if not text.strip():
        return []
    cure = "save it with commas, UTF-8 and the columns that it had (`git log -p` shows them), and commit it."
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        raise RunError(f"{FILE} is not UTF-8; {cure}")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    lines = list(rows)
    if missing := [column for column in NEEDED if column not in (rows.fieldnames or ())]:
        raise RunError(
            f"{FILE} lacks the column {missing[0]}, or its columns are not parted by commas; {cure}"
        )
    for number, line in enumerate(lines, 1):
        if None in line or None in line.values():
            raise RunError(
                f"{FILE}: run {line['name']}, line {number + 1}: other cells than the head has; {cure}"
            )
    return lines


def of(name: str, text: str) -> list[dict[str, Any]]:
    """Return the lines of one run."""
    return [line for line in read(text) if line["name"] == name]


def line(root: Path, name: str, parent: str, config: dict[str, Any], ensemble: str) -> dict[str, Any]:
    """Return one ensemble's line of the leaderboard."""
    dataset = config["dataset"]
    metrics = json.loads((root / f"results/{dataset}/evaluate/{ensemble}.json").read_text())
    submission = (root / f"results/{dataset}/submit/{ensemble}.csv").read_bytes()
    entry = {
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
        "train_cpu_s": _cpu_seconds(root, config, ensemble),
    }
    return entry | {f"map_{cell_type}": part["map"] for cell_type, part in metrics["per_type"].items()}


def appended(text: str, lines: Sequence[dict[str, object]]) -> str:
    """Return the leaderboard with lines added; a cell type that it has not met gets a column at its end."""
    rows = [*read(text), *lines]
    columns = list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)]))
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _cpu_seconds(root: Path, config: dict[str, Any], ensemble: str) -> int | str:
    """Return what the trainings behind an ensemble have noted, nothing where one has left no note.

    A student's teachers count too.
    """
    dataset, train = config["dataset"], config["train"]
    version = "" if train["version"] == 1 else f"_version_{train['version']}"  # as the workflow names folders
    seconds = 0.0
    for member in _members(root, config, ensemble):
        if _members(root, config, member):
            seconds += float(_cpu_seconds(root, config, member) or "nan")
            continue
        notes = [
            root / f"logs/{dataset}/train/{model}/{path.parent.name}{version}/cost.json"
            for model in plan.trained([member], train["pseudo_label"]["students"])
            for path in sorted((root / f"results/{dataset}/train/{model}").glob("fold_*/model.pth"))
        ]
        if not notes or not all(note.is_file() for note in notes):
            return ""
        seconds += sum(json.loads(note.read_text())["cpu_s"] for note in notes)
    return "" if math.isnan(seconds) else round(seconds)


def _members(root: Path, config: dict[str, Any], ensemble: str) -> list[str]:
    """Return the members of an ensemble, of `configs/` or of the run's study; none where it is a model."""
    study = config.get("study")
    folders = [root / "configs", *([root / "studies" / study] if study else [])]
    files = (folder / "ensembles" / f"{ensemble}.yaml" for folder in folders)
    found = next((path for path in files if path.is_file()), None)
    return list(yaml.safe_load(found.read_text())["members"]) if found else []
