"""Wells of a plate, however they are written: A1, A01, a1, "A - 1", r01c01."""

from __future__ import annotations

import re

_LETTERS = re.compile(r"(?:well[\s_-]*)?(A?[A-Z])[\s_:.-]*0*([1-9]\d?)", re.IGNORECASE)
_NUMBERS = re.compile(r"r0*([1-9]\d?)[\s_-]*c0*([1-9]\d?)", re.IGNORECASE)


def well_name(text: str) -> str:
    """Return a well as letter and number without leading zeros, such as A1; what is no well comes back as is.

    Rows go on after Z with AA, as on plates of 1536 wells.
    """
    text = text.strip()
    if match := _NUMBERS.fullmatch(text):
        return well_at(int(match[1]), int(match[2]))
    match = _LETTERS.fullmatch(text)
    return f"{match[1].upper()}{match[2]}" if match else text


def is_well(name: str) -> bool:
    """Return whether a name, as `well_name` returns it, is a place on a plate: a letter and a number."""
    return bool(_LETTERS.fullmatch(name))


def well_at(row: int, column: int) -> str:
    """Return the well of a row and a column, both counted from 1."""
    letters = chr(64 + row) if row <= 26 else f"A{chr(64 + row - 26)}"
    return f"{letters}{column}"
