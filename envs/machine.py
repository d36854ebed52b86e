"""What a wheel of compiled operators depends on: PyTorch, Python, the GPU and its compiler, cores, memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from progress import SetupError

GIB_PER_COMPILER = 3.0  # the largest joined unit takes 2.3 GiB, a CUDA file up to 3.0

# Run by the environment's own Python, which has PyTorch.
DESCRIBE = """
import json, os, subprocess, sys, sysconfig, torch
from torch.utils.cpp_extension import CUDA_HOME
nvcc = os.path.join(CUDA_HOME, "bin", "nvcc") if CUDA_HOME else None
found = nvcc and os.path.exists(nvcc)
print(json.dumps({
    "torch": torch.__version__,
    "python": f"cp{sys.version_info[0]}{sys.version_info[1]}",
    "platform": sysconfig.get_platform(),
    "headers": sysconfig.get_path("include"),
    "packages": sysconfig.get_path("purelib"),
    "cuda": torch.version.cuda,
    "gpus": sorted({"%d.%d" % torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}),
    "nvcc": subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout if found else None,
}))
"""


class Target(NamedTuple):
    """What a wheel is built for."""

    torch: str  # with its local part, such as 2.13.0+cpu
    python: str  # such as cp311
    platform: str
    device: str  # cpu, or such as cuda13.0
    architectures: str  # the GPUs' compute capabilities, such as 8.0;9.0; empty for cpu
    headers: Path  # the folder of Python.h
    packages: Path  # site-packages

    @property
    def key(self) -> str:
        """A folder's name: wheels of different keys cannot stand in for one another."""
        device = f"{self.device}-sm{self.architectures}" if self.architectures else self.device
        return re.sub(r"[^\w.+-]+", "_", f"torch-{self.torch}-{self.python}-{self.platform}-{device}")


def describe(python: Path) -> Target:
    """Ask the environment's Python for the PyTorch it holds, and choose between a CPU and a CUDA build.

    Raises:
        SetupError: PyTorch does not import, or a CUDA build is asked for without saying for which GPU.
    """
    asked = subprocess.run([python, "-W", "ignore", "-c", DESCRIBE], capture_output=True, text=True)
    if asked.returncode:
        raise SetupError(
            f"PyTorch does not import in {python}; `make clean-venv` and begin anew:\n{asked.stderr.strip()}"
        )
    facts = json.loads(asked.stdout.splitlines()[-1])
    device, architectures = choose_device(facts["cuda"], facts["gpus"], facts["nvcc"], os.environ)
    paths = {"headers": Path(facts["headers"]), "packages": Path(facts["packages"])}
    return Target(facts["torch"], facts["python"], facts["platform"], device, architectures, **paths)


def choose_device(
    cuda: str | None, gpus: list[str], nvcc: str | None, environ: Mapping[str, str]
) -> tuple[str, str]:
    """The device to build for and the compute capabilities; says on stdout why a GPU here cannot be used.

    Args:
        cuda: The CUDA version that PyTorch was built with, None for a CPU build.
        gpus: The compute capabilities of the GPUs that PyTorch sees.
        nvcc: What `nvcc --version` prints, None without a compiler.
        environ: Heeded are FORCE_CUDA=1 (a login node without GPU) and TORCH_CUDA_ARCH_LIST.
    """
    forced = environ.get("FORCE_CUDA") == "1"
    if cuda is None or not (gpus or forced):
        return "cpu", ""
    release = re.search(r"release (\d+)", nvcc or "")
    if not release or release[1] != cuda.split(".")[0]:
        found = f"nvcc is of CUDA {release[1]}" if release else "there is no nvcc"
        print(
            f"warning: PyTorch uses CUDA {cuda} but {found}, so mmcv's operators are built "
            "for the CPU and detectors will not run on the GPU. To have them there, "
            f"install the toolkit of CUDA {cuda}, let CUDA_HOME name it, and call `make clean-venv setup`.",
            flush=True,
        )
        return "cpu", ""
    architectures = environ.get("TORCH_CUDA_ARCH_LIST") or ";".join(gpus)
    if not architectures:
        raise SetupError(
            "FORCE_CUDA=1 without a GPU: name the compute capabilities, such as TORCH_CUDA_ARCH_LIST=8.0;9.0"
        )
    return f"cuda{cuda}", architectures


def preflight(target: Target) -> None:
    """Look for what a build needs, to say it in a sentence rather than in a compiler's words."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(compiler) is None:
        raise SetupError(
            f"No C++ compiler ({compiler}) was found, and mmcv's operators are built here: install one "
            "(Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++), or name yours in CXX"
        )
    if not (target.headers / "Python.h").is_file():
        raise SetupError(
            f"Python.h is missing from {target.headers}, and mmcv's operators are built here: install "
            "Python's headers (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel)"
        )
    scratch = Path(tempfile.gettempdir())
    need_room(scratch, 1, "build mmcv's operators", "let TMPDIR name another folder")


def need_room(folder: Path, gib: float, purpose: str, remedy: str) -> None:
    """Raise a SetupError unless the disk of `folder` has `gib` GiB free."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < gib:
        raise SetupError(
            f"{folder} has {free:.1f} GiB free, {gib:g} are needed to {purpose}: free some, or {remedy}"
        )


def jobs(n_cores: int, gib: float) -> int:
    """How many compilers may run at a time."""
    return max(1, min(n_cores, int(gib / GIB_PER_COMPILER)))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_gib(
    files: Iterable[Path] = (Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")),
) -> float:
    """Memory that may be taken: what the system can spare, at most what a container allows; 8 if unknown."""
    found = []
    for path in files:
        text = path.read_text() if path.is_file() else ""
        if line := re.search(r"MemAvailable:\s+(\d+) kB", text):
            found.append(int(line[1]) / 2**20)
        elif text.strip().isdigit():
            found.append(int(text) / 2**30)
    return min(found, default=8.0)
