"""Lines that tell a person how far a long step is."""

from __future__ import annotations

import sys

from neuroseg.detector import processes


def say(line: str) -> None:
    """Write a line to the log, at once even if the log is a file; of several processes the first speaks."""
    if processes.rank() == 0:
        print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Return a time span as people say it: 12 s, 3 min 05 s, 2 h 10 min."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
