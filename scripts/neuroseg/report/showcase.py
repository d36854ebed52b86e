"""The images shown as overlays: the best, the median and the worst of each cell type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import readers, rle
from neuroseg.report.overlays import Overlay, overlay
from neuroseg.report.sheets import text
from neuroseg.report.view import View

ReadImage = Callable[[str], np.ndarray]

OVERLAY_BYTES = 3_000_000
"""Overlays stop when they have filled so much of the page; what is left out is said."""

ORDER = ("only", "best", "most cells", "median", "worst", "fewest cells")
"""How the images of one type stand on the page."""


class Shown(NamedTuple):
    """An overlay on the page: why it is shown, where it stands, and its picture."""

    cell_type: str
    rank: str
    note: str
    picture: Overlay


def showcase(view: View, read_image: ReadImage) -> tuple[list[Shown], int]:
    """Return the overlays by cell type, and how many were left out for the page's sake.

    Where nothing is scored, the images with the fewest, a median number and the most predicted cells are
    shown.
    """
    images, segments, truth = view.images, view.segments, view.evidence.truth
    if segments is None:
        return [], 0
    choices = list(_choices(view, segments))
    shown: list[Shown] = []
    size = 0
    for at, (_, kind, rank, note, image_id) in enumerate(sorted(choices)):
        image = next(images[images["image_id"] == image_id].itertuples())
        found = segments[segments["image_id"] == image_id]
        true = truth[truth["image_id"] == image_id]
        picture = overlay(
            image_id,
            read_image(image.path),
            rle.of_image(true, image_id, image.height, image.width) if image.annotated else None,
            rle.of_image(found, image_id, image.height, image.width),
            found["score"].to_numpy(float),
            f"overlay-{at}",
        )
        size += len(picture.whole)
        if shown and size > OVERLAY_BYTES:
            break
        shown.append(Shown(kind, rank, note, picture))
    return sorted(shown, key=lambda one: (one.cell_type, ORDER.index(one.rank))), len(choices) - len(shown)


def _choices(view: View, segments: pd.DataFrame) -> Iterator[tuple[int, str, str, str, str]]:
    """Yield priority, cell type, rank, note and image_id of the images worth showing; extremes first."""
    images, ranked = view.images, view.held_out
    there = images.loc[images["path"].map(lambda path: readers.located(path).file.is_file()), "image_id"]
    if ranked is None:
        ranks = ("fewest cells", "most cells", "median")
        found = images["image_id"].map(segments["image_id"].value_counts()).fillna(0).astype(int)
        ranked = images.assign(found=found).sort_values(["found", "image_id"])
        notes = {row.image_id: f"{text(row.found)} cells predicted" for row in ranked.itertuples()}
    else:
        ranks = ("worst", "best", "median")
        notes = {row.image_id: f"AP {row.ap:.3f}, held out by fold {row.fold}" for row in ranked.itertuples()}
    ranked = ranked[ranked["image_id"].isin(there)]
    for kind in view.palette:
        ids = ranked.loc[ranked["cell_type"] == kind, "image_id"].tolist()
        middle = ids[(len(ids) - 1) // 2 :][:1]
        taken: set[str] = set()
        for priority, (rank, image_id) in enumerate(zip(ranks, (*ids[:1], *ids[-1:], *middle), strict=False)):
            if image_id not in taken:
                taken.add(image_id)
                yield priority, kind, rank if len(ids) > 1 else "only", notes[image_id], image_id
