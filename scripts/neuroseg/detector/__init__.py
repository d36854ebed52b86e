"""Learn cells, and find them: the one door to PyTorch and MMDetection, which are imported when first needed."""

from typing import TYPE_CHECKING

from neuroseg.door import door

if TYPE_CHECKING:
    from neuroseg.detector.checkpoints import classes
    from neuroseg.detector.inference import predict
    from neuroseg.detector.selection import held_out, unannotated
    from neuroseg.detector.training import Trained, save, train

__all__ = ["Trained", "classes", "held_out", "predict", "save", "train", "unannotated"]

__getattr__ = door(
    __name__,
    {
        "Trained": "training",
        "classes": "checkpoints",
        "held_out": "selection",
        "predict": "inference",
        "save": "training",
        "train": "training",
        "unannotated": "selection",
    },
)
