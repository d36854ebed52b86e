"""Learn cells, and find them: the one door to PyTorch and MMDetection."""

from neuroseg.detector.checkpoints import classes
from neuroseg.detector.inference import predict
from neuroseg.detector.selection import held_out, unannotated
from neuroseg.detector.training import Trained, save, train

__all__ = ["Trained", "classes", "held_out", "predict", "save", "train", "unannotated"]
