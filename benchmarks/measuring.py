"""Contenders in turn, A B A B: medians of CPU seconds, results compared before any time is taken."""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Row(NamedTuple):
    """A line of the table. Times are CPU seconds of the whole process, all threads together."""

    work: str
    peer: str
    peer_s: float | None
    ours_s: float | None
    target: str
    reached: str
    note: str = ""


ENOUGH = 6.0
"""Least CPU seconds of a race: short ones are run more often, as what disturbs them is as long as they."""


def race(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return each contender's median CPU seconds; they run in turn, after a run each that is not counted."""
    begin = time.process_time()
    for contender in contenders.values():
        contender()
    if rounds > 1:
        rounds = max(rounds, int(ENOUGH / (time.process_time() - begin)))
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            gc.collect()
            begin = time.process_time()
            contender()
            taken[name].append(time.process_time() - begin)
    return {name: statistics.median(times) for name, times in taken.items()}


def once(contender: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of one run, and its result."""
    begin = time.process_time()
    result = contender()
    return time.process_time() - begin, result


def spent() -> float:
    """Return the CPU seconds of all commands that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment() -> dict[str, str]:
    """Return what a process of its own needs to find the library and these modules, and stay on one core."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def high_water() -> float:
    """Return the most MiB that this process has held; getrusage would begin with what its parent held."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def agree(condition: object, what: str) -> None:
    """Stop where results differ: a wrong result has no speed."""
    if not bool(condition):
        raise SystemExit(f"benchmark stopped: {what} differ between the contenders")


def insert(page: Path, text: str, name: str = "table") -> None:
    """Put a text between a page's marks of a name, in place of what stands there."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise SystemExit(f"{page} has no line {begin.strip()}, behind which the text belongs")
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def ratio(peer: float, ours: float) -> str:
    """Return how many times faster ours is, as the table says it."""
    return f"{peer / ours:.3g}x"


def peak(call: str) -> float:
    """Return how many MiB a call in a fresh process takes above what it held before.

    `call` is Python code that defines `prepare()` and `work(prepared)`; `prepare` has it compiled.
    """
    code = (
        "import json\n"
        "from benchmarks.measuring import high_water\n"
        f"{call}\n"
        "prepared = prepare()\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"  # the high-water mark begins anew
        "before = high_water()\n"
        "work(prepared)\n"
        "print(json.dumps(high_water() - before))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = [
        "| work | peer | peer CPU s | ours CPU s | to reach | reached | note |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = ("" if each is None else f"{each:.3g}" for each in (row.peer_s, row.ours_s))
        lines.append(f"| {' | '.join((row.work, row.peer, *seconds, row.target, row.reached, row.note))} |")
    return "\n".join(lines)
