"""The experiment behind a simulated data set: which plate, well and field each image shows, and when.

Each cell type has its own plates. Wells take turns, a control and then a treated one; the treatment kills
cells, so that a treated well holds fewer of them and more debris, by shares that are known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroseg.errors import DataError
from neuroseg.simulation.field import FRAME, Field, grow
from neuroseg.simulation.kinds import KINDS

FIELDS_A_WELL = 2
WELLS_A_PLATE = 4
PLATE_FORMAT = ("ABCDEFGH", 12)

HOURS = (11.5, 19.5, 23.5)
"""When the first, second, third field of a well is taken, hours since plating."""

WELL_SPREAD = 0.08
"""Spread of the logarithm of cells between wells of an arm, and again between the fields of a well."""

SMALLEST_FRAME = 64
"""Least height and width, pixels: less would hold hardly a cell."""

FAULTS = ("image_unreadable", "image_missing")
"""What befalls the images that are listed beyond those asked for."""


class Experiment(NamedTuple):
    """What is simulated. The seed decides everything, and an image stays the same when others join it."""

    seed: int = 0
    train_images: int = 36  # annotated, the cell types taking turns, two images a well
    test_images: int = 6  # without truth, each from a well of its own
    height: int = FRAME[0]
    width: int = FRAME[1]
    density: float = 1.0  # cells per area, relative to each type's own (kinds.KINDS)
    survival: float = 0.6  # cells in a treated well, relative to a control
    debris: float = 1.5  # debris in a treated well, relative to a control


def plan(experiment: Experiment) -> pd.DataFrame:
    """Return a row per image: the ones asked for, and two listed ones that nobody will be able to read.

    Columns are image_id, subset, number (within its subset), cell_type, plate, well, field, frame, treatment,
    date, hours, cells (how many shall settle), debris (relative to a control well) and fault (empty for a
    sound image).

    Raises:
        DataError: numbers that make no experiment, all of them.
    """
    _check(experiment)
    types, rows = list(KINDS), []
    for number in range(experiment.train_images):
        well, field = divmod(number // len(types), FIELDS_A_WELL)
        rows.append(_row(experiment, "train", number, well, field))
    rows += [
        _row(experiment, "test", number, number // len(types), 0) for number in range(experiment.test_images)
    ]
    rows += [
        _row(experiment, "train", number, 0, FIELDS_A_WELL, fault) for number, fault in enumerate(FAULTS)
    ]
    return pd.DataFrame(rows)


def photograph(experiment: Experiment, row: pd.Series) -> Field:
    """Return the image of a row of the plan, and its truth."""
    rng = _stream(experiment, "light", row["fault"] or row["subset"], row["number"])
    return grow(
        KINDS[row["cell_type"]], row["cells"], row["debris"], experiment.height, experiment.width, rng
    )


def _row(
    experiment: Experiment, subset: str, number: int, well: int, field: int, fault: str = ""
) -> dict[str, object]:
    types = list(KINDS)
    cell_type = types[number % len(types)]
    plate, place = divmod(well, WELLS_A_PLATE)
    treated = well % 2 == 1
    shipment = _stream(experiment, "plates", subset, cell_type)
    vessel = 100 * (1 + types.index(cell_type) + len(types) * (subset == "test")) + int(
        shipment.integers(100)
    )
    a_plate = _stream(experiment, "plate", subset, cell_type, plate)
    a_well = _stream(experiment, "well", subset, cell_type, well)
    an_image = _stream(experiment, "image", fault or subset, number)
    letters, columns = PLATE_FORMAT
    spot = int(a_plate.permutation(len(letters) * columns)[place])
    share = experiment.density * experiment.height * experiment.width / (FRAME[0] * FRAME[1])
    vigour = np.exp(WELL_SPREAD * (a_well.standard_normal() + an_image.standard_normal()))
    cells = KINDS[cell_type].cells * share * vigour * (experiment.survival if treated else 1.0)
    return {
        "image_id": f"{an_image.integers(2**48):012x}",
        "subset": subset,
        "number": number,
        "cell_type": cell_type,
        "plate": f"Vessel-{vessel + 1000 * plate}",
        "well": f"{letters[spot // columns]}{spot % columns + 1}",
        "field": field + 1,
        "frame": int(an_image.integers(1, 5)),  # the recorder cuts each field into four
        "treatment": "treated" if treated else "control",
        "date": f"{pd.Timestamp('2019-06-16') + pd.Timedelta(days=int(a_plate.integers(500))):%Y-%m-%d}",
        "hours": HOURS[field],
        "cells": max(round(cells), 1),
        "debris": experiment.debris if treated else 1.0,
        "fault": fault,
    }


def _stream(experiment: Experiment, *purpose: str | int) -> np.random.Generator:
    """Return a generator for one purpose, independent of all others."""
    return np.random.default_rng([experiment.seed, *"/".join(str(part) for part in purpose).encode()])


def _check(experiment: Experiment) -> None:
    least = {
        "seed": 0,
        "train_images": len(KINDS),
        "test_images": 0,
        "height": SMALLEST_FRAME,
        "width": SMALLEST_FRAME,
        "density": 0.05,
        "survival": 0.05,
        "debris": 0.0,
    }
    sentences = [
        f"{name} is {getattr(experiment, name)}; choose {bound} or more."
        for name, bound in least.items()
        if not getattr(experiment, name) >= bound
    ]
    if sentences:
        raise DataError(*sentences)
