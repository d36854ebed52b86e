"""mmcv's compiled operators as a wheel: in the user's cache, or built once for this PyTorch, Python and mmcv.

The registry carries mmcv's sources only. Its C++ files spend nearly all of their compile time on PyTorch's
headers, so they are joined into a few units before mmcv's own setup.py sees them: about 150 CPU seconds in
place of about 1,050. No source is edited, and if the joined files do not compile, the stock ones are built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from machine import Target, available_gib, cores, describe, jobs, preflight
from progress import SetupError, run

# These define names that others define too, and are compiled by themselves.
ALONE = frozenset({"psamask.cpp", "roi_align.cpp", "roi_align_rotated.cpp", "rotated_feature_align.cpp"})

# Imports every operator, and asks one of them a question.
CHECK = """
from mmcv.ops import nms
import torch
boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 4.], [8., 8., 9., 9.]])
assert nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)[1].tolist() == [1, 2]
"""


def wheel(python: Path, name: str, version: str, log: Path) -> Path:
    """The wheel whose operators import under `python`, from the cache or built now.

    Args:
        python: The environment's Python; PyTorch, mmengine and the build's tools are installed in it.
        name: The registry's name of mmcv.
        version: Its version.
        log: The file that the build's output is added to.

    Raises:
        SetupError: Something that the build needs is missing, or neither the joined nor the stock sources
            compile.
    """
    target = describe(python)
    folder = cache() / f"{name}-{version}-{target.key}"
    for kept in sorted(folder.glob("*.whl")):
        if works(python, kept):
            print(f"mmcv's operators: built before, {kept}", flush=True)
            return kept
        print(f"mmcv's operators: {kept} does not import here and is built anew", flush=True)
    preflight(target)
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix="neuroseg-operators-") as scratch:
        kept = keep(build(python, f"{name}=={version}", target, Path(scratch), log), folder)
    print(f"mmcv's operators: kept for other environments, {kept}", flush=True)
    return kept


def build(python: Path, requirement: str, target: Target, scratch: Path, log: Path) -> Path:
    """A wheel that works, in `scratch`: from joined sources, or from the stock ones if those fail."""
    env = environment(python, target)
    download = [python, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "--no-binary=:all:"]
    run("mmcv's sources", [*map(str, download), "-d", str(scratch / "sdist"), requirement], log, env=env)
    archive = next((scratch / "sdist").glob("*.tar.gz"))
    try:
        return attempt(python, unpack(archive, scratch / "joined", join), target, log, env)
    except SetupError as error:
        print(
            f"{error}\nBuilding mmcv's files one by one instead, which takes about six times as long.",
            flush=True,
        )
    return attempt(python, unpack(archive, scratch / "stock"), target, log, env)


def unpack(archive: Path, folder: Path, arrange: Callable[[Path], None] = lambda root: None) -> Path:
    """Unpack the sources under `folder` and arrange them; gives the folder that holds setup.py."""
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # not in Debian's 3.11.2
        tar.extractall(folder)
    root = next(folder.glob("*/setup.py")).parent
    arrange(root)
    return root


def join(root: Path) -> None:
    """Fold C++ files into units that include them; setup.py globs the same folders and finds the units."""
    sources = root / "mmcv" / "ops" / "csrc" / "pytorch"
    for folder, alone in ((sources, frozenset()), (sources / "cpu", ALONE)):
        parts = sorted(path for path in folder.glob("*.cpp") if path.name not in alone)
        (folder / "parts").mkdir()
        for path in parts:
            path.rename(folder / "parts" / path.name)
        (folder / "unit.cpp").write_text("".join(f'#include "parts/{path.name}"\n' for path in parts))


def environment(python: Path, target: Target) -> dict[str, str]:
    """The variables that the build heeds."""
    env = dict(os.environ)
    # Any CFLAGS replace Python's own, and with them the optimisation: so it stands here.
    env |= {name: f"-O2 -g0 -DNDEBUG -fwrapv {env.get(name, '')}".strip() for name in ("CFLAGS", "CXXFLAGS")}
    env["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', '')}"  # ninja lies there
    env.setdefault("MAX_JOBS", str(jobs(cores(), available_gib())))
    if target.device == "cpu":
        return env | {"FORCE_CUDA": "0", "CUDA_VISIBLE_DEVICES": ""}
    # pip's PyTorch brings headers of CUDA's libraries that a bare toolkit lacks
    headers = [
        env.get("CPATH", ""),
        *sorted(str(path) for path in (target.packages / "nvidia").glob("*/include")),
    ]
    return env | {
        "FORCE_CUDA": "1",
        "TORCH_CUDA_ARCH_LIST": target.architectures,
        "CPATH": os.pathsep.join(filter(None, headers)),
    }


def attempt(python: Path, root: Path, target: Target, log: Path, env: dict[str, str]) -> Path:
    """Compile the sources under `root` by their own setup.py; gives a wheel that works.

    Raises:
        SetupError: They do not compile, or what comes out does not import.
    """
    command = [
        python,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        root / "made",
        root,
    ]
    title = f"mmcv's operators ({target.device}, {env['MAX_JOBS']} compilers at a time)"
    run(title, [str(word) for word in command], log, env=env, tell=compiled)
    made = next((root / "made").glob("*.whl"))
    if not works(python, made):
        raise SetupError(f"mmcv's operators compile but do not import; the build's output: {log}")
    return made


def compiled(tail: str) -> str:
    """How many files are compiled, from ninja's last line such as `[3/6] c++ …`."""
    counts = re.findall(r"^\s*\[(\d+)/(\d+)\]", tail, flags=re.MULTILINE)
    return f"{counts[-1][0]} of {counts[-1][1]} files compiled" if counts else ""


def works(python: Path, path: Path) -> bool:
    """True if the wheel's operators import under `python` and one of them answers rightly."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (OSError, zipfile.BadZipFile):
            return False
        env = os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        return subprocess.run([python, "-c", CHECK], env=env, capture_output=True, cwd=folder).returncode == 0


def keep(path: Path, folder: Path) -> Path:
    """Put a wheel into the cache's folder in one step, so that nobody meets half of it; gives its place."""
    part = folder / f".{path.name}.{os.getpid()}"
    shutil.copyfile(path, part)
    return part.replace(folder / path.name)


def make_folder(folder: Path) -> None:
    """Make the cache's folder, before minutes go into what it is to keep."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be made ({error.strerror}): let XDG_CACHE_HOME name another place"
        ) from None


def cache() -> Path:
    """Where wheels are kept between environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neuroseg" / "wheels"
