"""COCO JSON: polygons, compressed and plain run lengths; annotations listed or, in LIVECell, keyed by id."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg.errors import DataError
from neuroseg.readers.dataset import Coco, Entry
from neuroseg.readers.experiment import describe
from neuroseg.readers.outlines import decode
from neuroseg.readers.pixels import ImageError, read_image
from neuroseg.readers.source import (
    Note,
    Source,
    distinct,
    folded,
    image_files,
    image_rows,
    name_texts,
    notes_frame,
    type_name,
)


def read(dataset: Coco) -> Source:
    """Read every entry's JSON; image ids are file names without ending, so that they hold across files.

    Where two images in different folders have one name, their ids are their paths below the root. An image's
    cell type is the pattern's, else its annotations' category where they have but one. An entry whose file is
    absent is left out if it is optional.

    Raises:
        DataError: a file is absent or no COCO JSON, an image lacks its name or size, or no entry is left.
    """
    entries = [
        entry
        for entry in dataset.annotations
        if not entry.optional or (dataset.root / entry.annotations).is_file()
    ]
    if not entries:
        raise DataError(
            f"{dataset.root}: no entry's annotations are there, and all are optional; correct root."
        )
    rows: list[dict[str, Any]] = []
    found: list[tuple] = []
    items: list[dict] = []
    notes: list[Note] = []
    for number, entry in enumerate(entries):
        content = _load(dataset.root / entry.annotations)
        index, more = _images(content, entry, dataset.root, rows, notes)
        rows += more
        found += [(*cell, number) for cell in _annotations(content, entry, index, len(found), notes)]
        items += content["annotations"]
    below = [_below(Path(row["path"]), dataset.root) for row in rows]
    rows = [row | {"image_id": name} for row, name in zip(rows, distinct(below), strict=True)]
    images, told = describe(image_rows(rows), [name_texts(path) for path in below], dataset)
    cells = pd.DataFrame(found, columns=["image", "where", "cell_type", "entry"])
    images, cells = _cell_types(images, cells)
    nameless = cells[(cells["image"] >= 0) & cells["cell_type"].isna()].itertuples()
    notes += [
        Note(
            "unknown_cell_type",
            cell.image,
            cell.Index,
            cell.where,
            "its category is not listed, or has no name",
        )
        for cell in nameless
    ]
    masks, faults = decode(items, cells, images)
    return Source(images, cells.drop(columns="entry"), masks, notes_frame([*notes, *told, *faults]))


def _load(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: the annotations cannot be read ({error.strerror}); "
            "correct the entry, or mark it optional."
        ) from error
    except (ValueError, RecursionError) as error:  # broken JSON or UTF-8, or brackets without end
        raise DataError(f"{path}: the annotations are no JSON ({error}).") from error
    lists = {}
    for key in ("images", "annotations", "categories"):
        value = content.get(key) if isinstance(content, dict) else None
        value = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise DataError(f"{path}: this is no COCO file, it lacks the list '{key}'.")
        lists[key] = value
    return lists


def _images(
    content: dict, entry: Entry, root: Path, before: list[dict], notes: list[Note]
) -> tuple[dict[object, int], list[dict]]:
    """Return each COCO image id's position (-1 if another listing of its file stays) and the images' rows."""
    folder = root / entry.images
    lying = defaultdict(list)
    for path in image_files(folder, recursive=True):
        lying[path.name].append(path)
    annotated = Counter(_key(item.get("image_id")) for item in content["annotations"])
    index: dict[object, int] = {}
    taken: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    sentences: list[str] = []
    for number, item in _fullest_first(content["images"], annotated):
        where = f"{entry.annotations}:images[{number}]"
        name = item.get("file_name")
        if not isinstance(name, str) or not name or "id" not in item:
            sentences.append(f"{where}: an image needs id and file_name; correct the entry.")
            continue
        try:
            places, at = _places(name, folder, lying), len(before) + len(rows)
        except OSError as error:
            sentences.append(
                f"{where}: file_name is no name of a file ({error.strerror}); correct the entry."
            )
            continue
        if str(places[0]) in taken and _key(item["id"]) not in index:
            stays = taken[str(places[0])]
            count = annotated[_key(item["id"])]
            words = f"the file {name} is listed twice; this listing's {count} annotations are left out"
            notes.append(Note("listed_twice", stays, -1, where, words))
            index[_key(item["id"])] = -1
            continue
        size = _size(item, places[0])
        if size is None:
            sentences.append(
                f"{where}: height and width are no size in pixels, and {places[0]} tells none; correct them."
            )
            continue
        if len(places) > 1:
            notes.append(
                Note("duplicate_id", at, -1, where, f"the file {name} lies at {places[0]} and at {places[1]}")
            )
        if _key(item["id"]) in index:
            notes.append(Note("duplicate_id", at, -1, where, f"the image's number {item['id']} occurs twice"))
        index.setdefault(_key(item["id"]), at)
        taken[str(places[0])] = at
        rows.append({"path": str(places[0]), "where": where, "subset": entry.subset, "annotated": True})
        rows[-1] |= {"height": size[0], "width": size[1]}
    if sentences:
        raise DataError(*folded(sentences))
    return index, rows


def _fullest_first(listed: list[dict], annotated: Counter) -> Iterator[tuple[int, dict]]:
    """Yield the listings with their numbers in order; of one file that with most annotations first."""
    ranked = sorted(enumerate(listed), key=lambda pair: -annotated[_key(pair[1].get("id"))])
    of_file = defaultdict(list)
    for number, item in ranked:
        of_file[str(item.get("file_name"))].append((number, item))
    for _, pairs in sorted(of_file.items(), key=lambda named: min(number for number, _ in named[1])):
        yield from pairs


def _places(name: str, folder: Path, lying: dict[str, list[Path]]) -> list[Path]:
    """Return where an image may lie: as named, else by the longest common end; backslashes part folders."""
    if (folder / name).is_file():
        return [folder / name]
    parts = Path(name.replace("\\", "/")).parts
    direct = folder.joinpath(*parts)
    if direct.is_file():
        return [direct]
    for length in range(len(parts), 0, -1):
        found = [path for path in lying.get(parts[-1], []) if path.parts[-length:] == parts[-length:]]
        if found:
            return found
    return [direct]


def _size(item: dict, path: Path) -> tuple[int, int] | None:
    """Return an image's height and width as stated, else as its file has them; None where neither tells."""
    stated = item.get("height"), item.get("width")
    if stated == (None, None):
        try:
            return read_image(path).shape
        except ImageError:
            return None
    height, width = (_key(side) for side in stated)
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    return (height, width) if 1 <= min(height, width) <= max(height, width) <= 2**15 else None


def _annotations(
    content: dict, entry: Entry, index: dict[object, int], before: int, notes: list[Note]
) -> list[tuple]:
    """Return (image, where, category) of each annotation."""
    names = {_key(item.get("id")): type_name(item.get("name")) for item in content["categories"]}
    seen, cells = set(), []
    for number, item in enumerate(content["annotations"]):
        row, where = before + number, f"{entry.annotations}:annotations[{number}]"
        key = _key(item.get("image_id"))
        image, category = index.get(key, -1), names.get(_key(item.get("category_id")))
        if key not in index:
            notes.append(
                Note("unknown_image", -1, row, where, f"there is no image of number {item.get('image_id')}")
            )
        if "id" in item and _key(item["id"]) in seen:
            notes.append(
                Note(
                    "duplicate_annotation",
                    image,
                    row,
                    where,
                    f"the annotation's number {item['id']} occurs twice",
                )
            )
        seen.add(_key(item.get("id")))
        cells.append((image, where, category))
    return cells


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _key(number: Any) -> int | str:
    """Return a COCO id to look up: 1, 1.0 and "1" are one number, since files write all three."""
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        return str(number)
    return int(value) if value.is_integer() and abs(value) < 2**53 else str(number)


def _cell_types(images: pd.DataFrame, cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give images the one category of their cells, and cells the type that a pattern told of their image."""
    told = images["cell_type"].to_numpy(object)
    known = cells[(cells["image"] >= 0) & cells["cell_type"].notna()]
    kinds = known.groupby("image")["cell_type"].agg(["nunique", "first"])
    only = kinds.loc[kinds["nunique"] == 1, "first"]
    filled = [kind if kind is not None else only.get(at) for at, kind in enumerate(told)]
    of_image = np.array([*told, None], object)[cells["image"].to_numpy(np.int64)]
    own = [
        kind if kind is not None else mine for kind, mine in zip(of_image, cells["cell_type"], strict=True)
    ]
    return images.assign(cell_type=pd.Series(filled, dtype=object)), cells.assign(
        cell_type=pd.Series(own, dtype=object)
    )
