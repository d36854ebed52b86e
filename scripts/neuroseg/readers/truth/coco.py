"""COCO JSON: polygons, compressed and plain run lengths; annotations listed or, in LIVECell, keyed by id."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroseg.errors import DataError
from neuroseg.readers.dataset import Coco, Entry
from neuroseg.readers.experiment import describe
from neuroseg.readers.source import (
    Listed,
    Note,
    Source,
    distinct,
    folded,
    image_rows,
    name_texts,
    notes_frame,
    type_name,
)
from neuroseg.readers.truth import named
from neuroseg.readers.truth.ids import Ids
from neuroseg.readers.truth.outlines import decode


def read(dataset: Coco) -> Listed:
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
    found_all = notes_frame([*notes, *told, *faults])
    return Listed(Source(images, cells.drop(columns="entry"), masks, found_all))


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
    key, listed = _image_ids(content).key, (item.get("file_name") for item in content["images"])
    lying = named.Lying(root / entry.images, listed)
    annotated = Counter(key(item.get("image_id")) for item in content["annotations"])
    counts = [annotated[key(item.get("id"))] for item in content["images"]]
    index: dict[object, int] = {}
    taken: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    sentences: list[str] = []
    for number, item in _fullest_first(content["images"], counts):
        where = f"{entry.annotations}:images[{number}]"
        name = item.get("file_name")
        if not isinstance(name, str) or not name or "id" not in item:
            sentences.append(f"{where}: an image needs id and file_name; correct the entry.")
            continue
        try:
            places, at = lying.places(name), len(before) + len(rows)
        except OSError as error:
            sentences.append(
                f"{where}: file_name is no name of a file ({error.strerror}); correct the entry."
            )
            continue
        own = key(item["id"])
        if str(places[0]) in taken and own not in index:
            stays = taken[str(places[0])]
            count = annotated[own]
            words = f"the file {name} is listed twice; this listing's {count} annotations are left out"
            notes.append(Note("listed_twice", stays, -1, where, words))
            index[own] = -1
            continue
        size = named.size(item, places[0])
        if size is None:
            sentences.append(
                f"{where}: height and width are no size in pixels, and {places[0]} tells none; correct them."
            )
            continue
        if len(places) > 1:
            notes.append(
                Note("duplicate_id", at, -1, where, f"the file {name} lies at {places[0]} and at {places[1]}")
            )
        if own in index:
            notes.append(Note("duplicate_id", at, -1, where, f"the image's number {item['id']} occurs twice"))
        index.setdefault(own, at)
        taken[str(places[0])] = at
        rows.append({"path": str(places[0]), "where": where, "subset": entry.subset, "annotated": True})
        rows[-1] |= {"height": size[0], "width": size[1]}
    if sentences:
        raise DataError(*folded(sentences))
    return index, rows


def _image_ids(content: dict) -> Ids:
    return Ids(
        (item.get("id") for item in content["images"]),
        (item.get("image_id") for item in content["annotations"]),
    )


def _fullest_first(listed: list[dict], annotated: list[int]) -> Iterator[tuple[int, dict]]:
    """Yield the listings with their numbers in order; of one file that with most annotations first."""
    ranked = sorted(enumerate(listed), key=lambda pair: -annotated[pair[0]])
    of_file = defaultdict(list)
    for number, item in ranked:
        of_file[str(item.get("file_name"))].append((number, item))
    for _, pairs in sorted(of_file.items(), key=lambda named: min(number for number, _ in named[1])):
        yield from pairs


def _annotations(
    content: dict, entry: Entry, index: dict[object, int], before: int, notes: list[Note]
) -> list[tuple]:
    """Return (image, where, category) of each annotation."""
    names, category_of = _categories(content, entry)
    image_of = _image_ids(content).key
    numbered = Ids(item.get("id") for item in content["annotations"]).key
    seen, cells = set(), []
    for number, item in enumerate(content["annotations"]):
        row, where = before + number, f"{entry.annotations}:annotations[{number}]"
        key, own = image_of(item.get("image_id")), numbered(item.get("id"))
        image, category = index.get(key, -1), names.get(category_of(item.get("category_id")))
        if key not in index:
            notes.append(
                Note("unknown_image", -1, row, where, f"there is no image of number {item.get('image_id')}")
            )
        if "id" in item and own in seen:
            notes.append(
                Note(
                    "duplicate_annotation",
                    image,
                    row,
                    where,
                    f"the annotation's number {item['id']} occurs twice",
                )
            )
        seen.add(own)
        cells.append((image, where, category))
    return cells


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _categories(content: dict, entry: Entry) -> tuple[dict[object, str | None], Callable[[object], object]]:
    """Return the categories' names by id, and what an annotation's `category_id` is looked up by.

    Raises:
        DataError: one id has two names.
    """
    ids = Ids(
        (item.get("id") for item in content["categories"]),
        (item.get("category_id") for item in content["annotations"]),
    )
    names: dict[object, str | None] = {}
    for item in content["categories"]:
        name = type_name(item.get("name"))
        if names.setdefault(ids.key(item.get("id")), name) != name:
            raise DataError(
                f"{entry.annotations}: categories: the number {item.get('id')} stands for "
                f"'{names[ids.key(item.get('id'))]}' and '{name}'; give each category a number of its own."
            )
    return names, ids.key


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
