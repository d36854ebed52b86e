"""Snakemake in a copy of the repository, as the tests of the chain call it."""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "snakemake", "--nocolor")


def rules() -> dict[str, str]:
    """The workflow's rules and checkpoints: by name, what stands below it in its file."""
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    return dict(re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which rules find this Python, and each keeps to one thread."""
    return {**base, "PATH": f"{Path(sys.executable).parent}:{base['PATH']}", "OMP_NUM_THREADS": "1"}


def snakemake(
    *arguments: str, folder: Path = ROOT, check: bool = True, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess:
    command = [*COMMAND, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(env), capture_output=True, text=True, check=False
    )
    if folder != ROOT:
        keep(folder)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    return done


def copy(folder: Path) -> Path:
    """A clone's files without its history, as Git knows or would add them, and what others have compiled."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "results/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # With its date, by which Python knows what it has compiled.
            shutil.copy2(ROOT / name, folder / name)
    lend(folder)
    return folder


# -------------------------------------------------------------------------------------- compiled once for all


def lend(folder: Path) -> None:
    """Put into a clone what has been compiled in others: numba takes a minute for the loops of a run."""
    _bring(_compiled(), folder / "scripts")


def keep(folder: Path) -> None:
    """Keep what a clone has compiled, for others."""
    _bring(folder / "scripts", _compiled())


@functools.cache
def _compiled() -> Path:
    """Where it is kept, for these very scripts: numba misses an edit of what a loop calls in another file."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "scripts").rglob("*.py")):
        digest.update(f"{file}\0".encode() + file.read_bytes())
    return ROOT / ".pytest_cache" / "compiled" / digest.hexdigest()[:16]


def _bring(source: Path, target: Path) -> None:
    """Copy compiled files, while no other test does."""
    _compiled().mkdir(parents=True, exist_ok=True)
    with (_compiled() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in source.rglob("__pycache__/*"):
            if file.suffix in (".pyc", ".nbi", ".nbc"):  # no file that is being written
                place = target / file.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
