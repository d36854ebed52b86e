"""What of a plate map's doses is in doubt, for a person to mend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from neuroseg.readers.plates import heads
from neuroseg.readers.plates.amounts import (
    decimal_marks,
    doubtful,
    negative,
    not_zero,
    tidy_dose,
    tidy_unit,
    understood,
)
from neuroseg.readers.plates.forms import Row
from neuroseg.readers.plates.wells import is_well
from neuroseg.readers.words import some


def doubts(rows: Sequence[Row]) -> list[str]:
    """Return sentences on doses whose size or unit is not sure, or of no treatment, and on names of wells."""
    factor = [row.head for row in rows if not_zero(row.dose) and heads.has_factor(row.head)]
    odd = [row.head for row in rows if _bare(row) and heads.odd_unit(row.head) and row.head not in factor]
    alone = [row.well for row in rows if not row.treatment and not_zero(row.dose)]
    places = [row.well for row in rows if is_well(row.well)]
    elsewhere = [row.well for row in rows if not is_well(row.well)] if places else []
    clash = [f"{row.unit} in {row.head}" for row in rows if _other_unit(row)]
    said = []
    if clash:
        said.append(f"the column unit goes before that of the dose's head ({_some(clash)}); leave one out")
    if alone:
        said.append(f"wells have a dose and no treatment ({_some(alone)}); write the treatment for each well")
    if elsewhere:
        said.append(
            f"wells that are no letter and number ({_some(elsewhere)}) fit images that call them so alone; "
            "write each well in a line of its own, and legends elsewhere"
        )
    said += of_doses([(row.dose, row.unit) for row in rows])
    if factor:
        said.append(
            f"the number in {_some(factor)} may be a factor of the doses, so they stay as they are and the "
            "head tells no unit; multiply them out, and write their unit alone, such as Dose (µM)"
        )
    if odd:
        said.append(f"no unit is known in {_some(odd)}; write it behind each dose, or in a column unit")
    return said


def of_doses(doses: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return sentences on doses, each with the unit that holds for it, whose size or unit is not sure."""
    large = [dose for dose, _ in doses if doubtful(tidy_dose(dose, None)[0])]
    marks = {dose: decimal_marks(dose) for dose, _ in doses if understood(dose)}
    comma, dot = ([dose for dose, of in marks.items() if mark in of] for mark in ",.")
    unread = [dose for dose, _ in doses if not understood(dose) or negative(dose)]
    told = [tidy_dose(dose, unit)[1] or "" for dose, unit in doses]
    per = [unit for unit in told if re.match("[fpnµmk]?M/", unit)]
    said = []
    if large:
        said.append(
            "doses that may be thousands or decimal numbers are left as they are "
            f"({_some(large)}); write 1000 or 1"
        )
    if comma and dot:
        said.append(
            f"doses with a dot ({_some(dot)}) stand beside doses with a decimal comma ({_some(comma)}), and "
            "the dot is taken as a decimal one; write all with one mark, and thousands without any"
        )
    if unread:
        said.append(
            f"doses that are no number with a known unit are left as they are ({_some(unread)}); "
            "write a number and its unit alone, such as 10 nM"
        )
    if per:
        one = per[0].split("/")[0]
        said.append(f"M is an amount per litre already in {_some(per)}; write {one}, or mol for M")
    return said


def mixed(rows: Sequence[Row]) -> list[str]:
    """Return sentences where doses without a unit but zero, or wells without a plate, stand beside others."""
    bare = [row.dose for row in rows if _bare(row)]
    told = [tidy_dose(row.dose, row.unit) for row in rows if row.dose]
    whole = [f"{number} {unit}" for number, unit in told if unit]
    plateless = [row.well for row in rows if not row.plate]
    said = []
    if plateless and len(plateless) < len(rows):
        said.append(
            f"wells without a plate are those of every plate ({_some(plateless)}); write the plate of each"
        )
    if not bare or not whole:
        return said
    return [
        *said,
        f"doses without a unit ({_some(bare)}) stand beside doses with one ({_some(whole)}), and are "
        "left without; write the unit behind each",
    ]


def _other_unit(row: Row) -> bool:
    """Return whether a column tells another unit of a dose than its head."""
    units = {tidy_unit(row.unit), heads.unit_of(row.head)} - {None}
    return bool(row.dose) and len(units) > 1


def _bare(row: Row) -> bool:
    """Return whether a dose is a number but zero that has no unit."""
    number, unit = tidy_dose(row.dose, row.unit)
    return unit is None and not_zero(number) and not any(map(str.isalpha, number))


def _some(words: Iterable[str]) -> str:
    """Return the first of the words, each once."""
    return some(dict.fromkeys(words))
