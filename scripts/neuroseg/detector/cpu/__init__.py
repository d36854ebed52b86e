"""Our kernels in place of MMDetection's parts for a detector on a CPU; `accelerate` is the only way in.

What each gains is a table in docs/benchmarks.md, written by `python -m benchmarks.kernels`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import nn

from neuroseg.detector.cpu import folding, proposing, roi_align, upsampling
from neuroseg.detector.openmmlab import require_version

KERNELS: dict[str, Callable[[nn.Module], None]] = {
    "folding": folding.replace,
    "proposing": proposing.replace,
    "roi_align": roi_align.replace,
    "upsampling": upsampling.replace,
}
"""What puts each kernel into a two-stage detector, where it equals the part it replaces up to rounding."""


def accelerate(model: nn.Module, kernels: Collection[str] = tuple(KERNELS)) -> None:
    """Put kernels into a two-stage detector, in place of the parts that they equal; `model` is changed.

    Parameters stay where optimiser, averages and checkpoints know them. `cpu_kernels = False` in a model file
    leaves MMDetection's own parts in their places.

    Raises:
        DataError: another version of MMDetection is installed than the one whose private methods are
            replaced.
    """
    require_version("the CPU kernels replace private methods")
    for name in kernels:
        KERNELS[name](model)
