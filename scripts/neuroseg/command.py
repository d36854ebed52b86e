"""A typed function as a command: its docstring is the help, its keyword arguments are the flags."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

import tyro

from neuroseg.errors import DataError


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's flags; a DataError is printed without traceback, exit status 1."""
    flags = tyro.cli(wraps(main)(lambda **flags: flags))
    try:
        main(**flags)
    except DataError as error:
        for sentence in error.sentences:
            print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(1) from None
