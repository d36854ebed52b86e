"""Every check on raw data, by name and policy, and the tables that pass them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from neuroseg import rle, tables
from neuroseg.errors import DataError
from neuroseg.quality.checks import CHECKS, Check, Limits, Settings, settings
from neuroseg.quality.images import (
    Problem,
    dropped_images,
    drops,
    inspect_images,
    inspect_types,
    joined_groups,
    left_out,
    marked,
)
from neuroseg.quality.masks import inspect, overlap_share

__all__ = ["CHECKS", "Check", "Checked", "Limits", "Settings", "check", "left_out", "settings", "summary"]

UNREAD = ("rle_syntax", "no_outline", "turned_mask")
"""Checks whose masks are not there, or not to be believed: nothing more is said of them."""

OF_ALL_NAMES = ("unfit_names", "clock_time", "unused_map")
"""Checks of what names and plate maps tell of all images, whose finds are said in full."""

FOLD_AFTER = 50
"""Errors of one check beyond this many are counted, not printed."""


class Checked(NamedTuple):
    """The data that pass, and what was found.

    Attributes:
        images: the Images table, by image_id.
        instances: the Instances table, by image, then in the order of the annotations; ids from 0 within an
            image.
        problems: check, policy, image_id, instance_id (of `instances`; null where the mask is dropped or the
            problem is the image's), where (file:row), message; in the order of CHECKS, then of images and
            annotations.
    """

    images: pd.DataFrame
    instances: pd.DataFrame
    problems: pd.DataFrame


def check(
    images: pd.DataFrame,
    annotations: pd.DataFrame,
    masks: rle.Runs,
    notes: pd.DataFrame,
    survey: pd.DataFrame,
    settings: Settings,
) -> Checked:
    """Apply every check to raw data and do with each find what its policy says.

    What is dropped gives no further cause for complaint. Images that are pixel for pixel the same end in one
    group.

    Args:
        images: raw images: image_id, path, where, height, width, cell_type, group, subset, annotated, ...
        annotations: raw annotations: image (position in `images`, -1 where unknown), where, cell_type.
        masks: mask i is annotation i, mended as far as reading could.
        notes: what reading found: check, image, row, where, message.
        survey: row i is what the file of image i turned out to be.
        settings: policies and limits.

    Raises:
        DataError: every find whose policy is `error`, one sentence each; or no image is left.
    """
    found = [Problem(*note) for note in notes.itertuples(index=False)]
    found += [*inspect_images(images, survey), *inspect_types(annotations, images, settings)]
    gone, taken, twins = dropped_images(images, survey, found, settings)
    found += taken
    for at, original in twins:
        same = f"{images['path'][original]} ({images['subset'][original]})"
        message = f"{images['path'][at]} is pixel for pixel {same}"
        found.append(Problem("duplicate_image", at, -1, images["where"][at], message))
    groups = joined_groups(images["group"], [pair for pair in twins if not gone[pair[0]]])
    sizes = {side: images[side].where(images[side].notna(), survey[side]) for side in ("height", "width")}
    frame = images.assign(group=groups, gone=gone, **sizes)

    unread = [item.row for item in found if item.row >= 0 and (item.check in UNREAD or drops(item, settings))]
    usable = (
        ~marked(len(annotations), unread) & ~np.append(gone, True)[annotations["image"].to_numpy(np.int64)]
    )
    instances, row_of, more = _inspect_all(frame, annotations, masks, np.flatnonzero(usable), settings)
    found += more
    lost = _without_cells(frame, annotations, instances)
    for at in np.flatnonzero(lost):
        message = "its annotations were all left out, so it counts as an image without annotation"
        found.append(Problem("no_cell_left", at, -1, images["where"][at], message))
    if settings.policies["no_cell_left"] == "drop":
        gone = gone | lost
    frame = frame.assign(annotated=frame["annotated"].astype(bool) & ~lost, gone=gone)

    found = _without_moot(found, gone, settings)
    _refuse(found, images["image_id"], settings)
    if gone.all():
        reasons = [f"{item.where}: {item.message}." for item in found if item.image >= 0 and item.row < 0]
        raise DataError(
            f"no image is left of {len(images)}: every one was dropped; "
            "see the policies in the dataset file.",
            *reasons[:FOLD_AFTER],
        )
    frame = (
        frame[~frame["gone"]].sort_values("image_id")[tables.SCHEMAS["images"].names].reset_index(drop=True)
    )
    frame = frame.astype(
        {"height": "int32", "width": "int32", "annotated": bool, "time": float, "pixel_size_um": float}
    )
    return Checked(frame, instances, _problems_table(found, images["image_id"], row_of, instances, settings))


def summary(checked: Checked) -> str:
    """Return what passed and what was done about the rest, a line each, with what concerns all names."""
    images = checked.images
    annotated = images[images["annotated"]]
    kinds = annotated["cell_type"].fillna("of unknown type").value_counts().sort_index()
    types = f" ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})" if len(kinds) else ""
    lines = [
        f"{len(annotated)} annotated images{types} with {len(checked.instances):,} cells, "
        f"{len(images) - len(annotated)} images without annotation."
    ]
    counts = checked.problems.groupby(["check", "policy"], sort=False).size()
    lines += [
        f"{name}: {number} × {policy}, {CHECKS[name].meaning}" for (name, policy), number in counts.items()
    ]
    said = checked.problems.loc[checked.problems["check"].isin(OF_ALL_NAMES), "message"]
    return "\n".join([*lines, *(f"{words}." for words in said)])


def _inspect_all(
    images: pd.DataFrame, annotations: pd.DataFrame, masks: rle.Runs, usable: np.ndarray, settings: Settings
) -> tuple[pd.DataFrame, np.ndarray, list[Problem]]:
    """Return the Instances table, the annotation that each row was, and what the masks' checks found."""
    owner = annotations["image"].to_numpy(np.int64)[usable]
    rank = np.argsort(np.argsort(images["image_id"].to_numpy(str), kind="stable"), kind="stable")
    usable = usable[np.argsort(rank[owner], kind="stable")]
    owner = annotations["image"].to_numpy(np.int64)[usable]
    parts, rows, found = [], [], []
    members_of = np.split(usable, np.flatnonzero(np.diff(owner)) + 1) if len(usable) else []
    for members in tqdm(members_of, desc="checking masks", unit="image", disable=None):
        image = int(annotations["image"].iloc[members[0]])
        row = images.iloc[image]
        names = annotations["where"].iloc[members].tolist()
        result = inspect(rle.take(masks, members), names, int(row["height"]), int(row["width"]), settings)
        found += [
            Problem(item.check, image, int(members[item.at]), names[item.at], item.message)
            for item in result.findings
        ]
        stays = result.stays & (rle.areas(result.masks) > 0)
        staying = rle.take(result.masks, np.flatnonzero(stays))
        share = overlap_share(staying)
        if share:
            message = f"{100 * share:.2f} % of the pixels under masks lie under more than one"
            found.append(Problem("truth_overlap", image, -1, row["where"], message))
        rows.append(members[stays])
        parts.append(_instances(row, staying, annotations["cell_type"].to_numpy(object)[members[stays]]))
    if not parts:
        return tables.empty("instances"), np.zeros(0, np.int64), found
    return pd.concat(parts, ignore_index=True), np.concatenate(rows), found


def _instances(image: pd.Series, masks: rle.Runs, cell_types: np.ndarray) -> pd.DataFrame:
    height, width = int(image["height"]), int(image["width"])
    sides = rle.boxes(masks, width).astype(np.float32)
    return pd.DataFrame(
        {
            "image_id": np.full(len(masks), image["image_id"], object),
            "instance_id": np.arange(len(masks), dtype=np.int32),
            "cell_type": cell_types,
            **{name: sides[:, at] for at, name in enumerate(("x1", "y1", "x2", "y2"))},
            "area": rle.areas(masks),
            "rle": tables.rle_column(rle.to_coco(masks, height, width)),
            "score": np.full(len(masks), np.nan, np.float32),
        }
    )


def _without_cells(frame: pd.DataFrame, annotations: pd.DataFrame, instances: pd.DataFrame) -> np.ndarray:
    """Return which images have annotations of which none is left."""
    owner = annotations["image"].to_numpy(np.int64)
    had = marked(len(frame), owner[owner >= 0])
    return had & ~frame["image_id"].isin(instances["image_id"]).to_numpy() & ~frame["gone"].to_numpy(bool)


def _without_moot(found: list[Problem], gone: np.ndarray, settings: Settings) -> list[Problem]:
    """Leave out complaints about an image or annotation that another check drops anyway."""
    rows = {item.row for item in found if item.row >= 0 and drops(item, settings)}
    kept = []
    for item in found:
        image_gone = item.image >= 0 and gone[item.image]
        moot = image_gone or item.row in rows
        own = drops(item, settings) and (item.row < 0 or not image_gone)
        if own or not moot:
            kept.append(item)
    return kept


def _refuse(found: list[Problem], names: pd.Series, settings: Settings) -> None:
    """Raise all problems whose policy is `error`."""
    sentences = []
    for name, rule in CHECKS.items():
        errors = [item for item in found if item.check == name] if settings.policies[name] == "error" else []
        choices = " or ".join(f"`{name}: {policy}`" for policy in rule.policies if policy != "error")
        for item in errors[:FOLD_AFTER]:
            image = f" (image {names[item.image]})" if item.image >= 0 else ""
            sentences.append(
                f"{item.where}{image}: {item.message}; mend it, or set {choices} under policies."
            )
        if len(errors) > FOLD_AFTER:
            sentences.append(f"... and {len(errors) - FOLD_AFTER} more of {name}.")
    if sentences:
        raise DataError(*sentences)


def _problems_table(
    found: list[Problem], names: pd.Series, row_of: np.ndarray, instances: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    number = dict(zip(row_of.tolist(), instances["instance_id"].tolist(), strict=True))
    place = {name: at for at, name in enumerate(CHECKS)}
    ordered = sorted(
        found, key=lambda item: (place[item.check], names[item.image] if item.image >= 0 else "", item.row)
    )
    columns = {
        "check": [item.check for item in ordered],
        "policy": [settings.policies[item.check] for item in ordered],
        "image_id": [names[item.image] if item.image >= 0 else "" for item in ordered],
        "instance_id": pd.array([number.get(item.row) for item in ordered], dtype="Int32"),
        "where": [item.where for item in ordered],
        "message": [item.message for item in ordered],
    }
    return pd.DataFrame(columns)
