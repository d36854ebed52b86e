"""Neuronal-cell instance segmentation: pure functions on tables and arrays, one idea a module.

`from neuroseg import metrics` does not run `metrics` yet; the first thing asked of it does. So a script's `--help`, and
the refusal of a mistyped flag, wait for no library.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType

ROOMS = (
    "culture",
    "detector",
    "figures",
    "folds",
    "fusion",
    "metrics",
    "morphology",
    "quality",
    "readers",
    "segmentation",
    "submission",
    "tables",
    "thresholds",
)
"""What the steps walk into. `rle` is not among them: threads may be the first to use it, and Python before 3.11.9 would
show them a lazy module half run (python/cpython#114763)."""


def __getattr__(name: str) -> ModuleType:
    """Return a room that is not imported yet, to be run when it is first used (PEP 562)."""
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    spec = find_spec(f"{__name__}.{name}")
    spec.loader = LazyLoader(spec.loader)
    room = module_from_spec(spec)
    sys.modules[spec.name] = globals()[name] = room
    spec.loader.exec_module(room)
    return room
