"""What the page's sections share: the best ensemble, which type each image is of, which were held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.cell_types import UNKNOWN, filled
from neuroseg.report.drawing import colours
from neuroseg.report.evidence import Evidence


class View(NamedTuple):
    """What every section starts from.

    Attributes:
        evidence: what the other stages found.
        metrics: of the ensembles that have a score.
        leader: the ensemble that the pictures show: of the highest map, the first where nothing is scored,
            empty where there is none.
        images: the images table, every cell_type filled in: as the source says, else that of most true cells,
            else UNKNOWN. What detectors take cells for groups no images.
        palette: a colour for every cell type, in the order of names.
        segments: the leader's instances, None where there are none.
        held_out: the leader's scored images, worst first (image_id, cell_type, fold, ap, ...); None without
            any.
    """

    evidence: Evidence
    metrics: dict[str, dict]
    leader: str
    images: pd.DataFrame
    palette: dict[str, str]
    segments: pd.DataFrame | None
    held_out: pd.DataFrame | None


def view(evidence: Evidence) -> View:
    """Return the evidence with the choices made that all sections share."""
    metrics = {name: part for name, part in evidence.metrics.items() if _is_number(part["map"])}
    leader = max(metrics, key=lambda name: metrics[name]["map"], default="")
    leader = leader or next(iter({**evidence.segments, **evidence.quantities, **evidence.cells}), "")
    segments = evidence.segments.get(leader)
    images = evidence.images.copy()
    images["cell_type"] = filled(images, evidence.truth).fillna(UNKNOWN)
    cells = evidence.cells.get(leader)
    predicted = set() if cells is None else set(cells["cell_type"].fillna(UNKNOWN))
    palette = colours(sorted(set(images["cell_type"]) | predicted))
    return View(
        evidence,
        metrics,
        leader,
        images,
        palette,
        segments,
        _held_out(evidence.per_image.get(leader), images),
    )


def _held_out(per_image: pd.DataFrame | None, images: pd.DataFrame) -> pd.DataFrame | None:
    if per_image is None or not per_image["ap"].notna().any():
        return None
    kind_of = images.set_index("image_id")["cell_type"]
    scored = per_image.dropna(subset=["ap"])
    return scored.assign(cell_type=scored["image_id"].map(kind_of).fillna(UNKNOWN)).sort_values(
        ["ap", "image_id"]
    )


def _is_number(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
