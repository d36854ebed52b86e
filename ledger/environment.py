"""What a run's figures depend on beyond code, data and parameters: versions of packages, and the machine."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

FILE = "results/environment.json"
"""Where a recorded run keeps them."""

GPUS = Path("/proc/driver/nvidia/gpus")

VECTORS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""Instructions, as /proc/cpuinfo names them, by which libraries choose how to compute."""


def now() -> dict[str, str]:
    """Return names and versions: of Python, the processor, the GPUs, and every package installed."""
    return {"python": platform.python_version(), **machine(), **dict(sorted(_packages().items()))}


def machine() -> dict[str, str]:
    """Return the names of the processor and of the GPUs, and by which instructions the processor computes.

    A virtual machine may hide the processor's model behind a name such as AMD EPYC. PyTorch and NumPy choose
    their loops by the instructions that there are, and the last bits of what these compute differ.
    """
    gpus = ", ".join(sorted(map(_gpu, GPUS.glob("*/information")))) or "none"
    return {"processor": _processor(), "instructions": _instructions(), "gpus": gpus}


def text() -> str:
    """Return them as JSON."""
    return json.dumps(now(), indent=2) + "\n"


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what is other than before, as 'name: before → after'; runs recorded early lack instructions."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return [
        f"{name}: {before.get(name, 'absent')} → {after.get(name, 'absent')}"
        for name in names
        if name != "instructions" or name in before
    ]


def _packages() -> dict[str, str]:
    return {re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version for each in distributions()}


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _instructions() -> str:
    found = re.search(r"^flags\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    there = set(found[1].split()) if found else set()
    return " ".join(name for name in VECTORS if name in there) or platform.machine()


def _gpu(path: Path) -> str:
    found = re.search(r"^Model:\s*(.+)$", _read(path), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
