"""Checks on image files and listings, and the groups that identical images share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.quality.checks import Settings


class Problem(NamedTuple):
    """What a check found: image and annotation by position, -1 where none; the place in the files; words."""

    check: str
    image: int
    row: int
    where: str
    message: str


def inspect_images(images: pd.DataFrame, survey: pd.DataFrame) -> Iterator[Problem]:
    """Yield what is wrong with each image by itself; how deep most are, photographs alone say."""
    photographs = survey["numbered"].isin([False]) | images["annotated"].astype(bool)
    depths = (
        survey.loc[photographs & survey["fault"].isna(), "depth"].value_counts().sort_index(kind="stable")
    )
    usual = depths.idxmax() if len(depths) else None
    for at, (row, file) in enumerate(zip(images.to_dict("records"), survey.to_dict("records"), strict=True)):
        for check, message in _image_faults(row, file, usual):
            yield Problem(check, at, -1, row["where"], message)


def inspect_types(annotations: pd.DataFrame, images: pd.DataFrame, settings: Settings) -> Iterator[Problem]:
    """Yield images and annotations whose cell type is not listed, and images whose cells have none.

    An annotation of its image's type adds nothing to the image's complaint; an image may hold cells of
    several types.
    """
    if not settings.cell_types:
        return
    listed = f"is not among {', '.join(settings.cell_types)}"
    own = images["cell_type"].to_numpy(object)
    owner, kinds = annotations["image"].to_numpy(np.int64), annotations["cell_type"].to_numpy(object)
    typeless = set(owner) - {at for at, kind in zip(owner, kinds, strict=True) if kind is not None}
    for at, kind in enumerate(own):
        if at in typeless or (kind is not None and kind not in settings.cell_types):
            yield Problem(
                "unknown_cell_type", at, -1, images["where"][at], f"the cell type '{kind or ''}' {listed}"
            )
    of_image = np.array([*own, None], object)[owner]
    for row, (kind, image_kind) in enumerate(zip(kinds, of_image, strict=True)):
        if kind is not None and kind != image_kind and kind not in settings.cell_types:
            yield Problem(
                "unknown_cell_type",
                owner[row],
                row,
                annotations["where"][row],
                f"the cell type '{kind}' {listed}",
            )


def left_out(
    images: pd.DataFrame, notes: pd.DataFrame, survey: pd.DataFrame, settings: Settings
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the positions of images that `check` leaves out whatever names tell, and of their label images.

    They are those that a check drops by their pixels, such as label images and broken or blank files, or by
    what was noted while they were listed. Arguments are as in `check`.
    """
    noted = [Problem(*note) for note in notes.itertuples(index=False)]
    found = [*noted, *inspect_images(images, survey)]
    gone, _, _ = dropped_images(images, survey, found, settings)
    labels = {item.image for item in found if item.check == "label_image"}
    positions = frozenset(np.flatnonzero(gone).tolist())
    return positions, positions & labels


def dropped_images(
    images: pd.DataFrame, survey: pd.DataFrame, found: list[Problem], settings: Settings
) -> tuple[np.ndarray, list[Problem], list[tuple[int, int]]]:
    """Return which images are dropped, and of the others whose ids are taken and which pairs are equal.

    Where policies drop these two as well, they are among the dropped.
    """
    dropped = [item.image for item in found if item.image >= 0 > item.row and drops(item, settings)]
    gone = marked(len(images), dropped)
    taken = list(_taken_ids(images[~gone]))
    gone |= marked(len(images), [item.image for item in taken if drops(item, settings)])
    twins = list(identical_images(images, survey, np.flatnonzero(~gone)))
    if settings.policies["duplicate_image"] == "drop":
        gone |= marked(len(images), [at for at, _ in twins])
    return gone, taken, twins


def _taken_ids(images: pd.DataFrame) -> Iterator[Problem]:
    """Yield the images whose ids others before them have; the frame's index is their positions."""
    again = images["image_id"].duplicated()
    first = images[~again].set_index("image_id")["where"]
    for at, row in zip(images.index[again], images[again].to_dict("records"), strict=True):
        message = f"the id {row['image_id']} is taken by {first[row['image_id']]} already ({row['path']})"
        yield Problem("duplicate_id", int(at), -1, row["where"], message)


def drops(item: Problem, settings: Settings) -> bool:
    """Tell whether what a check found is to be left out."""
    return settings.policies[item.check] == "drop"


def marked(length: int, positions: list[int] | np.ndarray) -> np.ndarray:
    """Return an array of so many truth values, true at the positions."""
    marks = np.zeros(length, bool)
    marks[np.asarray(positions, np.int64)] = True
    return marks


def identical_images(
    images: pd.DataFrame, survey: pd.DataFrame, candidates: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Yield (image, the one it repeats), candidates' positions; of equals the first annotated is repeated."""
    digests = survey["digest"].iloc[candidates].dropna()
    unlabelled = ~images["annotated"].iloc[digests.index].astype(bool)
    ranked = digests.iloc[np.lexsort([images["image_id"].iloc[digests.index].to_numpy(str), unlabelled])]
    original = dict(zip(ranked.drop_duplicates(), ranked.index[~ranked.duplicated()], strict=True))
    for at, digest in ranked[ranked.duplicated()].items():
        yield int(at), int(original[digest])


def joined_groups(groups: pd.Series, pairs: list[tuple[int, int]]) -> pd.Series:
    """Return the groups with those united that share a pair of images, under the name that sorts first."""
    leader = {name: name for name in groups}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for a, b in pairs:
        low, high = sorted((lead(groups[a]), lead(groups[b])))
        leader[high] = low
    return groups.map(lead)


def _image_faults(row: dict, file: dict, usual: str | None) -> Iterator[tuple[str, str]]:
    if file["fault"] is not None:
        yield file["fault"], f"{row['path']} {file['reason']}"
    else:
        found = file["height"], file["width"]
        stated = row["height"], row["width"]
        if stated[0] is not None and stated != found:
            yield (
                "image_size",
                f"{row['path']} has {found[0]} x {found[1]} pixels, "
                f"its annotation states {stated[0]} x {stated[1]}",
            )
        if file["constant"]:
            yield "image_constant", f"{row['path']} has the same grey value everywhere"
        if usual is not None and file["depth"] != usual:
            read = "" if file["stored"] == file["depth"] else f", which are read as {file['depth']}"
            yield (
                "mixed_bit_depth",
                f"{row['path']} holds {file['stored']} samples{read}; most images are read as {usual}",
            )
        if file["no_data"] is not None:
            yield "no_data", f"{row['path']} {file['no_data']}"
        if file["squeezed"] is not None:
            yield "few_grey_levels", f"{row['path']} {file['squeezed']}"
        if file["constant"] or row["annotated"]:
            pass
        elif file["numbered"]:
            yield (
                "label_image",
                f"{row['path']} has the pixels of a label image or of a mask, not of a photograph",
            )
        elif file["unlike"] is not None:
            yield "image_look", f"{row['path']} looks unlike ordinary phase contrast: {file['unlike']}"
        if file["pixel_note"] is not None:
            yield "pixel_size", f"{row['path']} {file['pixel_note']}; say it with `pixel_size_um`"
