"""Whether the cells found are as wide, and no denser, than those that the detectors learnt from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from neuroseg import cell_widths

ROOM = 1.5
"""How far, as a factor, an image's cells may lie beyond all that were learnt before it is said."""

MISSED = 4.0
"""How many times less of what shows structure cells may cover than in all images learnt: most are missed.

The starter finds two fifths of the cells in the worst of the images held out from it.
"""

SHOWN = 0.05
"""Share of an image that must show structure for cells to be missed."""


class Learnt(NamedTuple):
    """What one detector learnt, and how it saw images, as `predict` remarks it.

    Attributes:
        figures: what `detector.cells.learnt` returned; None if unknown.
        magnified: by how much images were magnified for the detector, where it is not 1.
        structure: share of each image that shows structure.
    """

    figures: Mapping[str, list[float]] | None
    magnified: Mapping[str, float]
    structure: Mapping[str, float]


def read(content: Mapping[str, Any]) -> Learnt:
    """Return what the JSON of `predict` tells; nothing where it is of an older version."""
    return Learnt(content.get("cells"), content.get("magnified", {}), content.get("structure", {}))


def unlike(learnt: Learnt, instances: pd.DataFrame, images: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return what is unlike of images whose cells are not as learnt: by `size`, `crowding` or `missed`.

    Args:
        learnt: What was learnt.
        instances: The cells found.
        images: The images table that names its images.
    """
    if learnt.figures is None:
        return {}
    areas = instances.groupby("image_id")["area"]
    sizes = pd.DataFrame({"count": areas.size(), "middle": areas.median(), "whole": areas.sum()})
    (low, _, high), (_, _, densest) = learnt.figures["width_px"], learnt.figures["per_megapixel"]
    least = learnt.figures["of_structure"][0]
    found: dict[str, dict[str, str]] = {}
    for image in images.itertuples():
        count, middle, whole = sizes.loc[image.image_id] if image.image_id in sizes.index else (0, 0, 0)
        factor, told = learnt.magnified.get(image.image_id, 1.0), {}
        width, frame = factor * cell_widths.of_disc(float(middle)), image.height * image.width
        density = count / (factor**2 * frame / 1e6)
        if count >= cell_widths.FEW and not low / ROOM <= width <= high * ROOM:
            told["size"] = f"cells are {width:.3g} pixels wide, learnt {low:.3g} to {high:.3g}"
        if count >= cell_widths.FEW and density > densest * ROOM:
            told["crowding"] = f"{density:.0f} cells per megapixel, learnt up to {densest:.0f}"
        shown = learnt.structure.get(image.image_id, 0.0)
        if shown >= SHOWN and whole / frame * MISSED < least * shown:
            told["missed"] = (
                f"cells cover {100 * whole / frame / shown:.2g} % of what shows structure, "
                f"learnt from {100 * least:.2g} %: cells may be missed"
            )
        if told:
            found[image.image_id] = told
    return found


_OF_SEVERAL = {
    "size": "have cells of another size than those learnt from: check pixel_size_um, or train on such images",
    "crowding": "are more crowded than those learnt from",
    "missed": "show much where no cell was found, so cells of another size or kind may be missed",
}


def sentences(learnt: Iterable[Learnt], instances: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """Say in how many images cells are unlike those that any of the detectors learnt from."""
    found: dict[str, dict[str, str]] = {what: {} for what in _OF_SEVERAL}
    for one in learnt:
        for image_id, told in unlike(one, instances, images).items():
            for what, words in told.items():
                found[what].setdefault(image_id, f"{image_id}: {words}")
    return [
        f"{len(some)} of {len(images)} images {_OF_SEVERAL[what]} ({next(iter(some.values()))})"
        for what, some in found.items()
        if some
    ]
