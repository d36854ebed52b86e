"""What a reader hands on: the raw rows, each with its place in the files, and what reading met on the way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from neuroseg import rle
from neuroseg.readers.pixels import SUFFIXES
from neuroseg.tables import DataError

FOLD_AFTER = 50
"""Sentences of one kind beyond this many are counted, not printed."""


class Note(NamedTuple):
    """What reading met: a check's name, the image and the annotation by position, -1 where none; the place; words."""

    check: str
    image: int
    row: int
    where: str
    message: str


class Source(NamedTuple):
    """Raw data, nothing mended in silence.

    Attributes:
        images: one row per image file or listing: image_id, path, where, height and width as the annotation states
            them (null where it does not), subset, annotated, and what the source knows of the experiment.
        annotations: one row per annotated object: image (position in `images`, -1 where unknown), where, cell_type.
        masks: mask i belongs to annotation i, canonical in the frame that its image's row states.
        notes: rows of `Note`: what reading found; where a note says that a mask was at fault, `masks` holds it mended.
    """

    images: pd.DataFrame
    annotations: pd.DataFrame
    masks: rle.Runs
    notes: pd.DataFrame


IMAGE_FIELDS = (
    *("image_id", "path", "where", "height", "width", "cell_type", "subset", "annotated"),
    *("sample", "plate", "well", "time", "treatment", "pixel_size_um"),
)


def image_rows(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Return raw image rows as a frame with every column, null where a row is silent."""
    rows = list(rows)
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in IMAGE_FIELDS})


def notes_frame(notes: Iterable[Note]) -> pd.DataFrame:
    """Return notes as a frame."""
    return pd.DataFrame(list(notes), columns=list(Note._fields)).astype({"image": "int64", "row": "int64"})


def folded(sentences: list[str]) -> list[str]:
    """Return the sentences, beyond `FOLD_AFTER` only their number."""
    more = len(sentences) - FOLD_AFTER
    return [*sentences[:FOLD_AFTER], f"... and {more} more of this kind."] if more > 0 else sentences


def identity(path: Path) -> str:
    """Return the file's name without its ending, .ome.tif counting as one."""
    return path.stem.removesuffix(".ome")


def image_files(folder: Path, recursive: bool = False) -> list[Path]:
    """Return the image files of a folder in the order of their names, hidden ones left out.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of images; correct root or images in the dataset file.")
    found = folder.rglob("*") if recursive else folder.iterdir()
    files = [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
