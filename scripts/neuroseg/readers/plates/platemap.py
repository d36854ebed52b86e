"""Plate maps: which well got which treatment and dose, listed or in the plate's form, in CSV or Excel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from neuroseg.errors import DataError
from neuroseg.readers.plates import heads
from neuroseg.readers.plates.amounts import doubtful, tidy_dose
from neuroseg.readers.plates.lines import Line, lines_of
from neuroseg.readers.plates.wells import well_at, well_name

_YES, _NO = {"yes", "y", "true", "1", "x", "control"}, {"", "no", "n", "false", "0", "-"}
_FORMS = (
    "columns well, treatment and, if there are several plates, plate; "
    "or rows A to H under the columns 1 to 12"
)


_KNOWN = "well (or row and column), treatment, dose, unit, plate and control"


class PlateMap(NamedTuple):
    """What a plate map says.

    Attributes:
        treatments: by (plate, well) the treatment, None where the well has none; the plate is None where the
            map names none.
        controls: the treatments that it calls the control.
        doses: by (plate, well) the dose and its unit where the map tells one, as `tidy_dose` writes them; of
            wells that have a dose.
        sheets: of an Excel file, the sheets that were read; none for a CSV file.
        passed: what of the file is not used, or not as it stands, a sentence without its stop for each.
    """

    treatments: dict[tuple[str | None, str], str | None]
    controls: frozenset[str]
    doses: dict[tuple[str | None, str], tuple[str, str | None]]
    sheets: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

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


class _Table(NamedTuple):
    """The wells of a sheet, and what of it is not used."""

    rows: list[_Row]
    passed: list[str]


def read_plate_map(path: Path) -> PlateMap:
    """Read a plate map: CSV with commas, semicolons or tabs, or Excel's .xlsx; a list or in the plate's form.

    Heads may be of any case; wells are named as `well_name` does. Lines that begin with # are left out,
    unless one is the only head; hidden sheets are left out. A sheet of an Excel file whose neighbours are
    plate maps too, and which names no plate, is the map of the plate that it is named after.

    Raises:
        DataError: the file cannot be read, is no plate map, or names a well twice.
    """
    try:
        sheets = lines_of(path, heads.is_head)
    except DataError:
        raise
    except Exception as error:  # OSError, csv.Error, and what a damaged Excel file makes of a ZIP reader
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{path}: the plate map cannot be read ({reason}).") from error
    tables = {name: _listed(lines) or _plate_form(lines) for name, lines in sheets}
    found = {name: table for name, table in tables.items() if table and table.rows}
    if not found:
        told = {name for _, lines in sheets for _, cells in lines[:1] for name in heads.columns(cells)}
        missing = {"well", "treatment"} - told
        lacks = f", it lacks the column {min(missing)}" if len(missing) == 1 else ""
        raise DataError(f"{path}: this is no plate map{lacks}; it needs {_FORMS}.")
    several = len(found) > 1
    rows = [
        row._replace(plate=row.plate or (name if several else None))
        for name, table in found.items()
        for row in table.rows
    ]
    passed = [
        f"sheet {name}: {words}" if several else words
        for name, table in found.items()
        for words in [*table.passed, *_doubts(table.rows)]
    ]
    return _checked(rows, path)._replace(
        sheets=tuple(name for name in found if name), passed=tuple(dict.fromkeys(passed))
    )


def _doubts(rows: list[_Row]) -> list[str]:
    """Return a sentence that names the doses of which it is not sure how large they are."""
    some = list(dict.fromkeys(row.dose for row in rows if doubtful(tidy_dose(row.dose, None)[0])))
    if not some:
        return []
    shown = ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
    return [f"doses that may be thousands or decimal numbers are left as they are ({shown}); write 1000 or 1"]


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
    doses = {(row.plate, row.well): tidy_dose(row.dose, row.unit) for row in rows if row.dose}
    return PlateMap(treatments, frozenset(name for name, words in marked.items() if True in words), doses)


# --------------------------------------------------------------------------------------------- lines to wells


def _listed(lines: list[Line]) -> _Table | None:
    """Return a list's wells: a line of heads, and a line for each well; None if no line holds the heads."""
    head = next((at for at, (_, cells) in enumerate(lines) if heads.names_wells(cells)), None)
    if head is None:
        return None
    names = lines[head][1]
    place = heads.columns(names)
    doses = [(at, name) for at, name in enumerate(names) if heads.is_dose(name)]
    rows, filled, twice = [], set(), set()
    for where, cells in lines[head + 1 :]:
        said = {name: cells[column] if column < len(cells) else "" for name, column in place.items()}
        well = said["well"] if "well" in said else _well_of(said["row"], said["column"])
        if not well or heads.names_wells(cells):  # heads of merged cells are more lines than one
            continue
        filled |= {at for at, cell in enumerate(cells) if cell}
        told = [(at, cells[at], heads.unit_of(name)) for at, name in doses if at < len(cells) and cells[at]]
        twice |= {at for at, _, _ in told[1:]}
        _, dose, unit = told[0] if told else (-1, "", None)
        plate, control = said.get("plate") or None, said.get("control", "")
        unit = said.get("unit") or unit
        rows.append(_Row(where, plate, well_name(well), said["treatment"], control, dose, unit))
    if "well" in place:
        place = {name: at for name, at in place.items() if name not in ("row", "column")}
    if not doses:
        place.pop("unit", None)
    unused = filled - set(place.values()) - {at for at, _ in doses}
    return _Table(rows, _passed_columns(names, unused, twice))


def _passed_columns(names: list[str], unused: set[int], twice: set[int]) -> list[str]:
    told = {at: names[at] if at < len(names) and names[at] else "without a head" for at in unused | twice}
    passed = []
    if unused:
        words = ", ".join(f"column {at + 1} ({told[at]})" for at in sorted(unused))
        passed.append(f"not used: {words}; a plate map's columns are {_KNOWN}")
    if twice:
        words = ", ".join(f"column {at + 1} ({told[at]})" for at in sorted(twice))
        passed.append(f"of several doses of a well the first is used, not {words}")
    return passed


def _well_of(row: str, column: str) -> str:
    if row.isdigit() and column.isdigit():
        return well_at(int(row), int(column)) if 1 <= int(row) <= 32 else f"{row}-{column}"
    return f"{row}{column}"


def _plate_form(lines: list[Line]) -> _Table:
    """Return the wells of tables in the plate's form: the columns' numbers, then a line for each letter.

    Of several tables each stands under a title, or has it in its corner: the plate's name, or what its cells
    are, such as treatment, control, dose or unit; others, such as the density of cells, are not used. Beside
    a table of treatments one whose title names no plate is such another.
    """
    tables = _matrices(lines)
    kinds = [heads.subject(title) for title, _ in tables]
    if "treatment" in kinds:
        kinds = [
            "other" if kind == "plate" and title and "plate" not in title.casefold() else kind
            for kind, (title, _) in zip(kinds, tables, strict=True)
        ]
    several = kinds.count("plate") > 1
    given = list(zip(kinds, tables, strict=True))
    doses = [(heads.unit_of(title), wells) for kind, (title, wells) in given if kind == "dose"]
    control, units = (
        next((wells for kind, (_, wells) in given if kind == name), {}) for name in ("control", "unit")
    )
    rows = []
    for kind, (title, wells) in given:
        if kind not in ("plate", "treatment"):
            continue
        plate = title if several and kind == "plate" else None
        for well, (where, treatment) in wells.items():
            dose, unit = next(((of[well][1], unit) for unit, of in doses if well in of), ("", None))
            marked, own = (of.get(well, ("", ""))[1] for of in (control, units))
            rows.append(_Row(where, plate or None, well, treatment, marked, dose, own or unit))
    idle = ["other"] + ["unit"] * (not doses)
    unused = [title for kind, (title, wells) in given if kind in idle and wells]
    passed = [f"not used: the table{'s' * (len(unused) > 1)} {', '.join(unused)}"] if unused else []
    twice = any(well in later for at, (_, of) in enumerate(doses) for _, later in doses[:at] for well in of)
    return _Table(rows, passed + ["of several doses of a well the first table's is used"] * twice)


def _matrices(lines: list[Line]) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """Return the title of each table in the plate's form, and by well where a cell stands and its text."""
    tables: list[tuple[str, dict[str, tuple[str, str]]]] = []
    numbers: list[tuple[int, str]] = []
    title = ""
    for where, cells in lines:
        filled = [cell for cell in cells if cell]
        columns = heads.numbered(cells)
        if columns:
            tables.append((cells[0] or title, {}))
            numbers, title = columns, ""
        elif tables and re.fullmatch(r"A?[A-Za-z]", cells[0]) and len(cells) > 1:
            for at, column in numbers:
                if at < len(cells) and cells[at]:
                    tables[-1][1][well_name(f"{cells[0]}{column}")] = where, cells[at]
        else:
            title = filled[0] if len(set(filled)) == 1 else ""
    return tables
