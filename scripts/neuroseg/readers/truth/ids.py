"""COCO's ids, which files write as numbers, as floating point numbers or as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,1000})(?:\.0*)?\s*")


class Ids:
    """Tells which ids of a file are the same: a text is a number only where that number is an id as well.

    1 and 1.0 are one id, and so are "1" and 1 in a file that writes both; "1", "001" and "1_0" in one that
    writes all as text are three.
    """

    def __init__(self, *lists: Iterable[object]) -> None:
        """Take all ids of one kind in a file: the ones listed, and the ones that refer to them."""
        self._numbers = {key for ids in lists for key in map(_key, ids) if isinstance(key, int)}

    def key(self, value: object) -> int | str | None:
        """Return an id to look up; None, where there is none, is one too."""
        if isinstance(value, str) and (number := whole(value)) in self._numbers:
            return number
        return _key(value)


def whole(value: object) -> int | None:
    """Return a whole number that is written as such, as a floating point number or as text; else None."""
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value)
        return int(match[1]) if match else None
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _key(value: object) -> int | str | None:
    if value is None or isinstance(value, str):
        return value
    number = whole(value)
    return str(value) if number is None else number
