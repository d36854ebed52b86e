"""Images with an annotation file each, of the same name: what label images, ROI sets and GeoJSON share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.dataset import GeoJson, Labels, Rois
from neuroseg.readers.experiment import describe
from neuroseg.readers.found import is_result
from neuroseg.readers.pixels import ImageError, read_image
from neuroseg.readers.source import (
    Note,
    Source,
    distinct,
    file_name,
    identity,
    image_files,
    image_rows,
    marked,
    name_texts,
    notes_frame,
)


class Annotation(NamedTuple):
    """The cells of one file: each one's place in it and cell type (or None), masks, faults and words."""

    cells: list[tuple[str, str | None]]
    masks: rle.Runs
    faults: list[tuple[str, str]]


Decode = Callable[[Path, int, int], Annotation]
"""Reads an annotation file of a frame of so many rows and columns."""


def read_pairs(dataset: Labels | Rois | GeoJson, endings: Sequence[str], decode: Decode) -> Source:
    """Read every image below the folders with the annotation file of its name; one without is not annotated.

    Args:
        dataset: the dataset file; its `annotations` is the folder of the annotation files.
        endings: what their names have after the image's name. Where they lie beside the images, files so
            named are taken for no images.
        decode: reads one file.

    Raises:
        DataError: a folder is missing, holds no image, or no image has an annotation.
    """
    rows: list[dict[str, Any]] = []
    cells: list[tuple[int, str, str | None]] = []
    parts: list[rle.Runs] = []
    notes: list[Note] = []
    listed = [
        (dataset.root / name, _images(dataset.root / name, dataset, endings)) for name in dataset.images
    ]
    ids = iter(distinct([path.relative_to(dataset.root) for _, paths in listed for path in paths]))
    for folder, paths in listed:
        for path in paths:
            image_id, where = next(ids), path.relative_to(dataset.root).as_posix()
            at, file = len(rows), _partner(path, folder, image_id, dataset, endings)
            row = {"image_id": image_id, "path": str(path), "where": where}
            rows.append(row | {"subset": dataset.subset, "annotated": file is not None})
            size = _size(path) if file is not None else None
            if file is None or size is None:
                continue  # nothing to read, or an image that cannot be read, which the survey says
            found = decode(file, *size)
            place = file.relative_to(dataset.root).as_posix()
            rows[-1] |= {"height": size[0], "width": size[1]}
            notes += [Note(check, at, -1, place, words) for check, words in found.faults]
            cells += [(at, f"{place}:{name}", kind) for name, kind in found.cells]
            parts.append(found.masks)
    if not any(row["annotated"] for row in rows):
        names = ", ".join(f"x{ending}" for ending in endings[:4])
        raise DataError(
            f"{dataset.root / dataset.annotations}: none of {len(rows)} images has "
            f"an annotation file ({names}, ... for an image x); correct images or annotations."
        )
    below = [Path(row["path"]).relative_to(dataset.root) for row in rows]
    images, told = describe(image_rows(rows), [name_texts(path) for path in below], dataset)
    own = images["cell_type"].to_numpy(object)
    table = pd.DataFrame(cells, columns=["image", "where", "cell_type"], dtype=object).astype(
        {"image": "int64"}
    )
    kinds = [kind if kind is not None else own[at] for at, _, kind in cells]
    table["cell_type"] = pd.Series(kinds, dtype=object)
    return Source(images, table, rle.concatenate(parts), notes_frame([*notes, *told]))


def _images(folder: Path, dataset: Labels | Rois | GeoJson, endings: Sequence[str]) -> list[Path]:
    annotations = dataset.root / dataset.annotations
    files = image_files(folder, recursive=True)
    apart = annotations.resolve() != folder.resolve() and annotations.is_relative_to(folder)
    files = [path for path in files if not (apart and path.is_relative_to(annotations))]
    if annotations.resolve() == folder.resolve():
        files = [path for path in files if not any(path.name.endswith(ending) for ending in endings)]
    else:  # corrected label images that were left beside the images are none
        files = [path for path in files if not is_result(identity(path))]
    if not files:
        raise DataError(
            f"{folder}: there is no PNG, TIFF or JPEG image in this folder; correct root or images."
        )
    return files


def _partner(
    path: Path, folder: Path, image_id: str, dataset: Labels | Rois | GeoJson, endings: Sequence[str]
) -> Path | None:
    """Return the annotation file of an image.

    It has the image's name and lies in the same place below the folder of annotations; or it lies in that
    folder itself and is called by the image's id, here or in a folder without annotation, as exports are.
    """
    annotations = dataset.root / dataset.annotations
    names = [annotations / path.relative_to(folder).parent / identity(path)]
    below = [path.relative_to(base) for base in (folder, dataset.root)]
    for known in dict.fromkeys(
        [image_id, *("__".join((*each.parts[:-1], identity(path))) for each in below)]
    ):
        names += [annotations / file_name(known), annotations / marked(known)]
    found = (name.with_name(f"{name.name}{ending}") for name in names for ending in endings)
    return next((file for file in found if file != path and file.is_file()), None)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return read_image(path).shape
    except ImageError:
        return None
