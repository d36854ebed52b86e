"""Cells as files that other programs open: Fiji, QuPath, napari, Cellpose, and whatever reads COCO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from neuroseg import files
from neuroseg.errors import DataError
from neuroseg.exports import coco, geojson, label_images, ome_zarr, overlays, rois
from neuroseg.exports.scenes import Scenes

__all__ = ["EXPORTS", "Scenes", "write"]

EXPORTS = {
    "labels": label_images.write,
    "rois": rois.write,
    "geojson": geojson.write,
    "coco": coco.write,
    "overlays": overlays.write,
    "ome_zarr": ome_zarr.write,
}
"""A format's name and the function that writes it into a folder of that name; a new format is a new entry."""


def write(formats: Sequence[str], instances: Path, images: Path, folder: Path) -> int:
    """Write the cells of every image in each format, and `files.csv`, which names each image's files.

    Args:
        formats: keys of EXPORTS.
        instances: an instances table, as a file.
        images: the images table that names its images, as a file.
        folder: made anew: what another call has left there goes.

    Returns:
        The number of cells.

    Raises:
        DataError: an unknown format, a table that cannot be read, an image that is not what the table says,
            or cells that a format cannot hold.
    """
    strangers = sorted(set(formats) - set(EXPORTS))
    if strangers:
        raise DataError(f"There is no export format '{strangers[0]}'; there are: {', '.join(EXPORTS)}.")
    scenes = Scenes(instances, images)
    with files.replacing_folder(folder) as temporary:
        for name in formats:
            (temporary / name).mkdir()
            EXPORTS[name](scenes, temporary / name)
        rows = [(scene.image_id, scene.name, scene.file, len(scene.cells)) for scene in scenes]
        listed = pd.DataFrame(rows, columns=["image_id", "name", "file", "cells"])
        listed.to_csv(temporary / "files.csv", index=False, lineterminator="\n")
    return int(listed["cells"].sum())
