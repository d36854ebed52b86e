"""Make `.venv`: a Python environment with everything in requirements.toml at the versions in pins.txt.

Needs the standard library only: a bare machine has Python, not uv or pixi. uv installed the packages in
32 CPU s where pip took 55, of the 145 that all takes; the operators' build, most of the rest, is the same.
A finished environment carries a stamp of what it was made from, so a second call ends at once, and a change
of the pins updates what is there. pip is left as the user configured it: where the package index offers
PyTorch's CUDA build and the CPU build is wanted, point pip to that with your own PIP_ variables.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import operators
from machine import need_room
from progress import SetupError, run

HERE = Path(__file__).resolve().parent
SUPPORTED = ((3, 11), (3, 12))
CHECK = "import mmdet.apis, mmcv.ops, snakemake, dvc"


def main() -> None:
    """Bring the environment up to date; a failure ends in a sentence and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=HERE.parent / ".venv", help="the environment's folder")
    venv = parser.parse_args().venv.absolute()
    if is_ready(venv):
        return
    try:
        install(venv)
    except SetupError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: call it again to go on")


def install(venv: Path) -> None:
    """Make or update the environment in `venv`."""
    began = time.monotonic()
    stamp(venv).unlink(missing_ok=True)
    create(venv)
    python, log = venv / "bin" / "python", venv / "setup.log"
    requirements, pinned = read_requirements(), read_pins()
    alone = requirements["without_dependencies"]
    names = sorted({name for group in requirements["groups"].values() for name in group})

    def pip(title: str, *arguments: str) -> None:
        command = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
        run(title, [*command, "-c", str(HERE / "pins.txt"), *arguments], log, tell=last_step)

    pip("pip itself", "pip")
    pip(f"{len(names)} packages and what they need", "--build-constraint", str(HERE / "pins.txt"), *names)
    # The build must see the setuptools and the PyTorch just installed, not fresh ones of its own.
    exact = [f"{name}=={pinned[name]}" for group in ("workflow", "mmdet") for name in alone[group]]
    pip("OpenMMLab and the Slurm plugin", "--no-deps", "--no-build-isolation", *exact)
    for name in alone["operators"]:
        wheel = operators.wheel(python, name, pinned[name], log)
        # Forced, for another PyTorch means another wheel of the same version.
        pip("installing the operators", "--no-deps", "--force-reinstall", str(wheel))
    run("check", [str(python), "-W", "ignore", "-c", CHECK], log)
    stamp(venv).write_text(fingerprint(venv) + "\n")
    seconds = time.monotonic() - began
    print(f"{venv} is ready after {seconds:.0f} s; what pip and the compiler said: {log}", flush=True)


def create(venv: Path) -> None:
    """Make the bare environment, unless one with a supported Python is there (it is then updated).

    Raises:
        SetupError: No supported Python runs this, or it cannot make environments, or the disk is full.
    """
    need_room(existing(venv), 3, "install the packages", "put the repository on another disk")
    found = python_version(venv / "bin" / "python")
    if found in SUPPORTED:
        print(f"Updating {venv} (Python {found[0]}.{found[1]})", flush=True)
        return
    if sys.version_info[:2] not in SUPPORTED:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise SetupError(
            f"Python {wanted} is needed, this is {sys.version.split()[0]}: `make PYTHON=python3.11 setup`"
        )
    print(f"Setting up {venv} with Python {sys.version.split()[0]}; this is done once", flush=True)
    # Started from inside an environment, go to the Python that it was made of.
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter = str(base) if sys.prefix != sys.base_prefix and base.is_file() else sys.executable
    made = subprocess.run([interpreter, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(
            f"{interpreter} cannot make an environment in {venv} "
            f"(Debian, Ubuntu: apt install python3-venv):\n{(made.stdout + made.stderr).strip()}"
        )


def python_version(python: Path) -> tuple[int, ...] | None:
    """The major and minor version of an environment's Python; None if it is not there or does not run."""
    ask = "import pip, sys; print(*sys.version_info[:2])"
    try:
        asked = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    except OSError:
        return None
    return tuple(map(int, asked.stdout.split())) if asked.returncode == 0 else None


def existing(folder: Path) -> Path:
    """The folder or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def is_ready(venv: Path) -> bool:
    """True if the environment is finished and was made from these very files, in this place."""
    return stamp(venv).is_file() and stamp(venv).read_text().strip() == fingerprint(venv)


def stamp(venv: Path) -> Path:
    """The file that a finished environment carries."""
    return venv / ".neuroseg"


def fingerprint(venv: Path) -> str:
    """A hash of what an environment is made from and its place, which its commands name: it cannot move."""
    sources = ("requirements.toml", "pins.txt", "install.py", "operators.py", "machine.py")
    parts = [str(venv).encode(), *((HERE / name).read_bytes() for name in sources)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read_requirements() -> dict[str, dict]:
    """The contents of requirements.toml."""
    return tomllib.loads((HERE / "requirements.toml").read_text(encoding="utf-8"))


def read_pins() -> dict[str, str]:
    """The version of every package, by its normalised name (lower case, hyphens)."""
    lines = (HERE / "pins.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def last_step(tail: str) -> str:
    """What pip is doing, from the last line in which it says so."""
    verbs = "Collecting|Downloading|Building|Installing|Processing"
    steps = re.findall(rf"^\s*((?:{verbs}) .*)$", tail, flags=re.MULTILINE)
    return steps[-1].replace("Processing ", "").rpartition("/")[2] if steps else ""


if __name__ == "__main__":
    main()
