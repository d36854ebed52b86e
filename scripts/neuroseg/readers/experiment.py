"""What names and a plate map tell of the experiment: plate, well, time, treatment, and the group not to be split."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from neuroseg.readers.dataset import FIELDS, Dataset
from neuroseg.readers.source import Note
from neuroseg.tables import DataError

_CLOCK = re.compile(r"(?:(\d+) ?d(?:ays?)?)? ?(?:(\d+)h)? ?(?:(\d+)m)? ?(?:(\d+)s)?")
_COLONS = re.compile(r"(?:(\d+) days? )?(\d+):(\d+):(\d+(?:\.\d+)?)")


def hours(text: str) -> float:
    """Return a span of time in hours: "0 days 11:30:00", "02d16h00m", "11h30m00s", or a plain number of hours.

    Raises:
        ValueError: the text is none of these.
    """
    text = text.strip()
    match = text and (_CLOCK.fullmatch(text) or _COLONS.fullmatch(text))
    if not match:
        value = float(text)
        if not 0 <= value < np.inf:
            raise ValueError(f"{text} is no span of time")
        return value
    days, of_day, minutes, seconds = (float(part or 0) for part in match.groups())
    return 24 * days + of_day + minutes / 60 + seconds / 3600


def describe(images: pd.DataFrame, texts: list[str], dataset: Dataset) -> tuple[pd.DataFrame, list[Note]]:
    """Fill in what the pattern reads from each image's text and the plate map from its well, and name its group.

    A reader's own value stands before the pattern's. An image whose text does not match, or matches without every field
    of the group, has its sample as group.

    Returns:
        The images with `group`, and notes under pattern_mismatch, plate_map and bad_time.
    """
    pattern = re.compile(dataset.pattern) if dataset.pattern else None
    wells = _read_plate_map(dataset.root / dataset.plate_map) if dataset.plate_map else None
    rows, notes = [], []
    for at, (row, text) in enumerate(zip(images.to_dict("records"), texts, strict=True)):
        fields, faults = _fields(row, text, pattern)
        if wells is not None and fields["well"] is not None:
            treatment = wells.get((fields["plate"], fields["well"]), wells.get((None, fields["well"])))
            if treatment is None:
                place = " of ".join(str(part) for part in (fields["well"], fields["plate"]) if part)
                faults.append(("plate_map", f"well {place} is not in {dataset.plate_map}"))
            fields["treatment"] = treatment or fields["treatment"]
        parts = [fields[name] for name in dataset.group]
        fields["group"] = "/".join(parts) if None not in parts else fields["sample"]
        rows.append(fields)
        notes += [Note(check, at, -1, row["where"], message) for check, message in faults]
    filled = pd.DataFrame(rows, index=images.index, columns=[*FIELDS, "group"], dtype=object)
    filled["pixel_size_um"] = dataset.pixel_size_um
    return images.drop(columns=[name for name in filled if name in images]).join(filled.drop(columns="field")), notes


def _fields(row: dict, text: str, pattern: re.Pattern | None) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Return one image's fields, null where nothing tells, and what was wrong with them."""
    match = pattern.match(text) if pattern else None
    said = {name: value for name, value in (match.groupdict() if match else {}).items() if value}
    fields = {name: row.get(name) if row.get(name) is not None else said.get(name) for name in FIELDS}
    faults = (
        [] if match or not pattern else [("pattern_mismatch", f"'{text}' does not match the dataset file's pattern")]
    )
    if fields["time"] is not None:
        try:
            fields["time"] = hours(str(fields["time"]))
        except ValueError:
            faults.append(("bad_time", f"the time '{fields['time']}' is no span such as 0 days 11:30:00 or 02d16h00m"))
            fields["time"] = None
    fields["sample"] = fields["sample"] or row["image_id"]
    return fields, faults


def _read_plate_map(path: Path) -> dict[tuple[str | None, str], str]:
    """Return the treatment of each (plate, well), plate None where the map has but one."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the plate map cannot be read ({str(error).splitlines()[0].rstrip('.')}).") from error
    missing = {"well", "treatment"} - set(table.columns)
    if missing:
        raise DataError(
            f"{path}: the plate map lacks the column {min(missing)}; it needs well, treatment and, if several, plate."
        )
    plates = table["plate"].tolist() if "plate" in table else [""] * len(table)
    keys = [(plate or None, well) for plate, well in zip(plates, table["well"], strict=True)]
    twice = pd.Series(keys, dtype=object).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{path}:{row + 2}: the well {keys[row][1]} of plate {keys[row][0] or '-'} occurs twice; keep one row."
        )
    return dict(zip(keys, table["treatment"], strict=True))
