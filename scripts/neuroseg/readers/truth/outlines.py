"""COCO's segmentations to masks: polygons, run lengths, held against the box and area stated beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import rle
from neuroseg.readers.source import Note
from neuroseg.readers.truth.corners import beyond, normalised
from neuroseg.readers.truth.order import joined_share, other_way

_TURNED = (
    "the outline fits only read the other way round, row by row (x and y changed over); "
    "COCO's run lengths go down the columns and its corners are x, y: export it again"
)


class _Outline(NamedTuple):
    """A segmentation as read: compressed counts or None; what reads it the other way; faults and words."""

    counts: bytes | None
    turned: Callable[[], rle.Runs] | None
    faults: tuple[tuple[str, str], ...] = ()


def decode(items: list[dict], cells: pd.DataFrame, images: pd.DataFrame) -> tuple[rle.Runs, list[Note]]:
    """Return the masks in the annotations' order (without runs where the image is unknown), and their faults.

    Args:
        items: the annotations as the files hold them.
        cells: of each annotation image (position in `images`, -1 where unknown), where, and entry, its file's
            number.
        images: raw images with height and width.
    """
    order, parts, notes = [], [], []
    for image, members in cells.groupby("image", sort=True).groups.items():
        height, width = (1, 1) if image < 0 else (images["height"][image], images["width"][image])
        outlines = [
            _Outline(None, None) if image < 0 else _outline(items[row], height, width) for row in members
        ]
        empty = rle.from_uncompressed([height * width], height, width)
        masks = rle.from_coco(
            [empty if one.counts is None else one.counts for one in outlines], height, width
        )
        shares = joined_share(masks, width)
        for at, (row, one) in enumerate(zip(members, outlines, strict=True)):
            faults = list(one.faults)
            if one.turned is not None:
                faults += _compared(
                    items[row], rle.take(masks, [at]), one.turned, shares[at : at + 1], height, width
                )
            notes += [Note(check, image, row, cells["where"][row], words) for check, words in faults]
        order.append(members.to_numpy())
        parts.append(masks)
    back = np.argsort(np.concatenate(order), kind="stable") if order else np.zeros(0, np.int64)
    masks = rle.take(rle.concatenate(parts), back)
    return masks, [*notes, *_crowds(items, cells, images, masks)]


def is_crowd(item: dict) -> bool:
    """Return whether an annotation is marked `iscrowd`, which some files write as text."""
    return str(item.get("iscrowd", 0)).strip().lower() in ("1", "1.0", "true")


# ------------------------------------------------------------------------------------------- one segmentation


def _outline(item: dict, height: int, width: int) -> _Outline:
    shape = item.get("segmentation")
    if isinstance(shape, dict) and shape:
        return _run_lengths(shape, height, width)
    if not shape or shape == [[]]:
        box = (
            "a box but no outline: boxes do not tell which pixels are cells"
            if item.get("bbox")
            else "no outline"
        )
        return _Outline(None, None, (("no_outline", f"the annotation has {box}"),))
    rings = [_ring(part, height, width) for part in _parts(shape)]
    sound = [ring for ring in rings if ring is not None]
    if not sound:
        words = (
            "the segmentation is no polygon of three or more corners x, y near the frame, and no run lengths"
        )
        return _Outline(None, None, (("rle_syntax", words),))
    faults = []
    if len(sound) < len(rings):
        words = (
            f"{len(rings) - len(sound)} of the outline's {len(rings)} rings "
            "are no polygons of three or more corners"
        )
        faults.append(("broken_ring", words))
    corners = np.concatenate(sound)
    if shares := normalised(corners, height, width):
        return _Outline(None, None, (("rle_syntax", shares),))
    if past := beyond(corners, height, width):
        faults.append(("rle_range", past))
    try:
        counts = rle.from_polygons([ring.ravel().tolist() for ring in sound], height, width)
    except ValueError as error:
        return _Outline(None, None, (*faults, ("rle_syntax", str(error))))

    def turned() -> rle.Runs:
        try:
            swapped = rle.from_polygons([ring[:, ::-1].ravel().tolist() for ring in sound], height, width)
        except ValueError:  # that way round it leaves the frame
            return rle.concatenate([])
        return rle.from_coco([swapped], height, width)

    return _Outline(counts, turned, tuple(faults))


def _parts(shape: object) -> list[object]:
    """Return the rings of a polygon: as COCO has them, given flat, or with each corner as a pair."""
    if not isinstance(shape, list):
        return [None]
    if all(isinstance(number, int | float) for number in shape):
        return [shape]
    pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in shape)
    return (
        [shape]
        if pairs and all(isinstance(number, int | float) for pair in shape for number in pair)
        else shape
    )


def _ring(part: object, height: int, width: int) -> np.ndarray | None:
    """Return the corners of a ring, shape (corners, 2), or None where it is no polygon near the frame."""
    try:
        corners = np.asarray(part, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if (
        corners.size < 6
        or corners.size % 2
        or corners.ndim > 2
        or (corners.ndim == 2 and corners.shape[1] != 2)
    ):
        return None
    corners = corners.reshape(-1, 2)
    return corners if (np.abs(corners) < 10 * np.array([width, height])).all() else None


def _run_lengths(shape: dict, height: int, width: int) -> _Outline:
    counts, size = shape.get("counts"), shape.get("size")
    if size not in ([height, width], [width, height]):
        words = f"the run lengths are of a frame {size}, the image of {[height, width]}"
        return _Outline(None, None, (("rle_syntax", words),))
    try:
        if not isinstance(counts, list | str):
            raise TypeError("run lengths are a list or a text")
        text = rle.from_uncompressed(counts, height, width) if isinstance(counts, list) else counts.encode()
        rle.from_coco([text], height, width)
    except (TypeError, ValueError):
        words = f"the run lengths do not fill a frame of {height} x {width} pixels"
        return _Outline(None, None, (("rle_syntax", words),))
    if size != [height, width]:
        return _Outline(
            None, None, (("turned_mask", f"the frame is given as {size}, width first: {_TURNED}"),)
        )
    return _Outline(text, lambda: rle.from_coco_lying([text], width, height))


# ----------------------------------------------------------------------------------- what is stated beside it


def _compared(
    item: dict, mask: rle.Runs, turn: Callable[[], rle.Runs], share: np.ndarray, height: int, width: int
) -> list[tuple[str, str]]:
    """Return where a mask disagrees with the box and the area stated beside it, or falls apart."""
    stated, area = _numbers(item.get("bbox"), 4), _numbers([item.get("area")], 1)
    box = rle.boxes(mask, width)[0].astype(float)
    pixels = int(rle.areas(mask)[0])
    if stated is not None and stated[2:].min() > 0:
        sides = np.clip([*stated[:2], *(stated[:2] + stated[2:])], 0, [width, height] * 2)
        if not _alike(box, sides):
            turned = turn()
            if len(turned.start) and _alike(rle.boxes(turned, width)[0], sides):
                return [("turned_mask", _TURNED)]
            corners = (
                " (its four numbers would fit as left, top, right, bottom)" if _alike(box, stated) else ""
            )
            words = (
                f"the outline's box is {_listed(box)} (left, top, right, bottom), bbox gives {_listed(sides)}"
            )
            return [("box_mismatch", f"{words}{corners}")]
    elif isinstance(item.get("segmentation"), dict) and other_way(share, joined_share(turn(), width))[0]:
        return [("turned_mask", _TURNED)]
    if (
        area is not None
        and area[0] > 0
        and abs(area[0] - pixels) > max(0.2 * pixels, 2 * np.sum(box[2:] - box[:2]))
    ):
        return [("area_mismatch", f"the outline has {pixels} pixels, its area is given as {area[0]:g}")]
    return []


def _alike(box: np.ndarray, stated: np.ndarray) -> bool:
    """Return whether two boxes agree to 2 pixels and a twentieth of the stated one's longer side."""
    return bool(np.abs(box - stated).max() <= 2 + 0.05 * max(stated[2] - stated[0], stated[3] - stated[1], 0))


def _numbers(values: object, count: int) -> np.ndarray | None:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def _listed(numbers: np.ndarray) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


# ---------------------------------------------------------------------------------------------------- iscrowd


def _crowds(items: list[dict], cells: pd.DataFrame, images: pd.DataFrame, masks: rle.Runs) -> list[Note]:
    """Tell whole cells that a tool marked `iscrowd` from regions of many cells.

    Where a file marks every outline, as CVAT does with brush masks, the mark says nothing. Elsewhere a marked
    outline is a cell if it is in one piece and no larger than the largest that is not marked.
    """
    marked = np.array([is_crowd(item) for item in items], bool)
    areas, owner, entry = (
        rle.areas(masks),
        cells["image"].to_numpy(np.int64),
        cells["entry"].to_numpy(np.int64),
    )
    notes = []
    for row in np.flatnonzero(marked & (owner >= 0)):
        others = areas[(entry == entry[row]) & ~marked]
        limit = others.max(initial=0)
        whole = not limit or (
            areas[row] <= limit and _in_one_piece(masks, row, int(images["width"][owner[row]]))
        )
        check = "crowd_cell" if whole and areas[row] else "crowd"
        words = (
            "the outline of one cell is marked as a crowd"
            if check == "crowd_cell"
            else "the region is marked as a crowd"
        )
        if check == "crowd_cell" or areas[row]:
            notes.append(Note(check, int(owner[row]), int(row), cells["where"][row], words))
    return notes


def _in_one_piece(masks: rle.Runs, row: int, width: int) -> bool:
    from scipy import ndimage  # here: its import takes long, and few files mark crowds

    mask, _, _ = rle.crop(masks, row, width)
    return ndimage.label(mask, np.ones((3, 3)))[1] == 1
