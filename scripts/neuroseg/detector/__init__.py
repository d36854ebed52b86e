"""Learn cells, and find them: the one door to PyTorch and MMDetection."""

from neuroseg.detector.checkpoints import classes
from neuroseg.detector.inference import predict
from neuroseg.detector.precision import prepare_cpu
from neuroseg.detector.training import Trained, save, train

__all__ = ["Trained", "classes", "predict", "prepare_cpu", "save", "train"]
