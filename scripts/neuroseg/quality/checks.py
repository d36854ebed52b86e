"""The checks by name, what may be done about each, and the settings that a dataset file may change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuroseg.errors import DataError


class Check(NamedTuple):
    """A check: what is done when the dataset file is silent, what else may be, and what it reports."""

    default: str
    others: str
    meaning: str

    @property
    def policies(self) -> tuple[str, ...]:
        """Every policy that makes sense for this check, the default first."""
        return (self.default, *self.others.split())


CHECKS: dict[str, Check] = {
    "passed_over": Check(
        "keep",
        "error",
        "a file that is not read, since it is no image and no image's annotation; outlines that are no "
        "cells in QuPath; columns of the plate map that are not used, or doses of it that are in doubt",
    ),
    "unpaired": Check("keep", "error drop", "an image without an annotation file (keep: without annotation)"),
    "image_missing": Check("error", "drop keep", "an annotated image without a file (keep: its cells stay)"),
    "image_unreadable": Check("error", "drop", "a file that cannot be decoded"),
    "image_channels": Check("error", "drop", "colour, transparency, or several images in a file"),
    "image_bit_depth": Check("error", "drop", "samples that are no grey values, such as complex numbers"),
    "image_size": Check("error", "drop", "an image of another size than its annotation states"),
    "image_constant": Check("error", "drop keep", "an image of one grey value"),
    "image_unlisted": Check(
        "drop", "error keep", "a file among the annotated images that no row names (keep: unannotated)"
    ),
    "duplicate_id": Check("error", "drop", "an image id that stands for two images (drop: the later)"),
    "duplicate_image": Check(
        "keep", "error drop", "an image pixel-identical to another (keep: both in one group)"
    ),
    "mixed_bit_depth": Check("keep", "error drop", "an image of another depth than most"),
    "no_data": Check(
        "keep", "error drop", "an image of which pixels are no data, such as -9999 around a mosaic's tiles"
    ),
    "few_grey_levels": Check(
        "keep", "error drop", "an image of few grey levels, as others of its file go far beyond its numbers"
    ),
    "label_image": Check(
        "drop", "error keep", "an image whose pixels are cells' numbers, or black and white"
    ),
    "image_look": Check(
        "keep",
        "error drop",
        "an image of other levels or contrast than usual (adapted), blank in part, overexposed, blurred, or "
        "turned over",
    ),
    "pixel_size": Check(
        "keep",
        "error drop",
        "a pixel size in the file that is not the specimen's (keep: unknown), or differs from its resolution,"
        " or one in the dataset file that no image of cells has (keep: used)",
    ),
    "metadata_conflict": Check(
        "error", "drop keep", "rows of one image that disagree (keep: the first row holds)"
    ),
    "bad_time": Check(
        "error", "drop keep", "a time or a date that cannot be read, or is one for many (keep: without time)"
    ),
    "clock_time": Check(
        "keep", "error", "times that are taken as hours and look like a clock's or a date (keep: as hours)"
    ),
    "pattern_mismatch": Check(
        "keep", "error drop", "a name that the pattern does not match (keep: the group is the sample)"
    ),
    "unfit_names": Check(
        "keep", "error", "names that keep a microscope's way of naming from being found (keep: none is read)"
    ),
    "other_channel": Check("drop", "error keep", "an image of another channel than the one that is used"),
    "same_place": Check(
        "keep", "error drop", "an image of the place and time of another (keep: both count for the well)"
    ),
    "plate_map": Check(
        "keep", "error drop", "a well that the plate map does not name (keep: without treatment)"
    ),
    "unused_map": Check("keep", "error", "a plate map beside the images that no dataset file names"),
    "unknown_cell_type": Check("error", "drop keep", "a cell type that the dataset file does not list"),
    "unknown_image": Check("error", "drop", "an annotation of an image that is not listed"),
    "duplicate_annotation": Check("error", "drop keep", "an annotation's number that occurs twice"),
    "crowd": Check("drop", "error keep", "a COCO crowd region, which is not one cell"),
    "crowd_cell": Check("keep", "error drop", "one whole cell that is marked as a crowd (keep: as a cell)"),
    "listed_twice": Check(
        "keep", "error", "an image file that a JSON lists twice (keep: the fuller listing holds)"
    ),
    "no_outline": Check("error", "drop", "an annotation with a box at most, and no outline"),
    "broken_ring": Check(
        "repair", "error drop", "a polygon with broken rings beside sound ones (repair: left out)"
    ),
    "turned_mask": Check("error", "drop", "an outline that fits only with rows and columns changed over"),
    "box_mismatch": Check(
        "keep", "error drop", "a mask whose box is not the one stated (keep: the mask holds)"
    ),
    "area_mismatch": Check(
        "keep", "error drop", "a mask whose area is not the one stated (keep: the mask holds)"
    ),
    "rle_syntax": Check("error", "drop", "a mask that cannot be read"),
    "rle_order": Check("error", "repair drop", "runs that do not ascend (repair: sorted)"),
    "rle_range": Check("error", "repair drop", "a mask that reaches past the frame (repair: clipped)"),
    "rle_overlap": Check("error", "repair drop", "a mask that names a pixel twice (repair: counted once)"),
    "empty_mask": Check("error", "drop", "a mask without a pixel"),
    "tiny_mask": Check("keep", "error drop", "a mask below limits.tiny_area pixels"),
    "large_mask": Check("error", "drop keep", "a mask above limits.large_share of the frame"),
    "hollow_mask": Check(
        "keep", "error repair drop", "holes above limits.hollow_share of the filled mask (repair: filled)"
    ),
    "hole": Check("keep", "error repair drop", "a mask with smaller holes (repair: filled)"),
    "fragments": Check("keep", "error repair drop", "a mask in pieces (repair: the largest stays)"),
    "duplicate_mask": Check(
        "error", "drop keep", "a mask identical to another of its image (drop: the later)"
    ),
    "near_duplicate": Check(
        "keep", "error drop", "two masks whose IoU exceeds limits.duplicate_iou (drop: the later)"
    ),
    "no_cell_left": Check(
        "keep", "error drop", "an image whose annotations were all left out (keep: without annotation)"
    ),
    "truth_overlap": Check(
        "keep", "error", "the share of an image's annotated pixels that lie under several masks"
    ),
}
"""`error` stops the run, `repair` mends and reports, `drop` leaves out and reports, `keep` reports."""


class Limits(NamedTuple):
    """Where the measured checks begin to complain; `limits` in the dataset file changes them.

    On 381 true Sartorius images areas run from 31 pixels to 3.6 % of the frame, and holes to 30 % of a filled
    mask.
    """

    tiny_area: float = 16
    large_share: float = 0.1
    hollow_share: float = 0.1
    duplicate_iou: float = 0.8


_SHARE = (0.0, 1.0, "a share from 0 to below 1")
_RANGES = dict.fromkeys(Limits._fields, _SHARE)
_RANGES["tiny_area"] = (0.0, np.inf, "a number of pixels from 0 on")
_RANGES["duplicate_iou"] = (0.5, 1.0, "a share from 0.5 to below 1")


class Settings(NamedTuple):
    """How strictly a data set is taken."""

    policies: Mapping[str, str]
    limits: Limits
    cell_types: tuple[str, ...]


def settings(
    policies: Mapping[str, str], limits: Mapping[str, float], cell_types: tuple[str, ...], where: str | Path
) -> Settings:
    """Return the defaults with a dataset file's changes.

    Raises:
        DataError: names that are no check or limit, policies that make no sense for a check, limits out of
            range.
    """
    sentences = []
    for name, policy in policies.items():
        if name not in CHECKS:
            sentences.append(
                f"{where}: policies: there is no check '{name}'; the checks are {', '.join(CHECKS)}."
            )
        elif policy not in CHECKS[name].policies:
            allowed = ", ".join(CHECKS[name].policies)
            sentences.append(
                f"{where}: policies: '{policy}' makes no sense for {name}; choose from {allowed}."
            )
    for name, limit in limits.items():
        if name not in Limits._fields:
            sentences.append(
                f"{where}: limits: there is no limit '{name}'; the limits are {', '.join(Limits._fields)}."
            )
        elif not (within := _RANGES[name])[0] <= limit < within[1]:
            sentences.append(f"{where}: limits: {name} must be {within[2]}, not {limit}.")
    if sentences:
        raise DataError(*sentences)
    chosen = {name: policies.get(name, check.default) for name, check in CHECKS.items()}
    return Settings(chosen, Limits(**limits), tuple(cell_types))
