"""Grey levels as a detector has learnt them: what its images look like, and images brought to that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg.detector.dataset import Load
from neuroseg.readers.images.stacks import without_white
from neuroseg.readers.intensity import levels, looks

MOST = 200
"""Training images that are looked at, evenly spread."""

_MANY = 0.5
"""The largest change of the logarithm of the contrast from which a detector was taught at many contrasts."""


def of_some(images: pd.DataFrame, load: Load) -> dict[str, looks.Look]:
    """Return what training images look like, at most 200 of them, by image_id.

    Args:
        images: Rows of the images table.
        load: Reads an image as the training sees it.
    """
    some = images.iloc[:: max(1, -(-len(images) // MOST))]
    paths = map(Path, some["path"])
    return {name: looks.look(load(path)) for name, path in zip(some["image_id"], paths, strict=True)}


def of_detector(content: Mapping[str, Any]) -> looks.Learnt:
    """Return what a detector has learnt from, the ordinary where its file does not tell.

    Raises:
        ValueError: the file tells something else.
    """
    told = content.get("looks")
    return looks.ORDINARY if told is None else looks.from_plain(told)


def at_many_contrasts(content: Mapping[str, Any]) -> bool:
    """Tell whether a detector was taught at contrasts up to 1.6 times (e to the 0.5) higher and lower."""
    steps = content["config"].get("train_pipeline")
    varied = [
        step.get("contrast")
        for step in (steps if isinstance(steps, list) else [])
        if isinstance(step, dict) and step.get("type") == "Microscope"
    ]
    return any(isinstance(most, int | float) and most >= _MANY for most in varied)


class Adapted:
    """Reads images with the grey levels that a detector has learnt, and keeps what was done to each.

    Args:
        load: Reads an image as stored, uint8 or uint16.
        learnt: What the detector has learnt from.
        one_contrast: Whether every image gets the learnt contrast: see `levels.shown`.
    """

    def __init__(self, load: Load, learnt: looks.Learnt, one_contrast: bool = False) -> None:
        self.load, self.learnt, self.one_contrast = load, learnt, one_contrast
        self.looks: dict[str, looks.Look] = {}
        self.done: dict[str, levels.Done] = {}
        self.contents: dict[str, tuple[slice, slice]] = {}

    def __call__(self, path: Path) -> np.ndarray:
        """Return an image, uint8."""
        shown = levels.shown(self.load(path), self.learnt, self.one_contrast)
        self.looks[str(path)], self.done[str(path)] = shown.look, shown.done
        self.contents[str(path)] = shown.content
        return shown.image

    def content(self, path: Path) -> tuple[slice, slice]:
        """Return the rows and columns of an image that was read outside of which it is blank."""
        return self.contents[str(path)]

    def structure(self, images: pd.DataFrame) -> dict[str, float]:
        """Return of each image that was read the share that shows structure, by image_id."""
        places = zip(images["image_id"], (str(Path(path)) for path in images["path"]), strict=True)
        return {name: round(self.looks[at].structure, 4) for name, at in places if at in self.looks}


_OF_SEVERAL = {
    "blank": "have blank areas, taken for background",
    "cut": "lack what was darker than the background, so cells are missed",
    "levels": "have other grey levels than those learnt from",
    "noise": "show nothing but noise",
    "overexposed": "are overexposed: expose shorter, bright halos are lost",
    "blurred": "are blurred: out of focus, or more magnified than what was learnt from",
    "grainy": "are grainier than what was learnt from, or less magnified",
    "inverted": "look turned over (negative phase contrast, or white stored as 0), so cells are missed: "
    "`invert` of the dataset file turns images over",
}
"""What is said of images that are unlike those learnt from, by what it is."""


def sentences(adapted: Adapted, paths: pd.Series, magnified: np.ndarray) -> list[str]:
    """Say in how many images blank areas were filled or levels changed, and which look unlike any learnt.

    Args:
        adapted: What the images were read by.
        paths: Of the images.
        magnified: By how much each is before the detector sees it.
    """
    found: dict[str, list[str]] = {}
    for path, factor in zip(map(str, map(Path, paths)), magnified, strict=True):
        done = adapted.done.get(path, levels.Done())
        cut = done.cut is not None
        said = {
            "blank": done.words if done.blank else "",
            "cut": done.words if cut else "",
            "levels": done.words if done.level and not cut else "",
        }
        for what, how in (said | _fault(adapted, path, factor)).items():
            found.setdefault(what, []).extend([f"{without_white(Path(path).name)}: {how}"] * bool(how))
    several = {what: some for what, some in found.items() if some}
    return [
        f"{len(some)} of {len(paths)} images {_OF_SEVERAL[what]} ({some[0]})"
        for what, some in several.items()
    ]


def unlike(adapted: Adapted, path: str, magnified: float) -> dict[str, str]:
    """Return what of one image is unlike those learnt from: its levels and what else is wrong with it.

    Args:
        adapted: What the image was read by.
        path: Of the image.
        magnified: By how much it is before the detector sees it.
    """
    path = str(Path(path))
    done = adapted.done.get(path, levels.Done()).words
    faults = {what: f"{what}: {how}" for what, how in _fault(adapted, path, magnified).items()}
    return ({"levels": done} if done else {}) | faults


def _fault(adapted: Adapted, path: str, factor: float) -> dict[looks.Fault, str]:
    """Return what is wrong with an image even at learnt levels, and the figures that tell it; or nothing."""
    if path not in adapted.looks:
        return {}
    look, (low, _, high) = adapted.looks[path], adapted.learnt.sharpness
    sharpness = f"sharpness {look.sharpness / factor:.2g}, learnt {low:.2g} to {high:.2g}"
    by_size = ""
    if factor > 1 and looks.fault(look, adapted.learnt) != "blurred":
        by_size = f", for it is magnified {factor:.3g} times: is the pixel size right?"
    figures: dict[looks.Fault, str] = {
        "noise": "no cell can be told from it",
        "overexposed": f"{100 * look.clipped:.0f} % of its pixels have the highest value",
        "blurred": sharpness + by_size,
        "grainy": sharpness,
        "inverted": f"dark lines are sharper than bright ones, skewness of halos {look.halos:.2f}",
    }
    found = looks.fault(look, adapted.learnt, factor)
    return {} if found is None else {found: figures[found]}
