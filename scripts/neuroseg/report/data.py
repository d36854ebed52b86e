"""What the pipeline was given: images and cells by type, folds, and the problems that validation found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroseg.report.sheets import Sheet, sheet, text, typed
from neuroseg.report.view import View
from neuroseg.tables import NEVER_TRAINED

EXAMPLES = 3
"""Problems quoted for each check."""


def section(view: View) -> dict[str, object]:
    """Return the table of cell types, and that of folds or None."""
    evidence, images = view.evidence, view.images
    cells = evidence.truth["image_id"].value_counts()
    kind_of = images.set_index("image_id")["cell_type"]
    area = evidence.truth.groupby(evidence.truth["image_id"].map(kind_of))["area"].median()
    rows = []
    for kind in view.palette:
        mine = images[images["cell_type"] == kind]
        if mine.empty:
            continue
        counts = mine.loc[mine["annotated"], "image_id"].map(cells).astype(float).fillna(0)
        row = {"cell type": kind, "images": len(mine), "groups": mine["group"].nunique()}
        if images["annotated"].any():
            row |= {"annotated": int(mine["annotated"].sum()), "true cells": int(counts.sum())}
            row |= {"cells per image, median": counts.median(), "fewest": counts.min(), "most": counts.max()}
            row |= {"median area (pixels)": area.get(kind, np.nan)}
        rows.append(row)
    caption = (
        "What the pipeline was given. A group is a well or a sample, whose images are no independent "
        "witnesses. An image whose source is silent counts under the type of most of its true cells."
    )
    whole = {"cells per image, median": 0, "fewest": 0, "most": 0, "median area (pixels)": 0}
    folds = evidence.fold_summary
    return {
        "table": sheet(typed(pd.DataFrame(rows)), caption, whole),
        "folds": _folds(folds) if folds is not None and len(folds) else None,
    }


def _folds(summary: pd.DataFrame) -> Sheet:
    """Return split's summary, which has a row for each fold and cell type, with a row for each fold."""
    rows = []
    for fold, part in summary.groupby("fold"):
        row = {"fold": "never trained on" if fold == NEVER_TRAINED else text(fold)}
        row |= {"images": part["images"].sum(), "cells": part["cells"].sum()}
        rows.append(
            row | {kind.cell_type: f"{kind.images} images, {kind.cells} cells" for kind in part.itertuples()}
        )
    return sheet(
        pd.DataFrame(rows), "The folds: each is held out once, and trained on by the detectors of the others."
    )


def problems(view: View) -> dict[str, object] | None:
    """Return the table of problems by check, or None where validation's list is absent."""
    found = view.evidence.problems
    if found is None:
        return None
    rows = [
        {
            "check": check,
            "done": ", ".join(part["policy"].unique()),
            "problems": len(part),
            "images": part["image_id"].nunique(),
            "first examples": " · ".join(_examples(part)),
        }
        for check, part in found.groupby("check")
    ]
    table = pd.DataFrame(rows, columns=["check", "done", "problems", "images", "first examples"])
    table = table.sort_values(["problems", "check"], ascending=[False, True])
    return {"count": len(found), "table": sheet(table, "Problems by check, and what was done about them.")}


def _examples(part: pd.DataFrame) -> list[str]:
    rows = part.head(EXAMPLES).to_dict("records")
    return [
        ": ".join(text(row[name]) for name in ("image_id", "message") if pd.notna(row.get(name)))
        for row in rows
    ]
