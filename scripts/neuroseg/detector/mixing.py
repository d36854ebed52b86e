"""Samples made of several images: cells copied from one into another, and mosaics.

Both run on whole grey values and pixel masks, draw from the sample's own generator, and take the other images
from `results["other"]`, which returns one of them as the dataset reads it.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field, validate_call

from neuroseg import rle
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import TRANSFORMS, BaseTransform, HorizontalBoxes
from neuroseg.detector.transforms import CropCells, Share, Some

Count = Annotated[int, Field(strict=True, ge=0)]
Side = Annotated[int, Field(strict=True, ge=2)]


class _Piece(NamedTuple):
    """A cell cut out with a margin: grey values, and its pixels, both (h, w)."""

    image: np.ndarray
    mask: np.ndarray


@TRANSFORMS.register_module()
class CopyCells(BaseTransform):
    """Paste cells of another image of the same type, with their halos, where the window shows bare ground.

    A cell comes with a margin of its surroundings, which fades into the window's own grey, shifted so that
    the grounds of both are equally bright: the halo, by which phase contrast shows a cell, comes along.
    Windows that were zoomed are left as they are.

    Args:
        cells: The most cells that are pasted; how many is drawn evenly from 0 on.
        halo: Pixels around a cell that come with it, half of them in full; the outermost should show the
            ground.
        attempts: Places tried for each cell.
    """

    @validate_call
    def __init__(self, cells: Count = 8, halo: Count = 6, attempts: Some = 10) -> None:
        self.cells, self.halo, self.attempts = cells, halo, attempts

    def transform(self, results: dict) -> dict:
        """Add cells to a window as CropCells has cut it."""
        random = results["random"]
        count = random.integers(0, self.cells + 1)
        if not count or not len(results["labels"]) or results["gt_masks"].scale != (1.0, 1.0):
            return results
        other = results["other"](int(np.bincount(results["labels"]).argmax()))
        image, taken = results["img"].copy(), results["gt_masks"].to_ndarray().any(axis=0)
        windows, corners, labels = [], [], []
        for cell in random.permutation(len(other["labels"]))[:count]:
            piece = _turned(self._cut(other, cell), random)
            place = self._place(piece, taken, random)
            if place is not None:
                top, left = place
                region = np.s_[top : top + piece.mask.shape[0], left : left + piece.mask.shape[1]]
                image[region] = self._blended(image[region], taken[region], piece)
                taken[region] |= piece.mask
                rows, columns = (np.flatnonzero(piece.mask.any(axis=axis)) for axis in (1, 0))
                windows.append(piece.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
                corners.append((left + columns[0], top + rows[0]))
                labels.append(other["labels"][cell])
        return _with_cells(results | {"img": image}, windows, corners, labels) if windows else results

    def _cut(self, other: dict, cell: int) -> _Piece:
        """Return a cell of an image; beyond the image's border its margin repeats the last pixels."""
        mask, x, y = rle.crop(other["runs"], cell, other["img"].shape[1])
        margin, (height, width) = self.halo, mask.shape
        rows = np.clip(np.arange(y - margin, y + height + margin), 0, other["img"].shape[0] - 1)
        columns = np.clip(np.arange(x - margin, x + width + margin), 0, other["img"].shape[1] - 1)
        return _Piece(other["img"][np.ix_(rows, columns)], np.pad(mask.astype(bool), margin))

    def _place(self, piece: _Piece, taken: np.ndarray, random: np.random.Generator) -> tuple[int, int] | None:
        """Return the top and left of a place where no cell lies, nor touches; None if none was hit upon."""
        free = np.array(taken.shape) - piece.mask.shape
        if (free < 0).any() or not piece.mask.any():
            return None
        around = cv2.dilate(piece.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        for top, left in random.integers(0, free + 1, (self.attempts, 2)):
            if not (taken[top : top + around.shape[0], left : left + around.shape[1]] & around).any():
                return int(top), int(left)
        return None

    def _blended(self, ground: np.ndarray, taken: np.ndarray, piece: _Piece) -> np.ndarray:
        """Return the piece upon the ground, uint8; cells that are there keep their pixels."""
        distance = cv2.distanceTransform((~piece.mask).astype(np.uint8), cv2.DIST_L2, 5)
        share = np.clip(2 - 2 * distance / max(self.halo, 1), 0, 1) * ~taken
        rim = ~piece.mask & ~taken
        rim[1:-1, 1:-1] = False  # beyond the halos
        shift = float(np.median(ground[rim])) - float(np.median(piece.image[rim])) if rim.any() else 0.0
        mixed = share * (piece.image + shift) + (1 - share) * ground
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


@TRANSFORMS.register_module()
class MosaicCells(CropCells):
    """Cut a window at random or, now and then, four windows of half its side from different images.

    Args:
        size: Side of the window in pixels.
        share: Of the samples that are mosaics.
        min_visible: Share of a cell's area that must lie within a window for it to count as a cell there.
        attempts: Windows tried until one shows a cell.
    """

    @validate_call
    def __init__(self, size: Side, share: Share = 0.5, min_visible: Share = 0.1, attempts: Some = 10) -> None:
        super().__init__(size, 1.0, min_visible, attempts)
        self.share, self.part = share, CropCells(size // 2, 1.0, min_visible, attempts)

    def transform(self, results: dict) -> dict:
        """Turn `img`, `runs` and `cell_boxes` into the window and its `gt_*`."""
        if results["random"].random() >= self.share:
            return super().transform(results)
        parts = [self.part.transform(results)]
        parts += [self.part.transform(results | results["other"]()) for _ in range(3)]
        side = self.size // 2
        image = np.full((2 * side, 2 * side), int(np.median(parts[0]["img"])), np.uint8)
        merged = results | {"img": image, "img_shape": image.shape, **_no_cells(image.shape)}
        for number, part in enumerate(parts):
            top, left = side * (number // 2), side * (number % 2)
            height, width = part["img_shape"]
            image[top : top + height, left : left + width] = part["img"]
            corners = np.add(part["gt_masks"].corners, (left, top))
            merged = _with_cells(merged, part["gt_masks"].windows, corners, part["gt_bboxes_labels"])
        return merged


def _turned(piece: _Piece, random: np.random.Generator) -> _Piece:
    """Return a piece in one of its eight poses."""
    turns, mirrored = int(random.integers(4)), bool(random.integers(2))
    return _Piece(*(np.rot90(each.T if mirrored else each, turns) for each in piece))


def _no_cells(shape: tuple[int, int]) -> dict:
    return {
        "gt_masks": CellMasks([], np.empty((0, 2)), *shape),
        "gt_bboxes": HorizontalBoxes(np.empty((0, 4), np.float32)),
        "gt_bboxes_labels": np.empty(0, np.int64),
        "gt_ignore_flags": np.empty(0, bool),
    }


def _with_cells(results: dict, windows: list, corners: list | np.ndarray, labels: list | np.ndarray) -> dict:
    """Return a window with more cells after those it has."""
    known = results["gt_masks"]
    masks = CellMasks(
        [*known.windows, *windows],
        np.concatenate([known.corners, np.array(corners, np.int64).reshape(-1, 2)]),
        known.height,
        known.width,
    )
    boxes = np.column_stack([masks.corners, masks.ends]).astype(np.float32).reshape(-1, 4)
    return results | {
        "gt_masks": masks,
        "gt_bboxes": HorizontalBoxes(boxes),
        "gt_bboxes_labels": np.concatenate([results["gt_bboxes_labels"], np.array(labels, np.int64)]),
        "gt_ignore_flags": np.zeros(len(masks), bool),
    }
