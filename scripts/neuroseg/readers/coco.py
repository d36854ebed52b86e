"""COCO JSON: polygons, compressed and plain run lengths; annotations as a list or, as LIVECell's, keyed by their id."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from neuroseg import rle
from neuroseg.readers.dataset import Coco, Entry
from neuroseg.readers.experiment import describe
from neuroseg.readers.source import Note, Source, folded, identity, image_files, image_rows, notes_frame
from neuroseg.tables import DataError

_SLACK = 1.0
"""Polygons are drawn on pixel corners or centres; a vertex this far past the frame is a habit, not a fault."""


def read(dataset: Coco) -> Source:
    """Read every entry's JSON; image ids are file names without ending, so that they hold across files.

    An image's cell type is the pattern's, else its annotations' category where they have but one. An entry whose file
    is absent is left out if it is optional.

    Raises:
        DataError: a file is absent or no COCO JSON, an image lacks its name or size, or no entry is left.
    """
    entries = [
        entry for entry in dataset.annotations if not entry.optional or (dataset.root / entry.annotations).is_file()
    ]
    if not entries:
        raise DataError(f"{dataset.root}: no entry's annotations are there, and all are optional; correct root.")
    rows, cells, segmentations, notes = [], [], [], []
    for entry in entries:
        content = _load(dataset.root / entry.annotations)
        index, more = _images(content["images"], entry, dataset.root, rows, notes)
        rows += more
        found, masks = _annotations(content, entry, index, len(cells), notes)
        cells += found
        segmentations += masks
    images, told = describe(image_rows(rows), [identity(Path(row["path"])) for row in rows], dataset)
    cells = pd.DataFrame(cells, columns=["image", "where", "cell_type"])
    images, cells = _cell_types(images, cells)
    nameless = cells[(cells["image"] >= 0) & cells["cell_type"].isna()].itertuples()
    notes += [
        Note("unknown_cell_type", cell.image, cell.Index, cell.where, "its category is not listed") for cell in nameless
    ]
    masks, faults = _decode(segmentations, cells, images)
    return Source(images, cells, masks, notes_frame([*notes, *told, *faults]))


def _load(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: the annotations cannot be read ({error.strerror}); correct the entry, or mark it optional."
        ) from error
    except ValueError as error:  # broken JSON or broken UTF-8
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
    listed: list[dict], entry: Entry, root: Path, before: list[dict], notes: list[Note]
) -> tuple[dict[object, int], list[dict]]:
    """Return the position of each COCO image id, and the rows of the entry's images."""
    folder = root / entry.images
    lying = defaultdict(list)
    for path in image_files(folder, recursive=True):
        lying[path.name].append(path)
    index, rows, sentences = {}, [], []
    for number, item in enumerate(listed):
        where = f"{entry.annotations}:images[{number}]"
        name, size = item.get("file_name"), (item.get("height"), item.get("width"))
        sound = all(type(side) in (int, float) and 1 <= side <= 2**15 and side == int(side) for side in size)
        if not isinstance(name, str) or not name or "id" not in item or not sound:
            sentences.append(f"{where}: an image needs id, file_name, height and width; correct the entry.")
            continue
        direct, at = folder / name, len(before) + len(rows)
        places = [direct] if direct.is_file() else lying.get(Path(name).name, [direct])
        if len(places) > 1:
            notes.append(Note("duplicate_id", at, -1, where, f"the file {name} lies at {places[0]} and at {places[1]}"))
        if _key(item["id"]) in index:
            notes.append(Note("duplicate_id", at, -1, where, f"the image's number {item['id']} occurs twice"))
        index.setdefault(_key(item["id"]), at)
        row = {"image_id": identity(Path(name)), "path": str(places[0]), "where": where, "subset": entry.subset}
        rows.append({**row, "height": int(size[0]), "width": int(size[1]), "annotated": True})
    if sentences:
        raise DataError(*folded(sentences))
    return index, rows


def _annotations(
    content: dict, entry: Entry, index: dict[object, int], before: int, notes: list[Note]
) -> tuple[list[tuple], list[object]]:
    """Return (image, where, category) and the segmentation of each annotation."""
    names = {_key(item.get("id")): item.get("name") for item in content["categories"]}
    seen, cells, segmentations = set(), [], []
    for number, item in enumerate(content["annotations"]):
        row, where = before + number, f"{entry.annotations}:annotations[{number}]"
        image, category = index.get(_key(item.get("image_id")), -1), names.get(_key(item.get("category_id")))
        if image < 0:
            notes.append(Note("unknown_image", -1, row, where, f"there is no image of number {item.get('image_id')}"))
        if item.get("iscrowd"):
            notes.append(Note("crowd", image, row, where, "the mask is marked as a crowd, not as one cell"))
        if "id" in item and _key(item["id"]) in seen:
            notes.append(
                Note("duplicate_annotation", image, row, where, f"the annotation's number {item['id']} occurs twice")
            )
        seen.add(_key(item.get("id")))
        cells.append((image, where, category))
        segmentations.append(item.get("segmentation"))
    return cells, segmentations


def _key(number: object) -> object:
    """Return a COCO id as something to look up: some files write numbers as text."""
    return number if isinstance(number, int) else str(number)


def _cell_types(images: pd.DataFrame, cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give images the one category of their cells, and cells the type that the pattern told of their image."""
    told = images["cell_type"].to_numpy(object)
    known = cells[(cells["image"] >= 0) & cells["cell_type"].notna()]
    kinds = known.groupby("image")["cell_type"].agg(["nunique", "first"])
    only = kinds.loc[kinds["nunique"] == 1, "first"]
    filled = [kind if kind is not None else only.get(at) for at, kind in enumerate(told)]
    of_image = np.append(told, None)[cells["image"].to_numpy(np.int64)]
    own = [kind if kind is not None else mine for kind, mine in zip(of_image, cells["cell_type"], strict=True)]
    return images.assign(cell_type=pd.Series(filled, dtype=object)), cells.assign(
        cell_type=pd.Series(own, dtype=object)
    )


def _decode(segmentations: list[object], cells: pd.DataFrame, images: pd.DataFrame) -> tuple[rle.Runs, list[Note]]:
    """Return the masks in the order of the annotations (without runs where the image is unknown), and their faults."""
    order, parts, notes = [], [], []
    for image, members in cells.groupby("image", sort=True).groups.items():
        height, width = (1, 1) if image < 0 else (images["height"][image], images["width"][image])
        counts = []
        for row in members:
            text, check, message = (None, None, None) if image < 0 else _counts(segmentations[row], height, width)
            if check:
                notes.append(Note(check, image, row, cells["where"][row], message))
            counts.append(text if text is not None else rle.from_uncompressed([height * width], height, width))
        order.append(members.to_numpy())
        parts.append(rle.from_coco(counts, height, width))
    back = np.argsort(np.concatenate(order), kind="stable") if order else np.zeros(0, np.int64)
    return rle.take(rle.concatenate(parts), back), notes


def _counts(shape: object, height: int, width: int) -> tuple[bytes | None, str | None, str | None]:
    """Return one segmentation as compressed counts, or None, and the name and words of its fault, if any."""
    if isinstance(shape, dict):
        return _run_lengths(shape, height, width)
    polygons = shape if isinstance(shape, list) and shape else [None]
    try:
        corners = [np.asarray(polygon, np.float64) for polygon in polygons]
    except (TypeError, ValueError):
        corners = [np.zeros(0)]
    if not all(points.ndim == 1 and points.size >= 6 and points.size % 2 == 0 for points in corners):
        return None, "rle_syntax", "the segmentation is no polygon of three or more corners x, y, and no run lengths"
    frame = np.array([width, height], np.float64)
    apart = np.concatenate([points.reshape(-1, 2) for points in corners])
    if not (np.abs(apart) < 10 * frame).all():
        return None, "rle_syntax", "the polygon has corners that are no numbers, or are very far outside the frame"
    text = rle.from_polygons([points.tolist() for points in corners], height, width)
    if (apart < -_SLACK).any() or (apart > frame + _SLACK).any():
        return text, "rle_range", f"the polygon reaches past the frame of {height} x {width} pixels"
    return text, None, None


def _run_lengths(shape: dict, height: int, width: int) -> tuple[bytes | None, str | None, str | None]:
    counts, size = shape.get("counts"), shape.get("size")
    if size != [height, width]:
        return None, "rle_syntax", f"the run lengths are of a frame {size}, the image of {[height, width]}"
    try:
        if isinstance(counts, list):
            plain = [int(count) for count in counts]
            if (
                any(count < 0 or count != given for count, given in zip(plain, counts, strict=True))
                or sum(plain) != height * width
            ):
                raise ValueError("plain run lengths must fill the frame")
            return rle.from_uncompressed(plain, height, width), None, None
        text = counts.encode()
        rle.from_coco([text], height, width)
    except (AttributeError, TypeError, ValueError):
        return None, "rle_syntax", f"the run lengths do not fill a frame of {height} x {width} pixels"
    return text, None, None
