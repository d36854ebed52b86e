"""Git, DVC and Snakemake as the ledger calls them, and how it writes its files."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

TARGETS = ("all", "all_simulate")
"""What a run computes: everything that dvc.yaml lists, and so the demo's images too where they are not its dataset."""


class RunError(Exception):
    """What keeps a run from being recorded, synchronised or reproduced: a sentence for each thing that is wrong."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def run(*command: str, root: Path) -> None:
    """Run a command, its output shown.

    Raises:
        RunError: it failed.
    """
    print(f"$ {shlex.join(command)}", flush=True)
    status = subprocess.run(command, cwd=root, check=False).returncode
    if status:
        raise RunError(f"`{shlex.join(command)}` failed with exit status {status}; what it said stands above.")


def git(*arguments: str, root: Path) -> str:
    """Return what git prints, without the last line's end."""
    return answer("git", *arguments, root=root)


def dvc(*arguments: str, root: Path) -> str:
    """Return what DVC prints, without the last line's end."""
    return answer("dvc", *arguments, root=root)


def unrecorded(root: Path) -> list[str]:
    """Return a sentence for everything of the chain that is not as dvc.lock says; none when all is recorded."""
    status = json.loads(dvc("status", "--json", root=root) or "{}")
    found = [sentence for stage, entries in status.items() for sentence in _sentences(stage, entries)]
    if not found:
        return []
    changes = json.loads(dvc("diff", "--json", root=root) or "{}")
    files = [
        f"{kind}: {change['path'] if isinstance(change['path'], str) else change['path']['new']}"
        for kind in ("modified", "deleted", "added", "renamed", "not in cache")
        for change in changes.get(kind, [])
        if not str(change["path"]).endswith("/")  # of a folder, the files say more
    ]
    return found + files


def strays(folder: Path, root: Path) -> list[str]:
    """Return the files in a folder of results that this configuration does not make, such as an old ensemble's."""
    made = {line.split("\t")[0] for line in answer("snakemake", "--summary", "--", *TARGETS, root=root).splitlines()}
    found = (path.relative_to(root).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in found if name not in made and not name.endswith("/.gitignore")]  # DVC's own


def _sentences(stage: str, entries: list) -> list[str]:
    sentences = []
    for entry in entries:
        if isinstance(entry, str):  # "changed command", "always changed"
            sentences.append(f"stage {stage}: {entry}")
            continue
        for kind, paths in entry.items():
            sentences += [f"stage {stage}: {kind}: {path} ({_how(state)})" for path, state in paths.items()]
    return sentences


def _how(state: object) -> str:
    return ", ".join(map(str, state)) if isinstance(state, dict) else str(state)


def write(path: Path, text: str) -> None:
    """Put a text in a file's place, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def answer(*command: str, root: Path) -> str:
    """Return what a command prints, without the last line's end.

    Raises:
        RunError: it failed.
    """
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"`{shlex.join(command)}` failed: {' '.join(f'{done.stderr} {done.stdout}'.split())}")
    return done.stdout.rstrip("\n")
