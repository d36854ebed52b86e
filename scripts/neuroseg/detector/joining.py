"""The images of several data sets as one training's: how large each is shown, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg import tables
from neuroseg.detector import scaling
from neuroseg.detector.dataset import Mix, named
from neuroseg.errors import DataError


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
    images: pd.DataFrame, instances: pd.DataFrame, others: Sequence[Further]
) -> tuple[pd.DataFrame, pd.DataFrame, Mix]:
    """Return images and instances of a training's own data set and further ones, and how they are mixed.

    A further data set's images are named after it and themselves.

    Where the own data set knows one type of cell, every cell is of that type. Images are magnified where the
    pixel sizes of both data sets are known.

    Args:
        images: The own images, of which all are learnt from.
        instances: Their instances.
        others: The further data sets.

    Raises:
        DataError: a further data set has no cell, or types of cell that the own one lacks, or shares leave
            nothing to the own one.
    """
    shares = np.array([1 - sum(each.share for each in others), *(each.share for each in others)])
    if not (shares > 0).all() or not (shares <= 1).all():
        raise DataError(
            f"further data sets are to make up {1 - shares[0]:.3g} of the samples; "
            "each share must be above 0, and their sum below 1."
        )
    classes, size = sorted(named(instances["cell_type"]).unique()), scaling.learnt(images)
    listed, cells = [images], [instances]
    for each in others:
        listed.append(each.images[each.images["annotated"].astype(bool)])
        cells.append(each.instances.assign(cell_type=_types(each, classes)))
        if cells[-1].empty:
            raise DataError(f"data set {each.name} has no annotated cell to learn from.")
    for number, each in enumerate(others, 1):
        for parts in (listed, cells):
            parts[number] = parts[number].assign(image_id=each.name + ":" + parts[number]["image_id"])
    counts = list(map(len, listed))
    factors = [np.ones(counts[0]), *(scaling.factors(table, size) for table in listed[1:])]
    mix = Mix(np.repeat(np.arange(len(counts)), counts), shares, np.concatenate(factors))
    return pd.concat(listed, ignore_index=True), pd.concat(cells, ignore_index=True), mix


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
