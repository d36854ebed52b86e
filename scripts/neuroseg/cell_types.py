"""Cell types: the name for an unknown one, and how an image's type follows from its cells.

An image of a culture shows one type, which all its cells together tell better than any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

UNKNOWN = "unknown"
"""Under what images and cells of no known type are listed."""


def vote(detections: pd.DataFrame, weights: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return each image's cell type: that of the weightiest ballots, of equal ones the alphabetically first.

    Args:
        detections: image_id, cell_type and score.
        weights: Of each type's ballots; 1 where none is given. See `ballots` and `elect`.
    """
    return elect(ballots(detections), weights)


def ballots(detections: pd.DataFrame) -> pd.DataFrame:
    """Return for each image (row) and type (column) the sum of its detections' squared scores.

    Squared, as hundreds of doubtful detections would outvote dozens of sure ones.
    """
    squares = detections["score"].astype("float64") ** 2
    sums = squares.groupby(
        [detections["image_id"].astype(object), detections["cell_type"].astype(object)]
    ).sum()
    return sums.unstack(fill_value=0.0).sort_index(axis=1)


def elect(cast: pd.DataFrame, weights: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return the type of each image by its ballots, those of a type multiplied by its weight.

    A detector is surer of some types than of others, which weights learnt on other images undo.
    """
    if cast.empty:
        return {}
    factors = [(weights or {}).get(cell_type, 1.0) for cell_type in cast.columns]
    return dict((cast * factors).idxmax(axis=1).items())


def commonest(cells: pd.DataFrame) -> pd.Series:
    """Return the type of most cells of each image, by image_id; of equally many the alphabetically first.

    Args:
        cells: image_id and cell_type, which may be null.
    """
    counts = cells.groupby(["image_id", "cell_type"], as_index=False).size()
    counts = counts.sort_values(["size", "cell_type"], ascending=[False, True]).drop_duplicates("image_id")
    return counts.set_index("image_id")["cell_type"]


def filled(images: pd.DataFrame, *cells: pd.DataFrame) -> pd.Series:
    """Return the images' cell types: the source's, else that of most cells, of the first table with any.

    Args:
        images: image_id and cell_type, which may be null.
        cells: Tables of cells, the most trusted first; see `commonest`.
    """
    told = images["cell_type"].astype(object)
    for table in cells:
        told = told.where(told.notna(), images["image_id"].map(commonest(table)))
    return told


def of_image(detections: pd.DataFrame, images: pd.DataFrame, types: Sequence[str]) -> pd.DataFrame:
    """Return detections as of their image's type if the images table tells one of `types`, else of their own.

    File names often tell the type of a culture that nobody has annotated, where a detector may be mistaken.
    It is for fused detections: WBF averages boxes of one type, and a cell found as two types would score less
    than as the better.
    """
    told = images.set_index("image_id")["cell_type"]
    known = detections["image_id"].map(told[told.isin(types)])
    return detections.assign(cell_type=known.astype(object).fillna(detections["cell_type"]))
