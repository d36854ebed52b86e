"""What .snakemake/metadata notes of each result: whether it was computed, and is still as computed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger.commands import TARGETS, RunError, answer, failure

FOLDER = ".snakemake/metadata"

LOCKS = ".snakemake/locks"
"""Where Snakemake lists the files that it reads and writes while it works, one a line."""

MARK = ".snakemake_timestamp"
"""The file in a folder that is a result, whose date Snakemake takes for the folder's."""

INSTANT = 0.05
"""Seconds: less than Python takes to start."""

LATE = 1.0
"""Seconds by which Snakemake may note a job's beginning too late: it does so after it handed the job to a
thread, which may open its log before. Between the end of one call of Snakemake and what the next one touches
lies more."""


def results(root: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Return the paths of all files and folders that a run of this configuration computes, present or not."""
    listed = answer("snakemake", *arguments, "--summary", "--", *TARGETS, root=root, env=plain()).splitlines()
    return [line.split("\t")[0] for line in listed if "\t" in line and not line.startswith("output_file\t")]


def pending(root: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Return the rules that Snakemake would run now; none when all is up to date.

    Raises:
        RunError: Snakemake cannot tell, such as while another one is at work here.
    """
    command = ["snakemake", "--dry-run", *arguments, "--", *TARGETS]
    done = subprocess.run(command, cwd=root, env=plain(), check=False, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        raise RunError(failure(command, done.returncode, said.splitlines()))
    if "Nothing to be done" in said:
        return []
    return list(dict.fromkeys(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", said, re.MULTILINE))) or [
        "all"
    ]


def refuse_locked(paths: Sequence[str], root: Path) -> None:
    """Refuse to compute results that a lock of Snakemake names, as Snakemake itself would in many lines.

    Raises:
        RunError: there is such a lock: of a Snakemake at work, or of one that was killed.
    """
    named = {line for lock in (root / LOCKS).glob("*.lock") for line in lock.read_text().splitlines()}
    if named & set(paths):
        raise RunError(
            f"a lock in {LOCKS} names files of this run, as a killed run leaves it: `snakemake --unlock` "
            "removes it if no other Snakemake works here; then try again."
        )


def plain() -> dict[str, str]:
    """Return the environment without the profile that it names, which may hold another configuration."""
    return {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}


def altered(paths: Sequence[str], root: Path) -> list[str]:
    """Return the results that are no more as their job, or the last `make sync`, left them: by date."""
    return [path for path in paths if (root / path).exists() and not _as_noted(path, root)]


def touched(paths: Sequence[str], root: Path) -> list[str]:
    """Return results that Snakemake was told to call up to date, by --touch, instead of computing them."""
    notes = {path: note(path, root) for path in paths if (root / path).exists()}
    return [path for path, each in notes.items() if each and not _ran(each, root)]


def note(path: str, root: Path) -> dict | None:
    """Return Snakemake's note of a result, nothing where there is none."""
    try:
        return json.loads(_place(path, root).read_text())
    except (OSError, ValueError):
        return None


@contextmanager
def kept(paths: Sequence[str], root: Path) -> Iterator[None]:
    """Leave the notes and dates of results as they were, whatever is done within."""
    notes = {
        _place(path, root): _place(path, root).read_bytes() for path in paths if _place(path, root).is_file()
    }
    dates = {path: (root / path).stat() for path in paths if (root / path).exists()}
    try:
        yield
    finally:
        for path in paths:
            place = _place(path, root)
            if place in notes:
                place.write_bytes(notes[place])
            else:
                place.unlink(missing_ok=True)
            if path in dates:
                os.utime(root / path, ns=(dates[path].st_atime_ns, dates[path].st_mtime_ns))


def _as_noted(path: str, root: Path) -> bool:
    """Compare a result's date with its note; of a folder, nothing within may be newer than its own mark.

    Where DVC lays out links into its cache, both the link and what it leads to have a date, as they have to
    Snakemake.
    """
    noted, place = note(path, root), root / path
    if noted is None or noted.get("endtime") is None:
        return False
    if not place.is_dir():
        return max(place.stat().st_mtime, place.lstat().st_mtime) == noted["endtime"]
    newest = max((each.stat().st_mtime for each in place.rglob("*") if each.is_file()), default=0.0)
    mark = place / MARK
    return newest <= max(noted["endtime"], mark.lstat().st_mtime if mark.is_symlink() else 0.0)


def _ran(noted: dict, root: Path) -> bool:
    """Tell whether a job ran between the start and the end in its note: it then wrote its log meanwhile.

    All three are dates of files, and so of one clock. Where the log is gone, a touch is told by taking no
    time.
    """
    began, logs = noted.get("starttime") or 0.0, [root / path for path in noted.get("log") or ()]
    if logs and all(path.is_file() for path in logs):
        return all(path.stat().st_mtime >= began - LATE for path in logs)
    return (noted.get("endtime") or 0.0) - began > INSTANT


def _place(path: str, root: Path) -> Path:
    """Return where Snakemake keeps a result's note: under its name in base64, in pieces if long."""
    folder = root / FOLDER
    longest = os.pathconf(folder, "PC_NAME_MAX") if folder.is_dir() else 255
    name = urlsafe_b64encode(path.encode()).decode()
    pieces = [name[start : start + longest - 1] for start in range(0, len(name), longest - 1)]
    return folder.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
