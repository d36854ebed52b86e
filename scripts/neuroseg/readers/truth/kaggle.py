"""The competition's layout: train.csv with a row per cell, and folders of images named by their id."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.dataset import Kaggle
from neuroseg.readers.experiment import describe
from neuroseg.readers.source import (
    Listed,
    Note,
    Source,
    folded,
    image_files,
    image_rows,
    notes_frame,
)
from neuroseg.readers.truth.order import kaggle_fault
from neuroseg.readers.words import identity

_NEEDED = ("id", "annotation", "width", "height", "cell_type")
_METADATA = ("plate_time", "sample_date", "sample_id", "elapsed_timedelta")

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}

_FAULTS = {
    rle.SYNTAX: ("rle_syntax", "the mask is no list of pairs 'start length' of positive numbers: '{text}'"),
    rle.ORDER: ("rle_order", "the mask's runs do not ascend"),
    rle.RANGE: ("rle_range", "the mask reaches past the frame of {height} x {width} pixels"),
    rle.OVERLAP: ("rle_overlap", "the mask names a pixel twice"),
}


def read(dataset: Kaggle) -> Listed:
    """Read the CSV and list the folders; sort nothing, mend nothing.

    Images of `test_images` are the test subset; those of `unlabelled`, and those of `images` that no row
    names, carry no annotation. A row with an empty annotation is an image without cells, where it is its
    image's only row.

    Images of `left_out` are left out, and so are their rows.

    Raises:
        DataError: the CSV or a folder cannot be read, or a row lacks its id or size.
    """
    table = _read_table(dataset)
    first = table.drop_duplicates("id")
    number = {name: at for at, name in enumerate(first["id"])}
    image = table["id"].map(number).to_numpy(np.int64)
    notes = _conflicts(table, first, image)
    files = [path for folder in dataset.images for path in image_files(dataset.root / folder)]
    files = [path for path in files if identity(path) not in dataset.left_out]
    rows = _annotated(first, files, dataset)
    for row, oddity in _unannotated(files, {row["path"] for row in rows}, set(number), dataset):
        if oddity:
            notes.append(Note("image_unlisted", len(rows), -1, row["where"], oddity))
        rows.append(row)
    images, told = describe(
        image_rows(rows), [(row.get("sample") or row["image_id"],) for row in rows], dataset
    )
    keep = ~((table["annotation"] == "").to_numpy() & (np.bincount(image)[image] == 1))
    cells = pd.DataFrame({"image": image[keep], "where": table["where"].to_numpy()[keep]})
    cells["cell_type"] = images["cell_type"].to_numpy()[cells["image"]]
    _refuse_other_order(table["annotation"].to_numpy()[keep], cells, images, dataset)
    masks, faults = _decode(table["annotation"].to_numpy()[keep], cells, images)
    return Listed(Source(images, cells, masks, notes_frame([*notes, *told, *faults])))


def _read_table(dataset: Kaggle) -> pd.DataFrame:
    """Return the rows as text with `where`, sizes as numbers."""
    path = dataset.root / dataset.annotations
    try:
        content = path.read_bytes()
        form = _form(content)
        table = pd.read_csv(
            io.BytesIO(content),
            **form,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            index_col=False,
        )
    except OSError as error:
        raise DataError(
            f"{path}: the annotations cannot be read ({error.strerror}); correct root or annotations."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: the annotations are no CSV table in UTF-8 ({error.reason}); "
            "save them as CSV UTF-8, as Excel calls it."
        ) from error
    except ValueError as error:  # the parser's own errors, an empty file
        reason = str(error).splitlines()[0].rstrip(".").replace("Error tokenizing data. C error: ", "")
        raise DataError(f"{path}: the annotations are no CSV table ({reason}).") from error
    table.columns = table.columns.str.strip()
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        held = ", ".join(name[:40] for name in table.columns[:8])
        raise DataError(
            f"{path}: the annotations lack the column{plural} {', '.join(missing)}: "
            f"parted by {_SEPARATORS[form['sep']]} they hold {held}; "
            f"they need {', '.join(_NEEDED)}."
        )
    table = table.reindex(columns=[*_NEEDED, *_METADATA], fill_value="").fillna("")
    table["where"] = [f"{dataset.annotations}:{line}" for line in range(2, len(table) + 2)]
    blank = (table[[*_NEEDED, *_METADATA]] == "").all(axis=1)
    table = table[~blank & ~table["id"].isin(dataset.left_out)].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{path}: the annotations hold no row.")
    sizes = table[["width", "height"]].apply(pd.to_numeric, errors="coerce")
    broken = table["id"] == "", ~((sizes >= 1) & (sizes % 1 == 0) & (sizes <= 2**15)).all(axis=1)
    sentences = [f"{where}: the id is empty; name the image." for where in table["where"][broken[0]]]
    for where, width, height in table.loc[broken[1], ["where", "width", "height"]].itertuples(index=False):
        sentences.append(
            f"{where}: width '{width}' and height '{height}' are no size in pixels; correct them."
        )
    if sentences:
        raise DataError(*folded(sentences))
    return table.assign(width=sizes["width"].astype("int64"), height=sizes["height"].astype("int64"))


def _form(content: bytes) -> dict[str, Any]:
    """Return how pandas must read a file: its encoding, and what parts most of the columns that are needed.

    Raises:
        UnicodeDecodeError: the file's head is no text in UTF-8, or in UTF-16 that says so at its beginning.
    """
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    with io.TextIOWrapper(io.BytesIO(content), encoding) as text:
        head = text.readline(2**16).rstrip("\n")
    if "\0" in head:
        raise UnicodeDecodeError(encoding, b"", 0, 1, "it has bytes of 0, as UTF-16 does")
    found = {
        separator: len(set(_NEEDED) & {name.strip().strip('"') for name in head.split(separator)})
        for separator in _SEPARATORS
    }
    separator = max(found, key=found.__getitem__)
    return {"sep": separator, "skipinitialspace": f"{separator} " in head, "encoding": encoding}


def _conflicts(table: pd.DataFrame, first: pd.DataFrame, image: np.ndarray) -> list[Note]:
    """Note the first row of each image that disagrees with the image's first row."""
    columns = np.array(["width", "height", "cell_type", *_METADATA])
    differs = table[columns].to_numpy(object) != first[columns].to_numpy(object)[image]
    rows = np.flatnonzero(differs.any(axis=1))
    rows = rows[~pd.Series(image[rows]).duplicated()]
    start = first["where"].to_numpy()[image]
    words = [
        f"{' and '.join(columns[differs[row]])} differ from those of the image's first row, {start[row]}"
        for row in rows
    ]
    return [
        Note("metadata_conflict", image[row], -1, table["where"][row], message)
        for row, message in zip(rows, words, strict=True)
    ]


def _annotated(first: pd.DataFrame, files: list[Path], dataset: Kaggle) -> list[dict]:
    """Return a row for each image of the CSV."""
    found = {identity(path): path for path in reversed(files)}
    return [
        {
            "image_id": row.id,
            "path": str(found.get(row.id, dataset.root.joinpath(*dataset.images[:1], f"{row.id}.png"))),
            "where": row.where,
            "height": row.height,
            "width": row.width,
            "cell_type": row.cell_type or None,
            "subset": "train",
            "annotated": True,
            "sample": row.sample_id or None,
            "time": row.elapsed_timedelta or None,
        }
        for row in first.itertuples(index=False)
    ]


def _unannotated(
    files: list[Path], taken: set[str], known: set[str], dataset: Kaggle
) -> Iterator[tuple[dict, str | None]]:
    """Yield a row for each image file that is nobody's annotated image, and what is odd about it.

    A second file of an image that the CSV names comes too: it shows as a duplicate id.
    """
    folders = [("test", name) for name in dataset.test_images] + [
        ("train", name) for name in dataset.unlabelled
    ]
    extra = [(path, "train", identity(path) not in known) for path in files if str(path) not in taken]
    extra += [(path, subset, False) for subset, name in folders for path in image_files(dataset.root / name)]
    for path, subset, unlisted in extra:
        where = path.relative_to(dataset.root).as_posix()
        row = {
            "image_id": identity(path),
            "path": str(path),
            "where": where,
            "subset": subset,
            "annotated": False,
        }
        yield row, f"{dataset.annotations} has no row of this image" if unlisted else None


def _refuse_other_order(
    texts: np.ndarray, cells: pd.DataFrame, images: pd.DataFrame, dataset: Kaggle
) -> None:
    frames = images.loc[cells["image"], ["height", "width"]].reset_index(drop=True)
    for (height, width), members in frames.groupby(["height", "width"], sort=True).groups.items():
        fault = kaggle_fault(texts[members].tolist(), height, width)
        if fault:
            raise DataError(
                f"{dataset.root / dataset.annotations}: in the frames of {height} x {width} pixels {fault}; "
                "this format goes row by row and counts from 1: write the masks again so."
            )


def _decode(texts: np.ndarray, cells: pd.DataFrame, images: pd.DataFrame) -> tuple[rle.Runs, list[Note]]:
    """Return the masks in the order of `cells`, and their faults."""
    frames = images.loc[cells["image"], ["height", "width"]].reset_index(drop=True)
    order, parts, notes = [], [], []
    for (height, width), members in frames.groupby(["height", "width"], sort=True).groups.items():
        runs, faults = rle.from_kaggle(texts[members].tolist(), height, width)
        order.append(members.to_numpy())
        parts.append(runs)
        for at in np.flatnonzero(faults):
            row = members[at]
            text = texts[row] if len(texts[row]) < 40 else texts[row][:37] + "..."
            for bit, (check, message) in _FAULTS.items():
                if faults[at] & bit:
                    words = message.format(text=text, height=height, width=width)
                    notes.append(Note(check, cells["image"][row], row, cells["where"][row], words))
    back = np.argsort(np.concatenate(order), kind="stable") if order else np.zeros(0, np.int64)
    return rle.take(rle.concatenate(parts), back), notes
