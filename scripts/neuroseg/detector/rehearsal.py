"""What of a model file would fail only after hours of training is tried before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from neuroseg.detector import building, caps, spelling
from neuroseg.detector.inference import Predictor
from neuroseg.detector.openmmlab import Config, TwoStageDetector
from neuroseg.detector.progress import say
from neuroseg.errors import DataError

SIDE = 96
"""Of the image that is looked at, in pixels."""

KEPT = caps.Kept(detections=10, min_score=0.0, proposals=10)


def rehearse(model: Path, config: Config, network: TwoStageDetector) -> None:
    """Look at a small grey image with the untaught network, as `predict` does with the taught one.

    Args:
        model: The model file.
        config: What it sets, of this training.
        network: Made of it; neither it nor the random numbers to come are changed.

    Raises:
        DataError: a setting lets no image be looked at, or weights are named that there are not.
    """
    refused, noted = spelling.unmatched(network, config.optim_wrapper)
    if refused:
        raise DataError(*(f"{model}: {complaint}." for complaint in refused))
    for complaint in noted:
        say(f"note: {model}: {complaint}")
    untaught = {"model": model.stem, "fold": "all", "config": config.to_dict()}
    with torch.random.fork_rng(devices=[]):  # building a network draws its weights
        try:
            predictor = Predictor(
                untaught | {"state_dict": network.state_dict()}, torch.device("cpu"), torch.float32, KEPT
            )
            predictor([np.full((SIDE, SIDE), 128, np.uint8)])
        except DataError as error:
            whole = str(error).removesuffix("; train it again.")
            said = building.reason(error.__cause__) if error.__cause__ else whole
            raise DataError(
                f"{model}: predict could look at no image with it ({said}); mend that setting."
            ) from error
