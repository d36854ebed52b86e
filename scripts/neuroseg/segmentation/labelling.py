"""What turns detections into pseudo-labels, where there is no truth to choose thresholds on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from neuroseg.segmentation.settings import Thresholds
from neuroseg.tables import DataError

UNTUNED = {"mask": 0.5, "min_area": 20, "rescore": False}
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
    return {name: Thresholds(score=min_score.get(name, min_score.get("default")), **UNTUNED) for name in types}


def of_known_type(detections: pd.DataFrame, images: pd.DataFrame, types: Sequence[str]) -> pd.DataFrame:
    """Return detections as of their image's type where the images table tells one of `types`, else of their own.

    File names often tell the type of a culture that nobody has annotated, where a detector may be mistaken. It is for
    fused detections: WBF averages boxes of one type, and a cell found as two types would score less than as the better.
    """
    told = images.set_index("image_id")["cell_type"]
    known = detections["image_id"].map(told[told.isin(types)])
    return detections.assign(cell_type=known.astype(object).fillna(detections["cell_type"]))
