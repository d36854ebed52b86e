"""What a run's figures depend on beyond code, data and parameters: versions of packages, and the machine."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

from ledger.commands import RunError

FILE = "results/environment.json"
"""Where a recorded run keeps them."""

GPUS = Path("/proc/driver/nvidia/gpus")

VECTORS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""Instructions, as /proc/cpuinfo names them, by which libraries choose how to compute."""


def now() -> dict[str, str]:
    """Return names and versions: of Python, the processor, the GPUs, and every package installed.

    Raises:
        RunError: a package does not say its name and version.
    """
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
    found, nameless = {}, []
    for each in distributions():
        told = {key: each.metadata[key] for key in ("Name", "Version") if key in each.metadata}
        if len(told) == 2 and all(told.values()):
            found[re.sub(r"[-_.]+", "-", told["Name"]).lower()] = told["Version"]
        else:
            nameless.append(str(getattr(each, "_path", each.locate_file(""))))
    if nameless:
        raise RunError(
            f"{', '.join(sorted(nameless))}: a package without name and version, as a killed pip leaves it, "
            "so that a record could not say with what the run was computed; install the package again, or "
            "remove that folder if it belongs to none, and record again."
        )
    return found


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
