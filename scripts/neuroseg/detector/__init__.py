"""Learn cells, and find them: the one door to PyTorch and MMDetection.

Their import takes seconds, so it waits until one of the functions is asked for: `--help` and the tables do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroseg.detector.inference import predict
    from neuroseg.detector.selection import held_out
    from neuroseg.detector.training import Trained, save, train

__all__ = ["Trained", "held_out", "predict", "save", "train"]

_HOMES = {
    "Trained": "training",
    "held_out": "selection",
    "predict": "inference",
    "save": "training",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
