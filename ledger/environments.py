"""The environment of a run that is reproduced: made from its own commit's pins, by its own commit's set-up.

It lies in .runs/.environments, under a name made of the commit's envs/, Python's version and the place: runs
with the same pins share it, and one whose folder was moved is made anew, for an environment's commands name
their folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ledger.commands import RunError, answer, git

FOLDER = ".runs/.environments"

LIST = """
import json, platform, re
from importlib.metadata import distributions
known = [each.metadata for each in distributions() if each.metadata.get("Name")]
named = {re.sub(r"[-_.]+", "-", each["Name"]).lower(): each.get("Version") for each in known}
print(json.dumps({"python": platform.python_version(), **named}))
"""
"""Run by an environment's own Python, without anything of this repository."""


def prepare(name: str, commit: str, tree: Path, recorded: Mapping[str, str], root: Path) -> Path:
    """Return the folder of a run's environment, which is made unless a run with the same pins has made it.

    Args:
        name: Of the run.
        commit: That records it.
        tree: Its worktree.
        recorded: Its results/environment.json.
        root: The repository.

    Raises:
        RunError: it cannot be made; nothing has been computed then.
    """
    by_hand = f"make one by hand and name it: make reproduce RUN={name} ARGS='--environment FOLDER'"
    if not (tree / "envs" / "install.py").is_file():
        raise RunError(
            f"run {name}: its commit has no envs/install.py to make its environment with; {by_hand}."
        )
    python = _python(name, recorded.get("python") or platform.python_version())
    sources = git("rev-parse", f"{commit}:envs", root=root)
    folder = (root / FOLDER).absolute()
    version = answer(python, "-c", "import platform; print(platform.python_version())", root=root)
    key = hashlib.sha256("\0".join([sources, version, str(folder)]).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    print(f"the environment of run {name}: {FOLDER}/{key}, from the pins of {commit[:12]}", flush=True)
    with locked(
        folder / f"{key}.lock", f"another call is making {FOLDER}/{key}; waiting for it", wait=True
    ) as held:
        command = [python, str(tree / "envs" / "install.py"), "--venv", str(folder / key)]
        status = subprocess.run(command, cwd=tree, env=variables(), pass_fds=(held,)).returncode
    if status:
        raise RunError(
            f"run {name}: its environment cannot be made, and nothing was computed; the reason stands above. "
            f"Mend that and try again, or {by_hand}."
        )
    return folder / key


def variables(environment: Path | None = None) -> dict[str, str]:
    """Return variables for a run's own processes: its environment's commands are found, none of this one's.

    What points Python, Git or DVC to another place is left out, so that the run's code is that of its
    worktree. So is PYTHONSAFEPATH, under which the steps of older commits do not find their library.
    """
    foreign = ("PYTHON", "GIT_", "DVC_", "VIRTUAL_ENV", "CONDA_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    ours = {Path(sys.executable).parent} if sys.prefix != sys.base_prefix else set()
    path = [folder for folder in kept.get("PATH", os.defpath).split(os.pathsep) if Path(folder) not in ours]
    if environment:
        path.insert(0, str(environment / "bin"))
    return kept | {"PATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1"}


def need_commands(commands: Mapping[str, str], environment: Path) -> None:
    """Raise a RunError unless an environment has the program that each stage's command begins with.

    Args:
        commands: By stage.
        environment: The folder.
    """
    path = variables(environment)["PATH"]
    for stage, command in commands.items():
        program = command.split()[0]
        if shutil.which(program, path=path) is None:
            raise RunError(
                f"stage {stage}: its command `{program}` is not in {environment}: the environment is not "
                "that of the run, or not whole; nothing was computed."
            )


def contents(environment: Path) -> dict[str, str]:
    """Return the version of Python and of every package in an environment."""
    python = environment / "bin" / "python"
    if not python.is_file():
        raise RunError(f"{environment}: there is no environment of Python, for it has no bin/python.")
    return json.loads(answer(str(python), "-I", "-c", LIST, root=environment))


@contextmanager
def locked(path: Path, refusal: str, wait: bool = False) -> Iterator[int]:
    """Hold a lock on a file; where another process holds it, wait or raise a RunError.

    It ends with this process, however that ends, and with the last process that was given the descriptor
    yielded: so commands that outlive a killed call keep another from computing beside them.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise RunError(refusal) from None
            print(refusal, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _python(name: str, version: str) -> str:
    """Return a Python of the minor version that a run was computed with."""
    minor = ".".join(version.split(".")[:2])
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = sys.executable if minor == here else shutil.which(f"python{minor}", path=variables()["PATH"])
    if found is None:
        raise RunError(
            f"run {name}: it was computed by Python {version}, and there is no python{minor} here: install "
            "it, and try again; nothing was computed."
        )
    return found
