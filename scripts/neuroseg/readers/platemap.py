"""Plate maps: which well got which treatment and dose, listed or in the plate's form, in CSV or Excel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from neuroseg.errors import DataError
from neuroseg.readers.lines import Line, lines_of
from neuroseg.readers.wells import well_at, well_name

HEADS = {
    "well": ("well", "wells", "well id", "well name", "well position", "position"),
    "row": ("row", "well row"),
    "column": ("column", "col", "well column"),
    "treatment": ("treatment", "treatments", "condition", "compound", "drug"),
    "plate": ("plate", "plate id", "plate name", "barcode", "vessel"),
    "control": ("control", "is control"),
    "dose": ("dose", "doses", "dosage", "concentration", "concentrations", "conc", "conc."),
}
"""What a column's head may be, in lower case; of several the first here is taken."""

_YES, _NO = {"yes", "y", "true", "1", "x", "control"}, {"", "no", "n", "false", "0", "-"}
_FORMS = (
    "columns well, treatment and, if there are several plates, plate; "
    "or rows A to H under the columns 1 to 12"
)


class PlateMap(NamedTuple):
    """What a plate map says.

    Attributes:
        treatments: by (plate, well) the treatment, None where the well has none; the plate is None where the
            map names none.
        controls: the treatments that it calls the control.
        doses: by (plate, well) the dose as it is written, and its unit where the column's head tells one; of
            wells that have a dose.
    """

    treatments: dict[tuple[str | None, str], str | None]
    controls: frozenset[str]
    doses: dict[tuple[str | None, str], tuple[str, str | None]]

    @property
    def plates(self) -> frozenset[str]:
        """The plates that it names."""
        return frozenset(plate for plate, _ in self.treatments if plate)


class _Row(NamedTuple):
    where: str
    plate: str | None
    well: str
    treatment: str
    control: str
    dose: str = ""
    unit: str | None = None


_UNIT = re.compile(r"(?<=[a-z.])[\s_-]+([pnuµμm]?(?:M|mol(?:/l)?|g|g/[mµu]?l|U/ml|IU/ml)|%)$", re.IGNORECASE)
"""A unit at the end of a head, without brackets."""


def read_plate_map(path: Path) -> PlateMap:
    """Read a plate map: CSV with commas, semicolons or tabs, or Excel's .xlsx; a list or in the plate's form.

    Heads may be of any case; wells are named as `well_name` does. Lines that begin with # are left out. A
    sheet of an Excel file whose neighbours are plate maps too, and which names no plate, is the map of the
    plate that it is named after.

    Raises:
        DataError: the file cannot be read, is no plate map, or names a well twice.
    """
    try:
        sheets = lines_of(path)
    except DataError:
        raise
    except Exception as error:  # OSError, csv.Error, and what a damaged Excel file makes of a ZIP reader
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{path}: the plate map cannot be read ({reason}).") from error
    tables = [(name, list(_listed(lines)) or list(_plate_form(lines))) for name, lines in sheets]
    tables = [(name, rows) for name, rows in tables if rows]
    if not tables:
        heads = {name for _, lines in sheets for _, cells in lines[:1] for name in _columns(cells)}
        missing = {"well", "treatment"} - heads
        lacks = f", it lacks the column {min(missing)}" if len(missing) == 1 else ""
        raise DataError(f"{path}: this is no plate map{lacks}; it needs {_FORMS}.")
    rows = [
        row._replace(plate=row.plate or (name if len(tables) > 1 else None))
        for name, table in tables
        for row in table
    ]
    return _checked(rows, path)


def _checked(rows: list[_Row], path: Path) -> PlateMap:
    treatments: dict[tuple[str | None, str], str | None] = {}
    marked: dict[str, set[bool]] = {}
    for row in rows:
        key = row.plate, row.well
        if key in treatments:
            place = f"the well {row.well}" + (f" of plate {row.plate}" if row.plate else "")
            raise DataError(
                f"{path}:{row.where}: {place} occurs twice; keep one row (A1 and A01 are one well)."
            )
        treatments[key] = row.treatment or None
        word = row.control.casefold()
        if word not in _YES | _NO:
            raise DataError(f"{path}:{row.where}: control is '{row.control}'; write yes, or leave it empty.")
        if row.treatment:
            marked.setdefault(row.treatment, set()).add(word in _YES)
    for name, words in marked.items():
        if len(words) > 1:
            raise DataError(
                f"{path}: '{name}' is the control in some wells and not in others; mark all or none."
            )
    doses = {(row.plate, row.well): (row.dose, row.unit) for row in rows if row.dose}
    return PlateMap(treatments, frozenset(name for name, words in marked.items() if True in words), doses)


# --------------------------------------------------------------------------------------------- lines to wells


def _listed(lines: list[Line]) -> Iterator[_Row]:
    """Yield a list's wells: a line of heads, and a line for each well; nothing if no line holds the heads."""
    places = [_columns(cells) for _, cells in lines]
    head = next((at for at, place in enumerate(places) if _names_wells(place)), None)
    if head is None:
        return
    place = places[head]
    unit = _unit(lines[head][1][place["dose"]]) if "dose" in place else None
    for where, cells in lines[head + 1 :]:
        said = {name: cells[column] if column < len(cells) else "" for name, column in place.items()}
        well = said["well"] if "well" in said else _well_of(said["row"], said["column"])
        if well and not _names_wells(_columns(cells)):  # heads of merged cells are more lines than one
            plate, control, dose = said.get("plate") or None, said.get("control", ""), said.get("dose", "")
            yield _Row(where, plate, well_name(well), said["treatment"], control, dose, unit)


def _names_wells(place: dict[str, int]) -> bool:
    return "treatment" in place and ("well" in place or {"row", "column"} <= place.keys())


def _columns(cells: list[str]) -> dict[str, int]:
    heads = [_plain(cell) for cell in cells]
    places = {name: [heads.index(head) for head in known if head in heads] for name, known in HEADS.items()}
    return {name: columns[0] for name, columns in places.items() if columns}


def _plain(head: str) -> str:
    """Return a head or a title in lower case, without its unit and without marks between its words."""
    bare = re.sub(r"[(\[].*", "", head).strip()
    return re.sub(r"[\s_-]+", " ", _UNIT.sub("", bare)).strip().casefold()


def _unit(head: str) -> str | None:
    """Return the unit that a head tells, in brackets or after the word, such as "dose (µM)" or "conc_nM"."""
    match = re.search(r"[(\[]\s*([^)\]]+?)\s*(?:[)\]]|$)", head) or _UNIT.search(head)
    return match[1] if match else None


def _well_of(row: str, column: str) -> str:
    if row.isdigit() and column.isdigit():
        return well_at(int(row), int(column)) if 1 <= int(row) <= 32 else f"{row}-{column}"
    return f"{row}{column}"


def _plate_form(lines: list[Line]) -> Iterator[_Row]:
    """Yield the wells of tables in the plate's form: the columns' numbers, then a line for each row's letter.

    Of several tables each stands under a title, or has it in its corner: the plate's name, or what its cells
    are, such as treatment, control or dose; others, such as the density of cells, are left out.
    """
    tables: list[tuple[str, dict[str, tuple[str, str]]]] = []
    numbers: list[tuple[int, str]] = []
    title = ""
    for where, cells in lines:
        filled = [cell for cell in cells if cell]
        columns = _numbered(cells)
        if columns:
            tables.append((cells[0] or title, {}))
            numbers, title = columns, ""
        elif tables and re.fullmatch(r"A?[A-Za-z]", cells[0]) and len(cells) > 1:
            for at, column in numbers:
                if at < len(cells) and cells[at]:
                    tables[-1][1][well_name(f"{cells[0]}{column}")] = where, cells[at]
        else:
            title = filled[0] if len(set(filled)) == 1 else ""
    subject = {id(wells): _subject(name) for name, wells in tables}
    control, dose = (
        next((wells for _, wells in tables if subject[id(wells)] == name), {}) for name in ("control", "dose")
    )
    unit = next((_unit(name) for name, wells in tables if subject[id(wells)] == "dose"), None)
    several = sum(subject[id(wells)] == "plate" for _, wells in tables) > 1
    for name, wells in tables:
        if subject[id(wells)] in ("plate", "treatment"):
            plate = name if several and subject[id(wells)] == "plate" else None
            for well, (where, treatment) in wells.items():
                marked, amount = (of.get(well, ("", ""))[1] for of in (control, dose))
                yield _Row(where, plate or None, well, treatment, marked, amount, unit)


def _numbered(cells: list[str]) -> list[tuple[int, str]]:
    """Return (position, number) of a head's cells 1, 2, 3, ... after its corner, nothing where it is none."""
    found = [(at, re.sub(r"\.0$", "", cell).lstrip("0")) for at, cell in enumerate(cells) if at and cell]
    numbers = [int(text) if text.isdigit() else -1 for _, text in found]
    if not numbers or numbers[0] < 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return []
    return [] if re.fullmatch(r"A?[A-Za-z]", cells[0]) else found


def _subject(title: str) -> str:
    """Return what a table like a plate holds: "treatment", "control", "dose", "other" or "plate" if named."""
    word = _plain(title)
    for subject in ("treatment", "control", "dose"):
        if word in HEADS[subject]:
            return subject
    others = ("dose", "conc", "cell type", "cells", "density", "time", "unit")
    return "other" if word.startswith(others) else "plate"
