"""Plate maps: which well got which treatment and dose, listed or in the plate's form, in CSV or Excel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neuroseg.errors import DataError
from neuroseg.readers.plates import heads
from neuroseg.readers.plates.amounts import tidy_dose
from neuroseg.readers.plates.doubts import doubts, mixed
from neuroseg.readers.plates.forms import KNOWN, Row, listed, plate_form
from neuroseg.readers.plates.lines import Line, lines_of
from neuroseg.readers.plates.names import Spelling, same
from neuroseg.readers.words import some

_YES = {"yes", "y", "true", "1", "x", "control", "ja", "j", "wahr", "kontrolle"}
_NO = {"", "no", "n", "false", "0", "-", "nein", "falsch"}
_FORMS = (
    "columns well, treatment and, if there are several plates, plate; "
    "or rows A to H under the columns 1 to 12"
)


Well = tuple[str | None, str]
"""A well by the names of its plate, None where none is known, and its own."""

Finder = Callable[[str | None, str], Well | None]


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

    Plates, wells and treatments are spelled as in the file, accented letters as one sign.
    """

    treatments: dict[Well, str | None]
    controls: frozenset[str]
    doses: dict[Well, tuple[str, str | None]]
    sheets: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    def finder(self) -> Finder:
        """Return what finds an image's well in the map: its (plate, well) there, None where there is none.

        A well of which the map names no plate is that of every plate; where the map names one plate alone,
        images that tell none are of it.
        """
        places = {_place(plate, well): (plate, well) for plate, well in self.treatments}
        plates = {plate for plate, _ in places if plate}
        only = next(iter(plates)) if len(plates) == 1 else None

        def find(plate: str | None, well: str) -> Well | None:
            tried = (None, only) if plate is None else (same(plate), None)
            return next((places[name, same(well)] for name in tried if (name, same(well)) in places), None)

        return find


_MAP = re.compile(
    r"plate[\W_]*map|plat(te|ten)[\W_]*(plan|belegung)|belegung|layout|treatment|behandlung"
    r"|(?<![^\W_])(plate|platte|map)\d*(?![^\W_])"
)
"""What the name of a plate map holds, in lower case."""


def unused_maps(folder: Path) -> list[str]:
    """Return the names of the tables right in a folder that are plate maps by their names."""
    tables = (path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".tsv", ".xlsx"))
    return sorted(
        path.name for path in tables if path.name[0] not in ".~" and _MAP.search(path.stem.casefold())
    )


def read_plate_map(path: Path) -> PlateMap:
    """Read a plate map: CSV with commas, semicolons or tabs, or Excel's .xlsx; a list or in the plate's form.

    Heads may be of any case; wells are named as `well_name` does. Lines that begin with # are left out,
    unless one is the only head; hidden sheets are left out. A sheet of an Excel file whose neighbours are
    plate maps too, and which names no plate, is the map of the plate that it is named after.

    Raises:
        DataError: the file cannot be read, is no plate map, names a well twice, or has a date or a negative
            number in place of a treatment or a dose.
    """
    try:
        sheets = lines_of(path, heads.is_head)
    except DataError:
        raise
    except Exception as error:  # OSError, csv.Error, and what a damaged Excel file makes of a ZIP reader
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(
            f"{path}: the plate map cannot be read ({reason}); mend it, or `plate_map` in the dataset file."
        ) from error
    tables = {name: listed(lines) or plate_form(lines) for name, lines in sheets}
    found = {name: table for name, table in tables.items() if table and table.rows}
    if not found:
        raise DataError(f"{path}: this is no plate map{_unlike(sheets)}; it needs {_FORMS}.")
    if wrong := [words for table in found.values() for words in table.wrong]:
        more = f"; {len(wrong) - 1} more cells are like it" if len(wrong) > 1 else ""
        raise DataError(f"{path}: {wrong[0]}{more}.")
    several = len(found) > 1
    rows = [
        row._replace(plate=row.plate or (name if several else None))
        for name, table in found.items()
        for row in table.rows
    ]
    passed = [
        f"sheet {name}: {words}" if several else words
        for name, table in found.items()
        for words in [*table.passed, *doubts(table.rows)]
    ] + mixed(rows)
    return _checked(rows, path)._replace(
        sheets=tuple(name for name in found if name), passed=tuple(dict.fromkeys(passed))
    )


def _unlike(sheets: list[tuple[str, list[Line]]]) -> str:
    """Return what a file has where a plate map has its heads: its first line of several cells, if any."""
    said = [[cell for cell in cells if cell] for _, lines in sheets for _, cells in lines]
    first = next((cells for cells in said if len(cells) > 1), [])
    missing = {"well", "treatment"} - heads.columns(first).keys()
    lacks = f", it lacks the column {min(missing)}" if len(missing) == 1 else ""
    if not first or not missing:
        return lacks
    shown = some((cell if len(cell) <= 30 else f"{cell[:27]}..." for cell in first), 8)
    return f"{lacks}; its heads are {shown}, and those known are {KNOWN}"


def _place(plate: str | None, well: str) -> Well:
    return plate and same(plate), same(well)


def _checked(rows: list[Row], path: Path) -> PlateMap:
    treatments: dict[Well, str | None] = {}
    there: set[Well] = set()
    tables: dict[str, set[str | None]] = {}
    marked: dict[str, set[bool]] = {}
    spelling = Spelling()
    for row in rows:
        place = f"the well {row.well}" + (f" of plate {row.plate}" if row.plate else "")
        plate, well = _place(row.plate, row.well)
        if row.of_plate_form:
            plates = tables.setdefault(well, set())
            if plates and (plate in plates or None in (plate, *plates)):
                raise DataError(
                    f"{path}:{row.where}: two tables hold {place}; write in the upper left corner of each, "
                    "or in a line above it, what it holds: Treatment, Dose (µM), or the name of its plate."
                )
            plates.add(plate)
        if (plate, well) in there:
            raise DataError(
                f"{path}:{row.where}: {place} occurs twice; keep one row (A1 and A01 are one well, P1 and "
                "P 1 one plate)."
            )
        there.add((plate, well))
        treatments[row.plate, row.well] = row.treatment or None
        word = row.control.casefold()
        if word not in _YES | _NO:
            raise DataError(f"{path}:{row.where}: control is '{row.control}'; write yes, or leave it empty.")
        if row.treatment:
            marked.setdefault(spelling.of(row.treatment), set()).add(word in _YES)
    for name, words in marked.items():
        if len(words) > 1:
            raise DataError(
                f"{path}: '{name}' is the control in some wells and not in others; mark all or none."
            )
    doses = {(row.plate, row.well): tidy_dose(row.dose, row.unit) for row in rows if row.dose}
    return PlateMap(treatments, frozenset(name for name, words in marked.items() if True in words), doses)
