"""Commands that take minutes: run with a progress line, output kept in a log, failure told in a sentence.

Of the 2,600 lines that pip and the compiler print, a person sees about twenty. Libraries of progress bars are
not installed yet when this runs, and know nothing of how far another program is.
"""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# What the end of a log tells -> what to do about it. The first that matches is told.
REMEDIES = {
    r"No space left on device|Disk quota exceeded": (
        "the disk is full: free some space (`df -h` tells where; pip unpacks under TMPDIR) and call it again"
    ),
    r"Killed signal terminated program|internal compiler error: Killed"
    r"|std::bad_alloc|virtual memory exhausted": (
        "the compiler ran out of memory: set MAX_JOBS=1, or close other programs, and call it again"
    ),
    r"CERTIFICATE_VERIFY_FAILED|SSLError": (
        "pip does not trust the package index's certificate: name your site's with PIP_CERT"
    ),
    r"NewConnectionError|NameResolutionError|Network is unreachable|ProxyError|ConnectTimeout|ReadTimeout": (
        "pip reached no package index: "
        "check the network, or point pip to an index of yours with its PIP_ variables"
    ),
    r"No matching distribution found for (\S+)": (
        "the package index has no {0} for this Python and platform: "
        "use Python 3.11 on Linux, or an index that has it"
    ),
    r"ResolutionImpossible": "two pins contradict each other: the log names them; correct envs/pins.txt",
    r"Permission denied": "a folder cannot be written: the log names it; correct its owner",
}


class SetupError(Exception):
    """A sentence that says what went wrong, where, and how to mend it."""


def run(
    title: str,
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    tell: Callable[[str], str] = lambda tail: "",
    every: float = 30.0,
) -> None:
    """Run `command`, its output appended to `log`, and say on stdout how long it has run and how far it is.

    Args:
        title: What is being done, in a few words.
        command: The program and its arguments.
        log: The file that its output is added to.
        env: Its environment; None for this process's.
        tell: Takes the last 4 KiB that the command wrote and gives a few words on how far it is.
        every: Seconds between lines where stdout is no terminal.

    Raises:
        SetupError: The command failed; the sentence holds a remedy where the log's end suggests one.
    """
    began, cpu_began, said = time.monotonic(), _children_cpu(), 0.0
    terminal = sys.stdout.isatty()
    if not terminal:
        print(f"{title} …", flush=True)
    with log.open("a+", encoding="utf-8", errors="replace") as output:
        print(f"\n$ {shlex.join(command)}", file=output, flush=True)
        start = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                seconds = time.monotonic() - began
                if terminal or seconds - said >= every:
                    said = seconds
                    line = f"  {title}: {seconds:.0f} s {tell(_tail(log, start))}"[:100]
                    print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    seconds, cpu = time.monotonic() - began, _children_cpu() - cpu_began
    mark = "\r\033[K" if terminal else ""
    if process.returncode:
        print(f"{mark}{title}: failed after {seconds:.0f} s", flush=True)
        raise SetupError(failure(title, process.returncode, _tail(log, start, 200_000), log))
    print(f"{mark}{title}: done in {seconds:.0f} s ({cpu:.0f} s of CPU)", flush=True)


def failure(title: str, status: int, output: str, log: Path) -> str:
    """The sentence on a failure: a remedy if `output` suggests one, else its last errors; the log's place."""
    if status in (-9, 137):
        output += "\nKilled signal terminated program"
    for pattern, remedy in REMEDIES.items():
        if found := re.search(pattern, output):
            return f"{title} failed: {remedy.format(*found.groups())}. All of its output: {log}"
    lines = [
        line for line in output.splitlines() if line.strip() and not line.startswith("WARNING: Location")
    ]
    errors = [line for line in lines if re.search(r"\berror\b", line, flags=re.IGNORECASE)]
    how = f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"
    return "\n".join([f"{title} {how}; all of its output: {log}; its last lines:", *(errors or lines)[-8:]])


def _tail(log: Path, start: int, size: int = 4096) -> str:
    with log.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(start, end - size))
        return file.read().decode("utf-8", errors="replace")


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
