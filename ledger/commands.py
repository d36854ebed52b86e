"""Git, DVC and Snakemake as the ledger calls them, and how it writes its files."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

TARGETS = ("all", "all_simulate")
"""What a run computes: all that dvc.yaml lists, so the demo's images too where they are not its dataset."""

LAST = 12
"""Lines of a failed command that are repeated below what it printed, where they are seen."""


class RunError(Exception):
    """What keeps a run from being recorded, synchronised or reproduced: a sentence for each thing wrong."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class InterruptionError(RunError):
    """Ctrl-C, as what was under way says it."""


def run(*command: str, root: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command, its output shown. An interruption reaches it, too, and is passed on when it has ended.

    Raises:
        RunError: it failed; its last lines are repeated.
    """
    print(f"$ {shlex.join(command)}", flush=True)
    last: deque[str] = deque(maxlen=LAST)
    environment, pipe, both = _environment(env), subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=pipe, stderr=both, text=True, errors="replace"
    ) as process:
        try:
            _show(process, last)
        except KeyboardInterrupt:  # the command puts its things in order
            _show(process, last)
            process.wait()
            raise
    if process.returncode:
        raise RunError(failure(command, process.returncode, list(last)))


def _show(process: subprocess.Popen[str], last: deque[str]) -> None:
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if line.strip():
            last.append(line.rstrip())


def answer(*command: str, root: Path, env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Return what a command prints, without the last line's end; bytes that are not UTF-8 are escaped.

    Args:
        command: Its words.
        root: The folder to call it in.
        env: Its environment; None for this process's.
        text: What it reads.

    Raises:
        RunError: it failed; its last lines are told.
    """
    done = subprocess.run(
        command,
        cwd=root,
        env=_environment(env),
        input=text or "",
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    if done.returncode:
        raise RunError(failure(command, done.returncode, f"{done.stdout}\n{done.stderr}".splitlines()))
    return done.stdout.rstrip("\n")


def git(*arguments: str, root: Path, env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Return what git prints, without the last line's end."""
    return answer("git", *arguments, root=root, env=env, text=text)


def dvc(*arguments: str, root: Path, env: Mapping[str, str] | None = None) -> str:
    """Return what DVC prints, without the last line's end."""
    return answer("dvc", *arguments, root=root, env=env)


def write(path: Path, content: str | bytes) -> None:
    """Put a content in a file's place, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def failure(command: Sequence[str], status: int, lines: Sequence[str]) -> str:
    """Return the sentence about a command that failed, with the last of the lines that it printed."""
    last = [f"\n  {line.rstrip()}" for line in lines if line.strip()][-LAST:]
    said = "; it said:" if last else "."
    return f"`{shlex.join(command)}` failed with exit status {status}{said}{''.join(last)}"


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return a command's environment: no editor is waited for, and Python finds a script's own folder."""
    base = os.environ if env is None else env
    return {name: value for name, value in base.items() if name != "PYTHONSAFEPATH"} | {"GIT_EDITOR": "true"}
