"""Tables as people type them, CSV of any kind and Excel's files, as lines of text."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path

from neuroseg.errors import DataError
from neuroseg.readers.plates.formats import shown
from neuroseg.readers.words import composed

Line = tuple[str, list[str]]
"""Where a line stands, and the text of its cells."""


def cell_name(where: str, at: int) -> str:
    """Return what a cell is called, by its line and its position there: Sheet1!B3 in Excel, else by both."""
    sheet, _, number = where.rpartition(":")
    letters = chr(65 + at) if at < 26 else f"{chr(64 + at // 26)}{chr(65 + at % 26)}"
    return f"{sheet}!{letters}{number}" if sheet else f"line {number}, column {at + 1}"


def lines_of(path: Path, is_head: Callable[[list[str]], bool]) -> list[tuple[str, list[Line]]]:
    """Return the name of each sheet, empty for a CSV file, and its lines that are not empty and no comment.

    Hidden sheets are passed over. A line that begins with # is a comment; only if it is a head for `is_head`,
    and no other line is one, it is a line like others, and its # left out.

    Args:
        path: the file.
        is_head: tells of a line's cells whether they are heads.

    Raises:
        DataError: a quote is not closed, a formula comes without its value, or another kind of spreadsheet.
        Exception: whatever the reader of a damaged file makes of it.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"\xd0\xcf\x11\xe0" or path.suffix.lower() in (".xls", ".xlsb", ".ods", ".numbers"):
        raise DataError(f"{path}: this kind of spreadsheet is not read; save it as .xlsx or CSV.")
    excel = head == b"PK\3\4" or path.suffix.lower() in (".xlsx", ".xlsm")
    return _sheets(path, is_head) if excel else [("", _lines(path, is_head))]


def _lines(path: Path, is_head: Callable[[list[str]], bool]) -> list[Line]:
    """Return the lines of a CSV file that are not empty and no comment; a quoted cell may go over several.

    Raises:
        DataError: a quote is not closed.
    """
    lines = list(enumerate(_decoded(path.read_bytes()).splitlines(), 1))
    separator = None
    if lines and (match := re.fullmatch(r"sep=(.)", lines[0][1].strip(), re.IGNORECASE)):
        separator, lines = match[1], lines[1:]  # Excel's own word for it
    lines = [(at, line) for at, line in lines if line.strip()]
    comment = [line.lstrip().startswith("#") for _, line in lines]
    said = [line for (_, line), aside in zip(lines, comment, strict=True) if not aside]
    separator = separator or _separator(said)
    parts = [
        _cells(line.lstrip() if aside else line, separator)
        for (_, line), aside in zip(lines, comment, strict=True)
    ]
    kept = _kept(parts, comment, is_head)
    lines = [
        (at, line.lstrip().lstrip("#") if aside else line)
        for (at, line), aside, keep in zip(lines, comment, kept, strict=True)
        if keep
    ]
    reader = csv.reader((f"{line}\n" for _, line in lines), delimiter=separator, skipinitialspace=True)
    rows, begin = [], 0
    for cells in reader:
        where, taken = str(lines[begin][0]), [line for _, line in lines[begin : reader.line_num]]
        if len(taken) > 1 and "".join(taken).count('"') % 2:
            raise DataError(
                f'{path}:{where}: a quote (") is opened and not closed; close it, or leave it out.'
            )
        rows.append((where, [_said(cell) for cell in cells]))
        begin = reader.line_num
    return [(where, cells) for where, cells in rows if any(cells)]


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")  # Excel's "Unicode text"
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")  # Excel's CSV on a European Windows


def _separator(lines: list[str]) -> str:
    """Return what parts the cells of the most lines, of equals what makes most of the first line."""

    def parts(separator: str) -> tuple[int, int]:
        cells = [len(_cells(line, separator)) for line in lines]
        return sum(number > 1 for number in cells), cells[0] if cells else 0

    return max("\t;,", key=parts)


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _kept(lines: list[list[str]], comment: list[bool], is_head: Callable[[list[str]], bool]) -> list[bool]:
    """Return which lines count: those that are no comment and, if none of them is a head, heads after a #."""
    there = any(is_head(cells) for cells, aside in zip(lines, comment, strict=True) if not aside)
    return [not aside or (not there and is_head(cells)) for cells, aside in zip(lines, comment, strict=True)]


def _sheets(path: Path, is_head: Callable[[list[str]], bool]) -> list[tuple[str, list[Line]]]:
    """Return each sheet's name and lines that are neither empty nor comments, of sheets that are seen.

    Merged cells all say the same. Numbers have all their figures, also those that their format hides, and
    what it shows beside them, such as a unit.

    Raises:
        DataError: a cell holds a formula whose value the program that wrote the file did not keep.
    """
    from openpyxl import load_workbook  # here: its import takes long, and most plate maps are CSV

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what openpyxl leaves out: colours, lists to choose from
        content = path.read_bytes()  # from memory it is read whatever its ending
        book, formulas = load_workbook(BytesIO(content), data_only=True), load_workbook(BytesIO(content))
    sheets = []
    for sheet in (sheet for sheet in book.worksheets if sheet.sheet_state == "visible"):
        rows = [[_shown(cell.value, cell.number_format) for cell in row] for row in sheet.iter_rows()]
        for cell in (
            cell for row in formulas[sheet.title].iter_rows() for cell in row if cell.data_type == "f"
        ):
            if sheet[cell.coordinate].value is None:
                raise DataError(
                    f"{path}:{sheet.title}:{cell.coordinate}: the formula comes without its value; "
                    "open the file in Excel or LibreOffice, and save it."
                )
        for part in sheet.merged_cells.ranges:
            for row in rows[part.min_row - 1 : part.max_row]:
                width = len(row[part.min_col - 1 : part.max_col])
                row[part.min_col - 1 : part.max_col] = [rows[part.min_row - 1][part.min_col - 1]] * width
        lines = [(f"{sheet.title}:{at}", row) for at, row in enumerate(rows, 1) if any(row)]
        comment = [row[0].startswith("#") for _, row in lines]
        kept = _kept([row for _, row in lines], comment, is_head)
        said = [
            (where, [row[0].lstrip("# "), *row[1:]] if aside else row)
            for (where, row), aside, keep in zip(lines, comment, kept, strict=True)
            if keep
        ]
        sheets.append((_said(sheet.title), said))
    return sheets


def _shown(value: object, form: str) -> str:
    """Return a cell of Excel as it reads, with what its format shows beside its value: 10 nM, 50 %."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _said(value)
    told = shown(value, form)
    return _said(value if told is None else told)


def _said(value: object) -> str:
    """Return a cell as it reads: whole numbers without decimals, no text if empty, line breaks as blanks.

    Dates and times of Excel are 2026-05-01, 2026-05-01 10:30:00 and 10:30:00, however they are shown.
    """
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, date | time):
        return value.isoformat(*[" ", "seconds"] if isinstance(value, datetime) else [])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return composed(" ".join(re.sub("[\u200b-\u200d\u2060\ufeff]", "", str(value)).split()))
