"""Ctrl-C during a run: a sentence at once, no traceback, and the exit status of a program that Ctrl-C ended.

Snakefile asks for it as soon as it is read. `python workflow/stopping.py ARGUMENTS` is `snakemake ARGUMENTS`
with this from its first moment on, and leaves the sentence to the program that starts it.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of a program that Ctrl-C ended."""

KEPT = "stopping: what is finished is kept, and the same command goes on from there"

TWICE = 2
"""Seconds in which a second Ctrl-C is taken for the first one's: `timeout` and impatient people send two."""

_asked: list[float] = []
_said: list[bool] = []


def say() -> None:
    """Say once what becomes of the run, from within a signal's handler: past Python's streams, below ^C."""
    if _said:
        return
    _said.append(True)  # before the sentence, in which the next signal may arrive
    os.write(2, f"{os.linesep if os.isatty(2) else ''}{KEPT}\n".encode())


def heed(silent: bool = False) -> None:
    """Have Ctrl-C end this process by SystemExit; not where it is ignored, as in a shell's background.

    Args:
        silent: leave the sentence to the program that has started this one.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, partial(_stop, silent))


def asked() -> bool:
    """Tell whether Ctrl-C was pressed."""
    return bool(_asked)


def leave() -> None:
    """End this process where Ctrl-C was pressed.

    Raises:
        SystemExit: it was.
    """
    if _asked:
        raise SystemExit(INTERRUPTED)


def _stop(silent: bool, _: int, frame: FrameType | None) -> None:
    """Say what becomes of the run, and end it; nothing where that is under way."""
    if _asked and (time.monotonic() - _asked[-1] < TWICE or _is_cancelling(frame)):
        return
    _asked.append(time.monotonic())
    if not silent:
        say()
    # Whoever started this process may send it as well; Snakemake would then lock itself out.
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise SystemExit(INTERRUPTED)


def _is_cancelling(frame: FrameType | None) -> bool:
    """Tell whether Snakemake is waiting for its steps to end, or cancels a cluster's jobs."""
    while frame is not None:
        if frame.f_code.co_name == "cancel":
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    # By its other name, for Snakefile to find it as it stands here.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from workflow import stopping

    stopping.heed(silent=True)
    from snakemake.cli import main

    main()
