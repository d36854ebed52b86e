"""What a run's figures depend on beyond code, data and parameters: versions of packages, and the machine."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

from workflow import commands

FILE = "results/environment.json"
"""Where a recorded run keeps them."""

GPUS = Path("/proc/driver/nvidia/gpus")


def now() -> dict[str, str]:
    """Return names and versions: of Python, the processor, the GPUs, and every package installed."""
    return {
        "python": platform.python_version(),
        "processor": _processor(),
        "gpus": ", ".join(sorted(map(_gpu, GPUS.glob("*/information")))) or "none",
        **dict(sorted(_packages().items())),
    }


def write(path: Path) -> None:
    """Write them as JSON."""
    commands.write(path, json.dumps(now(), indent=2) + "\n")


def changes(before: dict[str, str]) -> list[str]:
    """Return what is other than before, as 'name: before → now'."""
    here = now()
    return [
        f"{name}: {before.get(name, 'absent')} → {here.get(name, 'absent')}"
        for name in sorted({*before, *here})
        if before.get(name) != here.get(name)
    ]


def _packages() -> dict[str, str]:
    return {re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version for each in distributions()}


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _gpu(path: Path) -> str:
    found = re.search(r"^Model:\s*(.+)$", _read(path), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
