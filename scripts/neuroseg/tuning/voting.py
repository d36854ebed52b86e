"""What a type's ballots weigh when detections vote on an image's type, learnt from images of known type."""

from __future__ import annotations

import numpy as np
import pandas as pd

_WEIGHTS = sorted(2.0 ** np.arange(-4, 4.5, 0.5), key=lambda weight: abs(np.log(weight)))
"""What is tried for each type, the least change first."""


def learn(cast: pd.DataFrame, known: pd.Series) -> dict[str, float]:
    """Return a weight for each type, such that as many images as can be are named rightly.

    One type's weight after the other takes what names most images rightly, the least change of those equal,
    until none names more: with a handful of images there is nothing finer to learn.

    Args:
        cast: Ballots by image (rows) and type (columns), see `cell_types.ballots`.
        known: The true types of these images, in the same order; null where unknown, which teaches nothing.
    """
    votes, types = cast.to_numpy(float), list(cast.columns)
    taught = known.isin(types).to_numpy()
    votes, truth = votes[taught], pd.Index(types).get_indexer(known[taught])
    weights: np.ndarray = np.ones(len(types))
    right = -1

    def named(tried: np.ndarray) -> int:
        return int(((votes * tried).argmax(axis=1) == truth).sum())

    while len(votes) and named(weights) > right:
        right = named(weights)
        for place in range(len(types)):
            tries = [np.where(np.arange(len(types)) == place, weight, weights) for weight in _WEIGHTS]
            counts = [named(tried) for tried in (weights, *tries)]
            weights = (weights, *tries)[int(np.argmax(counts))]
    return dict(zip(types, weights.tolist(), strict=True))
