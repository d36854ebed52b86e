"""A typed function as a command: its docstring is the help, its keyword arguments are the flags."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

import tyro

from neuroseg import tables


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's flags; a DataError ends in its sentences and exit status 1, no traceback."""
    flags = tyro.cli(wraps(main)(lambda **flags: flags))
    try:
        main(**flags)
    except tables.DataError as error:
        for sentence in error.sentences:
            print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(1) from None
