"""The images of several data sets as one training's: how large each is shown, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import tables
from neuroseg.detector import scaling
from neuroseg.detector.checkpoints import digest
from neuroseg.detector.dataset import Mix, named
from neuroseg.detector.progress import say
from neuroseg.errors import DataError
from neuroseg.readers.images.stacks import located


class Further(NamedTuple):
    """A data set that is learnt from beside a training's own, all its annotated images."""

    name: str
    images: pd.DataFrame
    instances: pd.DataFrame
    share: float  # of the samples shown, between 0 and 1


def read(folder: Path, share: float) -> Further:
    """Return the data set whose tables `validate` wrote into a folder, results/NAME/validate."""
    images = tables.read("images", folder / "images.parquet")
    return Further(folder.parent.name, images, tables.read("instances", folder / "instances.parquet"), share)


def join(
    images: pd.DataFrame, instances: pd.DataFrame, others: Sequence[Further], listed: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, Mix]:
    """Return images and instances of a training's own data set and further ones, and how they are mixed.

    A further data set's images are named after it and themselves. Where the own data set knows one type of
    cell, every cell is of that type. Images are magnified where the pixel sizes of both data sets are known.

    Args:
        images: The own images, of which all are learnt from.
        instances: Their instances.
        others: The further data sets.
        listed: All images of the own data set; what is annotated and not among `images` is held out.

    Raises:
        DataError: a further data set has no cell, types of cell that the own one lacks, or an image that is
            held out, or shares leave nothing to the own one.
    """
    shares = np.array([1 - sum(each.share for each in others), *(each.share for each in others)])
    if not (shares > 0).all() or not (shares <= 1).all():
        raise DataError(
            f"further data sets are to make up {1 - shares[0]:.3g} of the samples; "
            "each share must be above 0, and their sum below 1."
        )
    classes, size = sorted(named(instances["cell_type"]).unique()), scaling.learnt(images)
    held = listed[listed["annotated"].astype(bool) & ~listed["image_id"].isin(images["image_id"])]
    contents = dict(zip(map(_content, held["path"]), held["image_id"], strict=True)) if others else {}
    tables_of, cells = [images], [instances]
    for each in others:
        tables_of.append(each.images[each.images["annotated"].astype(bool)])
        cells.append(each.instances.assign(cell_type=_types(each, classes)))
        if cells[-1].empty:
            raise DataError(f"data set {each.name} has no annotated cell to learn from.")
        _refuse_held_out(each.name, tables_of[-1], contents)
    for number, each in enumerate(others, 1):
        for parts in (tables_of, cells):
            parts[number] = parts[number].assign(image_id=each.name + ":" + parts[number]["image_id"])
    counts = list(map(len, tables_of))
    factors = [np.ones(counts[0]), *(scaling.factors(table, size) for table in tables_of[1:])]
    for each, own, factor in zip(others, tables_of[1:], factors[1:], strict=True):
        say(f"{each.share:.0%} of the samples from {each.name}, {len(own)} images{_scale(own, factor, size)}")
    mix = Mix(np.repeat(np.arange(len(counts)), counts), shares, np.concatenate(factors))
    return pd.concat(tables_of, ignore_index=True), pd.concat(cells, ignore_index=True), mix


def _refuse_held_out(name: str, images: pd.DataFrame, held: Mapping[tuple[str, str], str]) -> None:
    """Raise where a file of further images is one that is held out, byte for byte, named by its content."""
    contents = zip(images["image_id"], map(_content, images["path"]), strict=True)
    twice = [(image, held[content]) for image, content in contents if content in held]
    if twice:
        raise DataError(
            f"image {twice[0][0]} of data set {name} is {twice[0][1]}, which is held out to be scored "
            f"({len(twice)} such images); leave it out of one of the two data sets."
        )


def _content(path: str) -> tuple[str, str]:
    place = located(path)
    return digest(place.file), repr(place.spec)


def _scale(images: pd.DataFrame, factors: np.ndarray, size: float | None) -> str:
    """Say by how much a further data set's images are magnified, or why they are not."""
    if size is None or images["pixel_size_um"].isna().any():
        return ", as they are where a pixel size is unknown"
    if (scaling.beyond(images, size)).any():
        return ", as they are where pixel sizes are too far apart to be right"
    low, high = factors.min(), factors.max()
    if low == high == 1:
        return ""
    return f", magnified {low:.3g} times" if low == high else f", magnified {low:.3g} to {high:.3g} times"


def _types(further: Further, classes: Sequence[str]) -> pd.Series:
    """Return the types of a further data set's cells, as the training's own data set tells them apart."""
    types = further.instances["cell_type"]
    if len(classes) == 1:
        return pd.Series(None if classes[0] == "cell" else classes[0], types.index, dtype=object)
    strange = set(named(types)) - set(classes)
    if strange:
        raise DataError(
            f"data set {further.name} has cells of {min(strange)}, those to be told apart are only "
            f"{', '.join(classes)}; it cannot be learnt from at the same time, but before, by init_from."
        )
    return types
