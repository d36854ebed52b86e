"""What a reader hands on: the raw rows, each with its place in the files, and what reading met on the way."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.found import walk
from neuroseg.readers.images.pixels import SUFFIXES
from neuroseg.readers.words import composed, identity

FOLD_AFTER = 50
"""Sentences of one kind beyond this many are counted, not printed."""

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|^[ .]|[ .]$')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 150
"""What Windows refuses in names, or Linux; bytes that leave room for an ending."""


class Note(NamedTuple):
    """What reading met: a check's name; image and annotation by position, -1 where none; the place; words."""

    check: str
    image: int
    row: int
    where: str
    message: str


def passed_over(file: Path, root: Path, reason: str) -> Note:
    """Return the note that a file below the root is not read."""
    return Note("passed_over", -1, -1, file.relative_to(root).as_posix(), reason)


class Source(NamedTuple):
    """Raw data, nothing mended in silence.

    Attributes:
        images: one row per image file or listing: image_id, path, where, height and width as the annotation
            states them (null where it does not), subset, annotated, and what the source knows of the
            experiment.
        annotations: one row per annotated object: image (position in `images`, -1 where unknown), where,
            cell_type.
        masks: mask i belongs to annotation i, canonical in the frame that its image's row states.
        notes: rows of `Note`: what reading found; where a note says that a mask was at fault, `masks` holds
            it mended.
    """

    images: pd.DataFrame
    annotations: pd.DataFrame
    masks: rle.Runs
    notes: pd.DataFrame


class Listed(NamedTuple):
    """Raw data before names are asked for plates, wells and times.

    Attributes:
        source: the raw data.
        texts: of each image what a pattern is tried on; None where the reader has asked the names itself, as
            those do whose annotations need what names tell.
        frames: of each image how many time points its file holds; None where each holds one.
    """

    source: Source
    texts: Sequence[Sequence[str]] | None = None
    frames: Sequence[int] | None = None


IMAGE_FIELDS = (
    *("image_id", "path", "where", "height", "width", "cell_type", "subset", "annotated"),
    *(
        "sample",
        "plate",
        "well",
        "field",
        "time",
        "treatment",
        "dose",
        "dose_unit",
        "control",
        "pixel_size_um",
    ),
)


def image_rows(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Return raw image rows as a frame with every column, null where a row is silent.

    Raises:
        DataError: an image's path is no Unicode, as names of old archives are, so that no table can hold it.
    """
    rows = list(rows)
    strange = [str(row["path"]) for row in rows if written(str(row["path"])) != row["path"]]
    if strange:
        raise DataError(
            *folded(
                [
                    f"{written(path)}: the name is not UTF-8, and no table can hold it; rename it "
                    "(`convmv -f latin1 -t utf8 --notest -r` renames all in a folder)."
                    for path in strange
                ]
            )
        )
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in IMAGE_FIELDS}
    )


def notes_frame(notes: Iterable[Note]) -> pd.DataFrame:
    """Return notes as a frame, names of other bytes than UTF-8 as files can hold them."""
    notes = [note._replace(where=written(note.where), message=written(note.message)) for note in notes]
    return pd.DataFrame(notes, columns=list(Note._fields)).astype({"image": "int64", "row": "int64"})


def written(text: str) -> str:
    """Return a text that a file can hold: what is no Unicode, such as bytes of a Latin-1 name, by number."""
    return text.encode(errors="backslashreplace").decode()


def type_name(value: object) -> str | None:
    """Return what a file calls a cell's type; numbers are names too, and None is all that cannot be one."""
    text = value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""
    return text if text.strip() and text.isprintable() else None


def folded(sentences: list[str]) -> list[str]:
    """Return the sentences, beyond `FOLD_AFTER` only their number."""
    more = len(sentences) - FOLD_AFTER
    return [*sentences[:FOLD_AFTER], f"... and {more} more of this kind."] if more > 0 else sentences


def name_texts(path: Path) -> tuple[str, ...]:
    """Return what a pattern is tried on: the name without ending, then with ever more folders above it.

    For `p1/day2/a.tif`: a, day2/a, p1/day2/a.
    """
    parts = (*path.parts[:-1], identity(path))
    return tuple("/".join(parts[-number:]) for number in range(1, len(parts) + 1))


def distinct(paths: list[Path]) -> list[str]:
    """Return each image's id: its file's name or, where others have it too, its path, slashes as underscores.

    One path that occurs twice has one id twice.
    """
    named: dict[str, set[Path]] = {}
    for path in paths:
        named.setdefault(identity(path), set()).add(path)
    return [
        identity(path) if len(named[identity(path)]) == 1 else "__".join((*path.parts[:-1], identity(path)))
        for path in paths
    ]


def file_name(image_id: str) -> str:
    """Return an image's id as a file's name on any system; where it must change, a digest keeps it apart."""
    plain = _UNSAFE.sub("_", image_id)
    sound = plain == image_id and len(image_id.encode()) <= _LONGEST and not _RESERVED.fullmatch(image_id)
    return image_id if sound else marked(image_id)


def file_names(image_ids: Sequence[str]) -> list[str]:
    """Return a file name per id; names that differ in capitals alone, one on many systems, are kept apart."""
    names = [file_name(image_id) for image_id in image_ids]
    alike = [composed(name).casefold() for name in names]
    number = Counter(alike)
    return [
        name if number[same] == 1 else marked(image_id)
        for image_id, name, same in zip(image_ids, names, alike, strict=True)
    ]


def relative_files(paths: Iterable[str]) -> list[str]:
    """Return where images lie below the folder of all, parted by slashes: what holds elsewhere too."""
    paths = list(paths)
    folder = os.path.commonpath([Path(path).parent for path in paths] or [Path()])
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def marked(image_id: str) -> str:
    """Return an image's id as the name of a file that ends in a digest of it."""
    plain = _UNSAFE.sub("_", image_id).encode()[:_LONGEST].decode(errors="ignore")
    return f"{plain}~{hashlib.blake2b(image_id.encode(), digest_size=5).hexdigest()}"


def image_files(folder: Path, recursive: bool = False) -> list[Path]:
    """Return a folder's image files sorted by name, hidden ones left out; links are followed.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder of images; correct root or images in the dataset file."
        )
    found = (path for path, reason in walk(folder) if reason is None) if recursive else folder.iterdir()
    files = [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(
        path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
