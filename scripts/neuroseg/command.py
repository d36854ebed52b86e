"""A typed function as a command: its docstring is the help, its keyword arguments are the flags."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable
from functools import wraps

import tyro

from neuroseg.errors import DataError


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's flags.

    A DataError is printed without traceback, exit status 1, and so is a full disk; Ctrl-C ends in a sentence,
    exit status 130.
    """
    flags = tyro.cli(wraps(main)(lambda **flags: flags))
    try:
        main(**flags)
    except DataError as error:
        for sentence in error.sentences:
            print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print("error: the disk is full, or your share of it; make room and run this again", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
