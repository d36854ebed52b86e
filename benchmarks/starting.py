"""What starting costs: every script's help, and a change of one threshold."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import chain
from benchmarks.measuring import ROOT, Row, spent


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of starting."""
    times = {}
    for script in sorted((ROOT / "scripts").glob("*.py")):
        command = [sys.executable, str(script), "--help"]
        times[script.stem] = statistics.median(children(command) for _ in range(rounds))
    slowest = max(times, key=times.get)
    note = ", ".join(f"{name} {seconds:.2f}" for name, seconds in times.items())
    yield Row(
        "--help of every script",
        "",
        None,
        times[slowest],
        "<= 1 s",
        f"{times[slowest]:.2f} s ({slowest})",
        note,
    )
    seconds = chain.rescored(images)
    note = "one `snakemake` call on a copy of the repository; it reran segment and evaluate alone"
    yield Row(
        f"one threshold to the score of {images} images",
        "",
        None,
        seconds,
        "<= 15 s",
        f"{seconds:.1f} s",
        note,
    )


def children(command: list[str]) -> float:
    """Return the CPU seconds of a command."""
    before = spent()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return spent() - before
