"""What of a plate map's doses is in doubt, for a person to mend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from neuroseg.readers.plates import heads
from neuroseg.readers.plates.amounts import doubtful, tidy_dose, understood
from neuroseg.readers.plates.forms import Row


def doubts(rows: Sequence[Row]) -> list[str]:
    """Return sentences on the doses of which it is not sure how large they are, and on units not known."""
    large = [row.dose for row in rows if doubtful(tidy_dose(row.dose, None)[0])]
    unread = [row.dose for row in rows if not understood(row.dose)]
    per = [unit for row in rows if _per_litre_per(unit := tidy_dose(row.dose, row.unit)[1] or "")]
    odd = [row.head for row in rows if _bare(row) and heads.odd_unit(row.head)]
    said = []
    if large:
        said.append(
            "doses that may be thousands or decimal numbers are left as they are "
            f"({_some(large)}); write 1000 or 1"
        )
    if unread:
        said.append(
            f"doses that are no number with a known unit are left as they are ({_some(unread)}); "
            "write a number and its unit alone, such as 10 nM"
        )
    if per:
        one = per[0].split("/")[0]
        said.append(f"M is an amount per litre already in {_some(per)}; write {one}, or mol for M")
    if odd:
        said.append(f"no unit is known in {_some(odd)}; write it behind each dose, or in a column unit")
    return said


def mixed(rows: Sequence[Row]) -> list[str]:
    """Return a sentence where doses without a unit, which are not zero, stand beside doses with one."""
    bare = [row.dose for row in rows if _bare(row)]
    told = [tidy_dose(row.dose, row.unit) for row in rows if row.dose]
    whole = [f"{number} {unit}" for number, unit in told if unit]
    if not bare or not whole:
        return []
    return [
        f"doses without a unit ({_some(bare)}) stand beside doses with one ({_some(whole)}), and are "
        "left without; write the unit behind each"
    ]


def _per_litre_per(unit: str) -> bool:
    return bool(re.match("[fpnµmk]?M/", unit))


def _bare(row: Row) -> bool:
    """Return whether a dose is a number but zero that has no unit."""
    number, unit = tidy_dose(row.dose, row.unit)
    return unit is None and any(sign in "123456789" for sign in number) and not any(map(str.isalpha, number))


def _some(words: Iterable[str]) -> str:
    unlike = list(dict.fromkeys(words))
    return ", ".join(unlike[:3]) + (", ..." if len(unlike) > 3 else "")
