"""What of an image is unlike those that the detectors learnt from, in the words of a column."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from neuroseg.errors import DataError
from neuroseg.files import read_json
from neuroseg.segmentation import likeness
from neuroseg.segmentation.widths import doubted


def unlike(remarks: Iterable[Path], instances: pd.DataFrame, images: pd.DataFrame) -> dict[str, str]:
    """Return what of each image is unlike those learnt from, and why; images like them are not in it.

    Where several detectors looked at an image, what one of them says holds, and is said once.

    Args:
        remarks: what `predict` remarked, JSON, one for each detector.
        instances: the cells found.
        images: the images table.

    Raises:
        DataError: a file is missing, damaged, or not of its kind.
    """
    found: dict[str, dict[str, str]] = {}
    for path in remarks:
        content = read_json(path)
        if "unlike" not in content:
            raise DataError(f"{path}: the key unlike is missing; run the stage that writes it again.")
        for image_id, told in content["unlike"].items():
            _add(found, image_id, told)
        for image_id, told in likeness.unlike(likeness.read(content), instances, images).items():
            _add(found, image_id, told)
    for doubt in doubted(instances, images):
        words = f"cells would be {doubt.width_um:.3g} µm wide: is the pixel size right?"
        for image_id in doubt.images:
            _add(found, image_id, {"cell_width": words})
    return {image_id: "; ".join(told.values()) for image_id, told in found.items()}


def _add(found: dict[str, dict[str, str]], image_id: str, told: dict[str, str]) -> None:
    """Add what is told of an image to what was found before, which stays."""
    mine = found.setdefault(image_id, {})
    for what, words in told.items():
        mine.setdefault(what, words)
