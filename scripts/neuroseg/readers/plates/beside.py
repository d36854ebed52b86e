"""Tables in the plate's form that stand side by side in one sheet, as tables one below the other."""

from __future__ import annotations

from itertools import pairwise

from neuroseg.readers.plates import heads
from neuroseg.readers.plates.lines import Line


def stacked(lines: list[Line]) -> list[Line]:
    """Return the lines of a sheet with each table below the one at its left, under the titles above it.

    Cells keep their positions, but for a table's corner and letters, which come first. A table without
    letters of its own has those of the sheet's first column.
    """
    starts = [heads.starts(cells) for _, cells in lines]
    at = [number for number, found in enumerate(starts) if found]
    if all(len(starts[number]) == 1 for number in at):
        return lines
    begin = []
    for number, before in zip(at, [-1, *at], strict=False):
        while number - 1 > before and not heads.row_number(lines[number - 1][1][0]):
            number -= 1
        begin.append(number)
    found = lines[: begin[0]]
    for head, first, end in zip(at, begin, [*begin[1:], len(lines)], strict=True):
        edges = [*starts[head], None]
        for start, stop in pairwise(edges):
            parts = [(where, _part(cells, start or 0, stop)) for where, cells in lines[first:end]]
            found += [(where, cells) for where, cells in parts if any(cells)]
    return found


def _part(cells: list[str], start: int, stop: int | None) -> list[str]:
    """Return a line's cells from a table's corner on, the others empty, with the corner or letter first."""
    own = cells[start:stop]
    if start == 0 or not any(own):
        return own
    letter = cells[0] if heads.row_number(cells[0]) else ""
    return [own[0] or letter, *[""] * start, *own[1:]]
