"""The two forms of plate maps, a list of wells and the plate's form, as rows of wells."""

from __future__ import annotations

import re
from typing import NamedTuple

from neuroseg.readers.plates import heads
from neuroseg.readers.plates.amounts import negative, not_zero
from neuroseg.readers.plates.beside import stacked
from neuroseg.readers.plates.lines import Line, cell_name
from neuroseg.readers.plates.times import dated
from neuroseg.readers.plates.wells import well_at, well_name
from neuroseg.readers.words import some

KNOWN = "well (or row and column), treatment, dose, unit, plate and control"
"""The columns of a list of wells."""


class Row(NamedTuple):
    """A well, where it stands, what its cells say, and whether it is one of the plate's form."""

    where: str
    plate: str | None
    well: str
    treatment: str
    control: str
    dose: str = ""
    unit: str | None = None
    head: str = ""
    of_plate_form: bool = False


class Table(NamedTuple):
    """The wells of a sheet, what of it is not used, and which cells are not what their head or title says."""

    rows: list[Row]
    passed: list[str]
    wrong: list[str]


Titled = tuple[str, dict[str, tuple[str, str, int]]]
"""A table's title, and by well a cell's line, text and position."""


def _wrong(where: str, at: int, text: str, wanted: str) -> list[str]:
    """Return what is wrong with the cell of a treatment, a dose or a unit, nothing where nothing is."""
    cell = cell_name(where, at)
    if re.fullmatch(r"#[A-Z/0]+[!?]|#N/A", text):
        return [
            f"{cell}: the formula of this {wanted} failed ({text}); mend it, or write the {wanted} itself"
        ]
    if dated(text):
        return [
            f"{cell}: '{text}' is a date or a clock where a {wanted} is wanted: spreadsheets make one of "
            "1-5, 5/1 or 1:10; format the cell as text and type it again"
        ]
    if wanted == "dose" and negative(text):
        return [
            f"{cell}: the dose '{text}' is negative; write the amount, and for a logarithm the number that "
            "it stands for (1e-6 M for -6)"
        ]
    return []


def listed(lines: list[Line]) -> Table | None:
    """Return a list's wells: a line of heads, and a line for each well; None if no line holds the heads."""
    head = next((at for at, (_, cells) in enumerate(lines) if heads.names_wells(cells)), None)
    if head is None:
        return None
    names = lines[head][1]
    place = heads.columns(names)
    full = _with_units(names, lines[head + 1 :], place)
    doses = [(at, name) for at, name in enumerate(full) if heads.is_dose(name)]
    wanted = {at: "dose" for at, _ in doses} | {place["treatment"]: "treatment"}
    wanted |= {place["unit"]: "unit"} if "unit" in place and doses else {}
    rows: list[Row] = []
    wrong, lost, filled, twice = [], [], set(), set()
    for where, cells in lines[head + 1 :]:
        said = {name: cells[column] if column < len(cells) else "" for name, column in place.items()}
        well = said["well"] if "well" in said else _well_of(said["row"], said["column"])
        if not well or heads.names_wells(cells):  # heads of merged cells are more lines than one
            lost += [cell_name(where, 0)] * (not well and bool(rows) and bool(said["treatment"]))
            continue
        filled |= {at for at, cell in enumerate(cells) if cell}
        if any(cells[len(names) :]):
            wrong.append(
                f"{cell_name(where, len(names))}: the line has more cells than there are heads; put cells "
                "with a separator in them in quotes, such as a dose of 0,5, or part cells by semicolons"
            )
        for at in sorted(wanted.keys() & filled):
            wrong += _wrong(where, at, cells[at] if at < len(cells) else "", wanted[at])
        told = [(at, cells[at], name) for at, name in doses if at < len(cells) and cells[at]]
        twice |= {at for at, _, _ in told[1:]}
        _, dose, title = told[0] if told else (-1, "", "")
        plate, control = said.get("plate") or None, said.get("control", "")
        unit = said.get("unit") or heads.unit_of(title)
        rows.append(Row(where, plate, well_name(well), said["treatment"], control, dose, unit, title))
    if "well" in place:
        place = {name: at for name, at in place.items() if name not in ("row", "column")}
    if not doses:
        place.pop("unit", None)
    unused = filled - set(place.values()) - {at for at, _ in doses}
    passed = _passed_columns(full, unused, twice)
    if lost:
        passed.append(f"not used: treatments without a well ({some(lost)})")
    return Table(rows, passed, wrong)


def _with_units(names: list[str], below: list[Line], place: dict[str, int]) -> list[str]:
    """Return heads with what stands in the lines right below them that are no wells: dose, and (nM) below."""
    wells = [at for name, at in place.items() if name in ("well", "row", "column")]
    full = list(names)
    for _, cells in below:
        if any(at < len(cells) and cells[at] not in ("", names[at]) for at in wells):
            break
        if any(re.fullmatch(r"[\d.,]+", cell) for cell in cells):
            break
        full += [""] * (len(cells) - len(full))
        for at, cell in enumerate(cells):
            full[at] = full[at] if cell == full[at] else f"{full[at]} {cell}".strip()
    return full


def _passed_columns(names: list[str], unused: set[int], twice: set[int]) -> list[str]:
    passed = []
    if unused:
        words = ", ".join(_column(names, at) for at in sorted(unused))
        passed.append(f"not used: {words}; a plate map's columns are {KNOWN}")
    if twice:
        words = ", ".join(_column(names, at) for at in sorted(twice))
        passed.append(f"of several doses of a well the first is used, not {words}")
    return passed


def _column(names: list[str], at: int) -> str:
    """Return what a column is called, by its position and its head."""
    head = names[at] if at < len(names) else ""
    return f"column {at + 1} ({head or 'without a head'})"


def _well_of(row: str, column: str) -> str:
    if row.isdigit() and column.isdigit():
        return well_at(int(row), int(column)) if 1 <= int(row) <= 32 else f"{row}-{column}"
    return f"{row}{column}"


def plate_form(lines: list[Line]) -> Table:
    """Return the wells of tables in the plate's form: the columns' numbers, then a line for each letter.

    Of several tables each stands under a title, or has it in its corner: the plate's name, or what its cells
    are, such as treatment, control, dose or unit; others, such as the density of cells, are not used. Beside
    a table of treatments one whose title names no plate is such another. Where each of several plates has its
    own table of doses, controls or units, above it or below it, that holds; else the first does for all.
    """
    tables, idle_lines, idle_columns = _matrices(stacked(lines))
    kinds = [heads.subject(title) for title, _ in tables]
    if "treatment" in kinds:
        kinds = [
            "other" if kind == "plate" and title and "plate" not in title.casefold() else kind
            for kind, (title, _) in zip(kinds, tables, strict=True)
        ]
    several = kinds.count("plate") > 1
    given = list(zip(kinds, tables, strict=True))
    rows: list[Row] = []
    treated: set[str] = set()
    for number, (kind, (title, wells)) in enumerate(
        (table for table in given if table[0] in ("plate", "treatment")), 1
    ):
        plate = title if several and kind == "plate" else None
        doses, control, units = (_beside(given, name, number) for name in ("dose", "control", "unit"))
        for well, (where, treatment, _) in wells.items():
            dose, head = next(((of[well][1], head) for head, of in doses if well in of), ("", ""))
            marked, own = (
                next((of[well][1] for _, of in each if well in of), "") for each in (control, units)
            )
            unit = own or heads.unit_of(head)
            rows.append(Row(where, plate or None, well, treatment, marked, dose, unit, head, True))
        treated |= wells.keys()
    doses = [table for kind, table in given if kind == "dose"]
    idle = ["other"] + ["unit"] * (not doses)
    unused = [title for kind, (title, wells) in given if kind in idle and wells]
    passed = [f"not used: the table{'s' * (len(unused) > 1)} {', '.join(unused)}"] if unused else []
    if idle_columns:
        passed.append(f"not used: {', '.join(idle_columns)}, beside the table")
    if idle_lines:
        passed.append(f"not used: what is no row of a table ({some(idle_lines, between='; ')})")
    told = {well for _, of in doses for well, (_, dose, _) in of.items() if not_zero(dose)}
    if alone := sorted(told - treated):
        passed.append(f"not used: doses of wells without a treatment ({', '.join(alone)})")
    doses = _beside(given, "dose", 1)
    twice = any(well in later for at, (_, of) in enumerate(doses) for _, later in doses[:at] for well in of)
    for name in ("dose", "control", "unit") if several else ():
        shared = _beside(given, name, 1)
        if shared and len(shared) == kinds.count(name):
            passed.append(f"the table {shared[0][0]} holds for all plates")
    wrong = [
        words
        for kind, (_, wells) in given
        for where, text, at in wells.values()
        for words in _wrong(where, at, text, "treatment" if kind == "plate" else kind)
        if kind in ("plate", "treatment", "dose", "unit")
    ]
    return Table(rows, passed + ["of several doses of a well the first table's is used"] * twice, wrong)


def _beside(given: list[tuple[str, Titled]], name: str, number: int) -> list[Titled]:
    """Return the tables of a kind for a plate, counted from 1: its own, if each plate has some, else all."""
    found, seen = [], 0
    for kind, table in given:
        seen += kind in ("plate", "treatment")
        if kind == name:
            found.append((seen, table))
    places = {place for place, _ in found}
    for first in (1, 0):  # each table below its plate, or above it
        if places == set(range(first, first + seen)):
            return [table for place, table in found if place == number - 1 + first]
    return [table for _, table in found]


def _matrices(lines: list[Line]) -> tuple[list[Titled], list[str], list[str]]:
    """Return the tables in the plate's form.

    A table ends where its letters do not go on: a legend of letters may follow it. The lines of several cells
    that belong to no table come back as text, and so do the columns beside tables.
    """
    tables: list[Titled] = []
    numbers: list[tuple[int, str]] = []
    title, last, idle, names = "", 0, [], list[str]()
    beside: set[int] = set()  # of this table
    told: dict[int, str] = {}
    for where, cells in lines:
        filled = [at for at, cell in enumerate(cells) if cell]
        columns = heads.numbered(cells)
        after = {at for at in filled if numbers and at > numbers[-1][0]}
        if columns:
            tables.append((cells[0] or title, {}))
            numbers, title, last, names = columns, "", 0, cells
            beside = {at for at in filled if at > numbers[-1][0]}
        elif tables and numbers and (row := heads.row_number(cells[0])) and row > last and len(cells) > 1:
            last = row
            for at, column in numbers:
                if at < len(cells) and cells[at]:
                    tables[-1][1][well_name(f"{cells[0]}{column}")] = where, cells[at], at
            beside |= after
            told |= {at: _column(names, at) for at in after}
        elif beside.issuperset(filled):  # a legend that is longer than its table
            told |= {at: _column(names, at) for at in after}
        else:
            words = [cells[at] for at in filled]
            title = words[0] if len(set(words)) == 1 else ""
            numbers = [] if 0 < heads.row_number(cells[0]) <= last else numbers
            if not title and not set(words) <= {number for _, number in numbers}:
                idle.append(f"{cell_name(where, 0)}: {' '.join(words[:3])}")
    idle_columns = [told[at] for at in sorted(told)]
    return [(title, wells) for title, wells in tables if wells], idle, idle_columns
