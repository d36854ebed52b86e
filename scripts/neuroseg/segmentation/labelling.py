"""What turns detections into pseudo-labels, where there is no truth to choose thresholds on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuroseg.errors import DataError
from neuroseg.segmentation.settings import Thresholds

MASK, MIN_AREA, RESCORE = 0.5, 20, False
"""What is not chosen where there is no truth to choose it on."""


def untuned(min_score: Mapping[str, float], types: Sequence[str]) -> dict[str, Thresholds]:
    """Return each type's thresholds where only the score is chosen.

    Args:
        min_score: Lowest score by cell type; `default` for the types that it does not name.
        types: All cell types.

    Raises:
        DataError: a type is named that there is not, or one is left without a score.
    """
    for name in min_score:
        if name != "default" and name not in types:
            raise DataError(f"min_score: there is no cell type {name}; name {', '.join(types)} or default.")
    missing = [name for name in types if not min_score.keys() & {name, "default"}]
    if missing:
        raise DataError(f"min_score: {missing[0]} has none; add it, or a default.")
    scores = {name: min_score[name if name in min_score else "default"] for name in types}
    return {
        name: Thresholds(score=score, mask=MASK, min_area=MIN_AREA, rescore=RESCORE)
        for name, score in scores.items()
    }
