"""A small repository whose stages write a line of text each, for the tests of record and sync.

repository_recorded.py has the one for verify and reproduce, which call neither.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from chain import environment

ROOT = Path(__file__).parents[1]
COPIED = (".gitattributes", ".gitignore", ".dvc/.gitignore", ".dvc/config", ".dvcignore", "data/.gitignore")
COPIED += ("ledger", "profiles", "workflow")


def call(*command: object, folder: Path, check: bool = True, **settings: str) -> subprocess.CompletedProcess:
    """Run a command in a folder, as on a machine without settings of Git, but for `settings`."""
    person = {
        f"GIT_{role}_{what}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    person |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PYTHONPATH": ""}
    variables = {
        name: text for name, text in {**os.environ, **person, **settings}.items() if text is not None
    }
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    if check and done.returncode:
        raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}")
    return done


def git(*arguments: object, folder: Path, **settings: str) -> str:
    return call("git", *arguments, folder=folder, **settings).stdout.rstrip("\n")


def ledger(
    *arguments: object, folder: Path, check: bool = True, **settings: str
) -> subprocess.CompletedProcess:
    return call(sys.executable, "ledger", *arguments, folder=folder, check=check, **settings)


def status(folder: Path) -> str:
    """What is not committed."""
    return git("status", "--porcelain", folder=folder)


def state(folder: Path) -> tuple[str, ...]:
    """All that Git keeps, and what is not committed."""
    return git("for-each-ref", folder=folder), git("rev-parse", "HEAD", folder=folder), status(folder)


def nothing_to_do(folder: Path, *arguments: str) -> bool:
    """Whether Snakemake and DVC both find everything up to date."""
    planned = call("snakemake", "-n", *arguments, "--", "all", "all_simulate", folder=folder)
    recorded = call("dvc", "repro", "--dry", folder=folder)
    return "Nothing to be done" in planned.stdout + planned.stderr and "Running stage" not in recorded.stdout


def create(folder: Path) -> Path:
    """Make the repository: the ledger and the settings of ours, the stages of tests/repository_to_record."""
    shutil.copytree(ROOT / "tests" / "repository_to_record", folder, dirs_exist_ok=True)
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "results").mkdir()
    (folder / "results" / "README.md").write_text("What was computed.\n")
    (folder / "data" / "mine").mkdir()
    (folder / "data" / "mine" / "images.txt").write_text("images of mine\n")
    git("init", "--quiet", "--initial-branch", "main", folder=folder)
    git("add", "--all", folder=folder)
    git("add", "--force", "results/README.md", folder=folder)
    git("commit", "--quiet", "--message", "Begin", folder=folder)
    return folder


def recorded(folder: Path) -> Path:
    """Make the repository, and record the run `first` in it."""
    create(folder)
    ledger("record", "first", folder=folder)
    return folder
