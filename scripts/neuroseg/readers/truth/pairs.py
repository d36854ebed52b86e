"""Images with an annotation file each, of the same name: what label images, ROI sets and GeoJSON share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.dataset import GeoJson, Labels, Rois
from neuroseg.readers.drawn import REASON, drawn
from neuroseg.readers.found import foreign, is_result, walk
from neuroseg.readers.images.pixels import SUFFIXES, ImageError, read_image
from neuroseg.readers.source import (
    Listed,
    Note,
    Source,
    distinct,
    folded,
    image_rows,
    name_texts,
    notes_frame,
    passed_over,
)
from neuroseg.readers.truth.partners import Partners, ends_in
from neuroseg.readers.words import identity


class Fault(NamedTuple):
    """A check that an annotation file or, by its position among the file's cells, one cell fails; words."""

    check: str
    words: str
    cell: int = -1


class Annotation(NamedTuple):
    """The cells of one file: each one's place in it and cell type (or None), its mask, and the faults."""

    cells: list[tuple[str, str | None]]
    masks: rle.Runs
    faults: list[Fault]


Decode = Callable[[Path, int, int], Annotation]
"""Reads an annotation file of a frame of so many rows and columns."""


def read_pairs(dataset: Labels | Rois | GeoJson, endings: Sequence[str], decode: Decode) -> Listed:
    """Read every image below the folders with the annotation file of its name; one without is not annotated.

    Notes name every image without annotation file, and every such file without image.

    Args:
        dataset: the dataset file; its `annotations` is the folder of the annotation files.
        endings: what their names have after the image's name, in capitals or not. Where they lie beside the
            images, files so named are taken for no images.
        decode: reads one file.

    Raises:
        DataError: a folder is missing, holds no image, or no image has an annotation.
    """
    rows: list[dict[str, Any]] = []
    cells: list[tuple[int, str, str | None]] = []
    parts: list[rle.Runs] = []
    notes: list[Note] = []
    partners, read = Partners(dataset, endings), set[Path]()
    passed, spare = dict[Path, str](), dict[Path, str]()
    listed = [
        (dataset.root / name, _images(dataset.root / name, dataset, endings, passed))
        for name in dataset.images
    ]
    ids = iter(distinct([path.relative_to(dataset.root) for _, paths in listed for path in paths]))
    for folder, paths in listed:
        for path in paths:
            image_id, where = next(ids), path.relative_to(dataset.root).as_posix()
            at, fitting = len(rows), partners.of(path, folder, image_id)
            file = fitting[0] if fitting else None
            rows.append({"image_id": image_id, "path": str(path), "where": where})
            rows[-1] |= {"subset": dataset.subset, "annotated": file is not None}
            if file is None:
                notes.append(Note("unpaired", at, -1, where, "the image has no annotation file"))
                continue
            place, size = file.relative_to(dataset.root).as_posix(), _size(path)
            read.add(file)
            spare |= dict.fromkeys(fitting[1:], f"the cells of {where} are read from {place} instead")
            if size is None:
                continue  # an image that cannot be read, which the survey says
            found = decode(file, *size)
            passed_all = not found.cells and any(fault.check == "passed_over" for fault in found.faults)
            rows[-1] |= {"height": size[0], "width": size[1], "annotated": not passed_all}
            own = [(at, f"{place}:{name}", kind) for name, kind in found.cells]
            notes += _notes(found.faults, at, place, len(cells), [spot for _, spot, _ in own])
            cells += own
            parts.append(found.masks)
    images_found = [path for _, paths in listed for path in paths]
    for file in partners.without_image(read, [*images_found, *passed]):
        planes = _of_a_plane(file, images_found, endings)
        passed[file] = spare.get(file) or planes or "there is no image of this annotation file's name"
    everything = sorted({**partners.passed, **passed}.items())
    notes += [passed_over(file, dataset.root, reason) for file, reason in everything]
    if not read:
        names = ", ".join(f"x{ending}" for ending in endings[:4])
        raise DataError(
            f"{dataset.root / dataset.annotations}: none of {len(rows)} images has "
            f"an annotation file ({names}, ... for an image x); correct images or annotations.",
            *folded([f"{path}: {reason}." for path, reason in everything]),
        )
    below = [Path(row["path"]).relative_to(dataset.root) for row in rows]
    table = pd.DataFrame(cells, columns=["image", "where", "cell_type"], dtype=object)
    source = Source(
        image_rows(rows), table.astype({"image": "int64"}), rle.concatenate(parts), notes_frame(notes)
    )
    return Listed(source, [name_texts(path) for path in below])


def _notes(faults: list[Fault], image: int, place: str, before: int, places: list[str]) -> Iterator[Note]:
    """Yield a note for each fault of a file at `place`, whose cells at `places` have rows from `before`."""
    for check, words, cell in faults:
        row, where = (-1, place) if cell < 0 else (before + cell, places[cell])
        yield Note(check, image, row, where, words)


def _of_a_plane(file: Path, images: Sequence[Path], endings: Sequence[str]) -> str | None:
    """Return why an annotation file that is named as one of a plane of a file of several is not read."""
    names = [file.name[: -len(ending)] for ending in endings if ends_in(file.name, ending)]
    name = min(names, key=len, default=file.stem)
    for path in images:
        if f"{identity(path)}__" in name and _size(path) is None:
            return (
                f"it is of one of several images in {path.name}, where none can be corrected; save that one "
                f"as {name}.tif, in place of {path.name}"
            )
    return None


def _images(
    folder: Path, dataset: Labels | Rois | GeoJson, endings: Sequence[str], passed: dict[Path, str]
) -> list[Path]:
    """Return a folder's images; what else looks like one joins `passed`, with why it is none."""
    annotations = dataset.root / dataset.annotations
    beside = annotations.resolve() == folder.resolve()
    apart = not beside and annotations.is_relative_to(folder)
    files = []
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder of images; correct root or images in the dataset file."
        )
    for path, reason in walk(folder):
        if apart and path.is_relative_to(annotations):
            continue
        if reason is None and (
            path.name.startswith(".") or (beside and any(ends_in(path.name, ending) for ending in endings))
        ):
            continue
        other = foreign(path)
        if reason is None and other is None and path.suffix.lower() not in SUFFIXES:
            continue
        if reason is None and is_result(identity(path)):
            reason = "by its name it is an earlier result, not an image; rename it if it is one"
        reason = reason or other
        if reason is None:
            files.append(path)
        else:
            passed[path] = reason
    labels = drawn(files, folder)
    cure = "; rename it if it is an image"
    if isinstance(dataset, Labels):
        cure += ", and call it x_masks if it has the cells of the image x"
    passed |= dict.fromkeys(labels, REASON + cure)
    files = [path for path in files if path not in labels]
    if not files:
        raise DataError(
            f"{folder}: there is no PNG, TIFF or JPEG image in this folder; correct root or images.",
            *folded([f"{path}: {reason}." for path, reason in sorted(passed.items())]),
        )
    return sorted(files)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return read_image(path).shape
    except ImageError:
        return None
