"""The weights of an ensemble's members: of several candidates, those whose fused detections score best."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from neuroseg import fusion
from neuroseg.tables import NEVER_TRAINED
from neuroseg.tuning.choosing import TOLERANCE, mean_ap
from neuroseg.tuning.settings import Settings


def choose_weights(
    recipe: fusion.Recipe,
    members: Sequence[fusion.Member],
    images: pd.DataFrame,
    truth: pd.DataFrame,
    settings: Settings,
    threads: int,
) -> tuple[fusion.Chosen, pd.DataFrame]:
    """Fuse held-out images by every combination of weights; take for each fold the best for the other folds.

    Args:
        recipe: Its lists of candidates, and how to fuse.
        members: As `fusion.gather` found them.
        images: The held-out images, as `folds.scored` returns them.
        truth: The true instances.
        settings: The thresholds that are chosen, anew for every combination.
        threads: How many batches of images are in work side by side.

    Returns:
        The weights chosen: of combinations within TOLERANCE of the best, the first. And what was tried, to be
        printed: a row a combination, each member's weight, then for each fold the mean ap of the images of
        all other folds, and for `all` that of every image, with a star at the one chosen.

    Raises:
        DataError: the thresholds are given, so that nothing is left to compare the weights by.
    """
    tried = fusion.combinations(recipe)
    scores = []
    for weights in tried:
        name = ", ".join(f"{member} {weight:g}" for member, weight in weights.items())
        fused = fusion.stream(fusion.weigh(members, weights), list(images["image_id"]), recipe.fusion, name)
        scores.append(mean_ap(settings, images, truth, threads, fused))
    table = pd.DataFrame(scores)
    best = (table >= table.max() - TOLERANCE).idxmax()
    starred = {
        f"ap for {'all' if fold == 'all' else f'fold {fold}'}": [
            f"{value:.4f}{'*' if row == best[fold] else ' '}" for row, value in table[fold].items()
        ]
        for fold in table
    }
    chosen = {NEVER_TRAINED if fold == "all" else int(fold): tried[row] for fold, row in best.items()}
    return chosen, pd.DataFrame(tried).assign(**starred)
