"""Snakemake in a copy of the repository, as the tests of the chain call it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "snakemake", "--nocolor")


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which rules find this Python, and each keeps to one thread."""
    return {**base, "PATH": f"{Path(sys.executable).parent}:{base['PATH']}", "OMP_NUM_THREADS": "1"}


def snakemake(
    *arguments: str, folder: Path = ROOT, check: bool = True, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess:
    command = [*COMMAND, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(env), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    return done


def copy(folder: Path) -> Path:
    """A clone's files without its history: what Git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "results/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder
